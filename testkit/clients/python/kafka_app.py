"""kafka-python: what is asked over HTTP becomes a record, and a loop that polls for it calls the backend; with
`extract` in the context that the record's headers tell."""

import os
import sys
import threading
import uuid
from queue import SimpleQueue

import requests
from flask import Flask
from kafka import KafkaConsumer, KafkaProducer
from opentelemetry import context, propagate

app = Flask(__name__)
broker, topic = os.environ["KAFKA"], os.environ["TOPIC"]
producer = KafkaProducer(bootstrap_servers=broker)
# Who waits for the answer to a record, by its key.
waiting = {}


def consume():
    for record in KafkaConsumer(topic, bootstrap_servers=broker, auto_offset_reset="earliest"):
        if sys.argv[1] == "extract":
            headers = {name: value.decode() for name, value in record.headers}
            context.attach(propagate.extract(headers))
        waiting[record.key].put(requests.get(os.environ["URL"], timeout=30).text)


@app.get("/")
def serve():
    key, answer = uuid.uuid4().bytes, SimpleQueue()
    waiting[key] = answer
    producer.send(topic, b"", key=key).get()
    return answer.get()


threading.Thread(target=consume, daemon=True).start()
host, port = os.environ["LISTEN"].split(":")
app.run(host, int(port))
