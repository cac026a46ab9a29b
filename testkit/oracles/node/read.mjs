// What Node's libraries read.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
const require = createRequire(process.cwd() + '/')

process.env.DD_TRACE_STARTUP_LOGS = 'false'
process.env.DD_INSTRUMENTATION_TELEMETRY_ENABLED = 'false'
process.env.DD_REMOTE_CONFIGURATION_ENABLED = 'false'
const { ROOT_CONTEXT, propagation, defaultTextMapGetter, defaultTextMapSetter } = require('@opentelemetry/api')
const { W3CBaggagePropagator } = require('@opentelemetry/core')
const { JaegerPropagator } = require('@opentelemetry/propagator-jaeger')
const { OTTracePropagator } = require('@opentelemetry/propagator-ot-trace')
const uuid = require('uuid')
const tracer = require('dd-trace').init({ startupLogs: false, plugins: false })

const trace = {
  'ot-tracer-traceid': 'a3ce929d0e0e4736',
  'ot-tracer-spanid': '00f067aa0ba902b7',
  'ot-tracer-sampled': 'true',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
}
const w3c = new W3CBaggagePropagator()
const readers = { baggage: w3c, jaeger: new JaegerPropagator(), opentracing: new OTTracePropagator() }

const output = []
const say = (number, reader, kind, text) =>
  output.push(`${number}\t${reader}\t${kind}\t${Buffer.from(text).toString('hex')}\n`)

// Who then finds nothing is noticed.
for (const name of Object.keys(readers)) {
  say('-', `opentelemetry-js ${name}`, 'key', '')
  say('-', `opentelemetry-js ${name}`, 'baggage', '')
}
say('-', 'dd-trace-js', 'baggage', '')
say('-', 'npm uuid', 'id', '')

for await (const line of createInterface({ input: process.stdin })) {
  const [number, ...headers] = line.split('\t')
  const carrier = {}
  for (const header of headers) {
    const [name, hex] = header.split('=')
    // As Node reads header values: a byte is a character, lines are joined.
    const value = Buffer.from(hex, 'hex').toString('latin1')
    carrier[name] = name in carrier ? `${carrier[name]}, ${value}` : value
  }
  for (const [name, propagator] of Object.entries(readers)) {
    const context = propagator.extract(ROOT_CONTEXT, { ...trace, ...carrier }, defaultTextMapGetter)
    const reader = `opentelemetry-js ${name}`
    for (const [key] of propagation.getBaggage(context)?.getAllEntries() ?? []) say(number, reader, 'key', key)
    const out = {}
    w3c.inject(context, out, defaultTextMapSetter)
    if (out.baggage) say(number, reader, 'baggage', out.baggage)
  }
  const context = tracer.extract('http_headers', { ...trace, ...carrier })
  const out = {}
  if (context) tracer.inject(context, 'http_headers', out)
  if (out.baggage) say(number, 'dd-trace-js', 'baggage', out.baggage)
  for (const id of [carrier['x-request-id']]) {
    try {
      if (id) say(number, 'npm uuid', 'id', uuid.stringify(uuid.parse(id)))
    } catch {}
  }
}
process.stdout.write(output.join(''), () => process.exit())
