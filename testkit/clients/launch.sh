#!/usr/bin/env bash
# Becomes one application, instrumented from outside: launch.sh SDK APPLICATION; or an end of the chain. In the
# environment: CLIENTS, the folder of what is installed; PROGRAM, the ends; LISTEN, where to serve; EGRESS, where
# the sidecar takes calls; KAFKA, a broker.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${CLIENTS:?}
case $1 in frontend | backend) exec "${PROGRAM:?}" "$@" ;; esac
sdk=$1 application=$2

# Without iptables an application reaches its sidecar as a proxy (Istio's proxyHttpPort).
export URL=http://backend:3000/ AUTHORITY=backend-grpc:3000 http_proxy=http://$EGRESS HTTP_PROXY=http://$EGRESS
export no_proxy=localhost,127.0.0.1 NO_PROXY=localhost,127.0.0.1
export TOPIC=calls-${LISTEN#*:}
# Nothing leaves this machine. Not `none` for traces: some SDKs then do not start at all.
export OTEL_METRICS_EXPORTER=none OTEL_LOGS_EXPORTER=none
export DD_INSTRUMENTATION_TELEMETRY_ENABLED=false DD_REMOTE_CONFIGURATION_ENABLED=false DD_TRACE_STARTUP_LOGS=false
if [[ $sdk == opentelemetry ]]; then export OTEL_TRACES_EXPORTER=console; fi

python() {
  export PYTHONPATH=$home/python PYTHONDONTWRITEBYTECODE=1
  local program=(python3 "$here/python/${application%-*}_app.py" "${application#*-}")
  case $sdk in
  none) exec "${program[@]}" ;;
  opentelemetry) exec python3 "$home/python/bin/opentelemetry-instrument" "${program[@]}" ;;
  datadog) exec python3 "$home/python/bin/ddtrace-run" "${program[@]}" ;;
  esac
}

node() {
  export NODE_PATH=$home/node/node_modules
  local options=()
  case $sdk in
  opentelemetry) options=(--require @opentelemetry/auto-instrumentations-node/register) ;;
  datadog) options=(--require dd-trace/init) ;;
  elastic) options=(--require elastic-apm-node/start) ;;
  esac
  if [[ $application == fetch ]]; then options+=(--require "$here/node/capture.js"); fi
  exec env node "${options[@]}" "$here/node/${application%-*}_app.js" "${application#*-}"
}

java() {
  local options=(-Dhttp.proxyHost="${EGRESS%:*}" -Dhttp.proxyPort="${EGRESS#*:}" -Xmx128m -XX:TieredStopAtLevel=1)
  local classes=$home/java/classes
  case $sdk in
  opentelemetry) options+=("-javaagent:$(echo "$home"/java/agents/opentelemetry-javaagent-*.jar)") ;;
  datadog) options+=("-javaagent:$(echo "$home"/java/agents/dd-java-agent-*.jar)") ;;
  elastic) options+=("-javaagent:$(echo "$home"/java/agents/elastic-apm-agent-*.jar)") ;;
  brave) classes+=":$home/java/brave/*" ;;
  esac
  case $application in
  jdk) options+=(-cp "$classes" clients.Jdk) ;;
  records) options+=(-cp "$classes:$home/java/jars/*" clients.Records) ;;
  grpc-java) options+=(-cp "$classes:$home/java/jars/*" clients.Grpc) ;;
  spring) options+=(-cp "$classes:$home/java/jars/*" clients.SpringBoot "--server.address=${LISTEN%:*}" "--server.port=${LISTEN#*:}") ;;
  esac
  exec env java "${options[@]}"
}

case $application in
flask | threads | fastapi | aiohttp | kafka-*) python ;;
axios | fetch | kafkajs-*) node ;;
jdk | spring | grpc-java | records) java ;;
http2) exec "$home/go/http" http2 ;;
http | grpc | franz) exec "$home/go/$application" ;;
esac
echo "$application with $sdk is not known"
exit 1
