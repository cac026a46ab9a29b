// Node's fetch knows no proxy: whatever it calls, its connections go to the sidecar, as iptables does it in a pod.
const { Agent, buildConnector, setGlobalDispatcher } = require('undici');

const [hostname, port] = process.env.EGRESS.split(':');
const connect = buildConnector({});
setGlobalDispatcher(
  new Agent({ connect: (to, done) => connect({ ...to, hostname, port, host: process.env.EGRESS }, done) }),
);
