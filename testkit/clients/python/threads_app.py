"""Flask and requests, whose calls are made by a pool of threads."""

import os
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask

app = Flask(__name__)
pool = ThreadPoolExecutor(4)


@app.get("/")
def serve():
    return pool.submit(requests.get, os.environ["URL"], timeout=30).result().text


host, port = os.environ["LISTEN"].split(":")
app.run(host, int(port))
