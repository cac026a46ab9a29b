// Node's server, and axios.
const axios = require('axios');
const http = require('node:http');

const server = http.createServer(async (_, response) => {
  try {
    const { data } = await axios.get(process.env.URL, { responseType: 'text', timeout: 30000 });
    response.end(data);
  } catch (error) {
    response.writeHead(502).end(String(error));
  }
});
const [host, port] = process.env.LISTEN.split(':');
server.listen(Number(port), host);
