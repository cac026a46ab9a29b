// kafkajs: what is asked over HTTP becomes a message, and its consumer calls the backend: for each message, or
// in a loop over each batch (`batch`), or there in the context that the message's headers tell (`extract`).
const { context, propagation } = require('@opentelemetry/api');
const axios = require('axios');
const { Kafka } = require('kafkajs');
const { randomUUID } = require('node:crypto');
const http = require('node:http');

const { KAFKA, LISTEN, TOPIC, URL } = process.env;
const kafka = new Kafka({ brokers: [KAFKA] });
const producer = kafka.producer();
const consumer = kafka.consumer({ groupId: TOPIC });
// Who waits for the answer to a message, by its key.
const waiting = new Map();

async function consume(message) {
  const { data } = await axios.get(URL, { responseType: 'text' });
  waiting.get(message.key.toString())(data);
}

const runs = {
  each: { eachMessage: ({ message }) => consume(message) },
  batch: {
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) await consume(message);
    },
  },
  extract: {
    eachBatch: async ({ batch }) => {
      for (const message of batch.messages) {
        const headers = Object.entries(message.headers).map(([name, value]) => [name, value.toString()]);
        const from = propagation.extract(context.active(), Object.fromEntries(headers));
        await context.with(from, () => consume(message));
      }
    },
  },
};

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: TOPIC }] });
  await producer.connect();
  await consumer.connect();
  await consumer.subscribe({ topic: TOPIC, fromBeginning: true });
  await consumer.run(runs[process.argv[2]]);
  const server = http.createServer(async (_, response) => {
    const key = randomUUID();
    const answer = new Promise((resolve) => waiting.set(key, resolve));
    await producer.send({ topic: TOPIC, messages: [{ key, value: '' }] });
    response.end(await answer);
  });
  const [host, port] = LISTEN.split(':');
  server.listen(Number(port), host);
}
main();
