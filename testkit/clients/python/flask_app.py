"""Flask and requests."""

import os

import requests
from flask import Flask

app = Flask(__name__)


@app.get("/")
def serve():
    return requests.get(os.environ["URL"], timeout=30).text


host, port = os.environ["LISTEN"].split(":")
app.run(host, int(port))
