"""aiohttp, as server and as client."""

import os

from aiohttp import ClientSession, web

routes = web.RouteTableDef()


@routes.get("/")
async def serve(_):
    # The proxy of the environment.
    async with ClientSession(trust_env=True) as session, session.get(os.environ["URL"]) as response:
        return web.Response(text=await response.text())


app = web.Application()
app.add_routes(routes)
host, port = os.environ["LISTEN"].split(":")
web.run_app(app, host=host, port=int(port), print=None)
