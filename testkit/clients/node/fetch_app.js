// Node's server, and fetch.
const http = require('node:http');

const server = http.createServer(async (_, response) => {
  try {
    response.end(await (await fetch(process.env.URL)).text());
  } catch (error) {
    response.writeHead(502).end(String(error));
  }
});
const [host, port] = process.env.LISTEN.split(':');
server.listen(Number(port), host);
