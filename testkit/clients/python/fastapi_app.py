"""FastAPI and httpx."""

import os

import httpx
import uvicorn
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
client = httpx.AsyncClient(timeout=30)


@app.get("/", response_class=PlainTextResponse)
async def serve():
    return (await client.get(os.environ["URL"])).text


host, port = os.environ["LISTEN"].split(":")
uvicorn.run(app, host=host, port=int(port), log_level="warning")
