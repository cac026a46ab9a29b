//! What SDKs hand on from a request to the calls that are made for it. `testkit/clients` measures it of
//! real ones; here each is a list of headers, and the filter itself says what becomes of a track.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use release_track::config::Config;
use release_track::exchange::{Exchange, Lines, Request, exchange};
use release_track::filter::Filter;
use release_track::host::fake::{self, FakeHost};
use release_track::istio::stats::Stat;
use release_track::vocabulary::{Carrier, Family};

/// A set-up of an SDK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sdk {
    pub(crate) name: &'static str,
    /// For people.
    what: &'static str,
    /// Headers; of the traces among them the first that arrives, and where none does, a new one that
    /// nobody knows, which tells a proxy as much as none.
    pub(crate) hands_on: &'static [&'static str],
    /// What the application's owner can do, where something is lost.
    pub(crate) mends: Option<&'static str>,
}

pub(crate) const BAGGAGE: &str = "baggage";
const TRACEPARENT: &str = "traceparent";
const B3: &str = "b3";
const B3_TRACE_ID: &str = "x-b3-traceid";
const UBER: &str = "uber-trace-id";
const DATADOG: &str = "x-datadog-trace-id";

const REMOTE_FIELDS: &str = "management.tracing.baggage.remote-fields=baggage";

/// As setups.yaml has them, of which a test holds each row.
#[rustfmt::skip] // A table.
static SDKS: [Sdk; 20] = [
    sdk("none", "no SDK", &[], Some("forward a carrier, or install an SDK")),
    sdk("otel", "OpenTelemetry, default propagators (tracecontext,baggage)", &[BAGGAGE, TRACEPARENT], None),
    sdk("otel-aiohttp", "OpenTelemetry, default propagators, with aiohttp (which drops baggage)", &[TRACEPARENT], None),
    sdk("otel-tracecontext", "OpenTelemetry, tracecontext alone", &[TRACEPARENT], Some("OTEL_PROPAGATORS=tracecontext,baggage")),
    sdk("otel-b3", "OpenTelemetry, b3 alone", &[B3, B3_TRACE_ID], Some("OTEL_PROPAGATORS=b3,baggage")),
    sdk("otel-b3multi", "OpenTelemetry, b3multi alone", &[B3, B3_TRACE_ID], Some("OTEL_PROPAGATORS=b3multi,baggage")),
    sdk("otel-jaeger", "OpenTelemetry, jaeger alone", &[UBER], Some("OTEL_PROPAGATORS=jaeger,baggage")),
    sdk("otel-no-threading", "OpenTelemetry without its threading instrumentation, default propagators", &[], Some("install opentelemetry-instrumentation-threading")),
    sdk("otel-no-propagator", "OpenTelemetry, no propagator set, as Go has it by default", &[], Some("otel.SetTextMapPropagator(autoprop.NewTextMapPropagator())")),
    sdk("datadog", "Datadog, default propagators (datadog,tracecontext,baggage)", &[BAGGAGE, DATADOG, TRACEPARENT], None),
    sdk("datadog-aiohttp", "Datadog with aiohttp, whose servers it does not trace by itself", &[], Some("trace_app(app) of ddtrace.contrib.aiohttp")),
    sdk("datadog-jdk", "Datadog with the JDK's server, which it does not know", &[], Some("a server that it knows")),
    sdk("datadog-tracecontext", "Datadog without baggage", &[DATADOG, TRACEPARENT], Some("DD_TRACE_PROPAGATION_STYLE=datadog,tracecontext,baggage")),
    sdk("datadog-exporter", "Datadog for Python and Node, with OTEL_TRACES_EXPORTER=none (which switches it off)", &[], Some("leave OTEL_TRACES_EXPORTER out")),
    sdk("elastic-node", "Elastic APM for Node", &[TRACEPARENT], None),
    sdk("elastic-java", "Elastic APM for Java", &[BAGGAGE, TRACEPARENT], None),
    sdk("brave", "Brave, as Spring Boot sets it up (reads W3C and B3)", &[TRACEPARENT, B3, B3_TRACE_ID], Some(REMOTE_FIELDS)),
    sdk("brave-b3", "Brave, with management.tracing.propagation.type=b3", &[B3, B3_TRACE_ID], Some(REMOTE_FIELDS)),
    sdk("brave-fields", "Brave, with management.tracing.baggage.remote-fields=x-release-track", &["x-release-track", TRACEPARENT, B3, B3_TRACE_ID], None),
    sdk("brave-baggage", "Brave, with management.tracing.baggage.remote-fields=baggage", &[BAGGAGE, TRACEPARENT, B3, B3_TRACE_ID], None),
];

const fn sdk(
    name: &'static str,
    what: &'static str,
    hands_on: &'static [&'static str],
    mends: Option<&'static str>,
) -> Sdk {
    Sdk { name, what, hands_on, mends }
}

/// Of a command line: a name, and no other than these.
pub(crate) fn parser() -> impl TypedValueParser<Value = &'static Sdk> {
    let names = SDKS.iter().map(|sdk| PossibleValue::new(sdk.name).help(sdk.what));
    PossibleValuesParser::new(names)
        .try_map(|name| SDKS.iter().find(|sdk| sdk.name == name).ok_or("there is no such SDK"))
}

/// Where a request has no id of its own yet, as Envoy gives it one.
const IDS: [&str; 2] =
    ["5d0c81f7-e2b6-434a-8b10-7c3e6d18f0a9", "b21f94c6-07ad-4e58-9d36-e8a5401c7fb3"];

impl Sdk {
    /// The headers of the traces that it reads.
    pub(crate) fn traces(&self) -> impl Iterator<Item = &'static str> {
        self.hands_on.iter().copied().filter(|header| is_trace(header))
    }

    /// The header of a trace that it does not read.
    pub(crate) fn another(&self) -> &'static str {
        let formats = [TRACEPARENT, B3, UBER].into_iter();
        formats.clone().find(|header| !self.hands_on.contains(header)).unwrap_or(UBER)
    }

    /// The field of `propagation.mint` whose traces it goes on with.
    pub(crate) fn mint(&self) -> Option<&'static str> {
        [TRACEPARENT, B3].into_iter().find(|header| self.hands_on.contains(header))
    }

    /// A call that an application makes for a request that arrived so.
    pub(crate) fn call(&self, arrived: &Lines, namespace: &str) -> Request {
        let has = |header: &&str| arrived.iter().any(|(name, _)| name == header.as_bytes());
        let trace = self.traces().find(has);
        let is_handed_on = |name: &[u8]| {
            let header = self.hands_on.iter().find(|header| header.as_bytes() == name);
            header.is_some_and(|header| trace == Some(*header) || !is_trace(header))
        };
        let mut headers = head(IDS[1]);
        headers.extend(arrived.iter().filter(|(name, _)| is_handed_on(name)).cloned());
        let cluster = Some(format!("outbound|80||service.{namespace}.svc.cluster.local"));
        Request { direction: 2, cluster, headers, ..Request::default() }
    }
}

fn head(id: &str) -> Lines {
    let lines = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "service"),
        (":path", "/"),
        ("x-request-id", id),
    ];
    lines.map(|(name, value)| (name.into(), value.into())).into()
}

fn is_trace(header: &str) -> bool {
    trace(header, 1).is_some()
}

/// The value of a trace header with this id.
fn trace(header: &str, id: u128) -> Option<String> {
    let span = 0x5d0c_81f7_e2b6_934a_u64;
    Some(match header {
        TRACEPARENT => format!("00-{id:032x}-{span:016x}-01"),
        B3 => format!("{id:032x}-{span:016x}-1"),
        B3_TRACE_ID => format!("{id:032x}"),
        UBER => format!("{id:032x}:{span:016x}:0:1"),
        DATADOG => (id as u64).to_string(),
        _ => return None,
    })
}

/// The sidecar of a pod that belongs to no track.
pub(crate) struct Sidecar {
    filter: Filter,
    proxy: FakeHost,
    /// What requests arrive with: the header, and the first track.
    track: Option<(String, String)>,
    /// Of the next trace.
    id: u128,
}

impl Sidecar {
    pub(crate) fn new(config: Config) -> Self {
        let track = config.names.iter().next();
        let track = track.map(|(_, name)| (config.header.to_string(), name.as_str().to_owned()));
        let mut proxy =
            FakeHost::node("sidecar~10.0.0.1~pod.default~default.svc.cluster.local", &[]);
        let filter = Filter::new(&mut proxy, config);
        fake::warnings();
        Self { filter, proxy, track, id: 0x7c3e_6d18_f0a9_4b52_861f_d2c7_059b_e34a }
    }

    /// What tells the track of the calls that an application with this SDK makes for a tracked
    /// request, which arrived with a trace in this header.
    pub(crate) fn carrier(&mut self, sdk: &Sdk, arrived: Option<&str>) -> Option<Carrier> {
        let mut headers = head(IDS[0]);
        if let Some((header, track)) = &self.track {
            headers.push((header.clone().into(), track.clone().into()));
        }
        if let Some(header) = arrived
            && let Some(value) = trace(header, self.id)
        {
            headers.push((header.into(), value.into()));
        }
        self.id = self.id.rotate_left(7);
        let cluster = Some("inbound|8080||".to_owned());
        let request = Request { direction: 1, cluster, headers, ..Request::default() };
        let arrived = exchange(&self.filter, &mut self.proxy, &request);
        carrier(&exchange(&self.filter, &mut self.proxy, &sdk.call(&arrived.request, "default")))
    }
}

/// What told the track of a call.
pub(crate) fn carrier(call: &Exchange) -> Option<Carrier> {
    call.counts.keys().find_map(|name| {
        let stat = Stat::parse(name).filter(|stat| stat.family == Family::Propagation)?;
        Carrier::of_label(&stat.value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clients::setups::{Outcome, Setup, Setups};
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What real applications did.
    fn measured() -> Setups {
        Setups::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/clients")).unwrap()
    }

    fn of(setup: &Setup) -> &'static Sdk {
        let found = SDKS.iter().find(|sdk| setup.check.as_deref() == Some(sdk.name));
        found.unwrap_or_else(|| panic!("{}: {:?}", setup.name, setup.check))
    }

    fn config(propagation: &str) -> Config {
        let json = format!(r#"{{"tracks": [{{"name": "v2"}}], "propagation": {propagation}}}"#);
        Config::parse(json.as_bytes()).unwrap()
    }

    #[test]
    fn each_carries_what_was_measured() {
        let setups = measured().setups;
        for (mint, propagation) in
            [(false, "{}"), (true, r#"{"mint": {"traceparent": "sampled", "b3": "deferred"}}"#)]
        {
            for setup in &setups {
                let sdk = of(setup);
                let carried = setup.arrivals().map(|format| {
                    let headers = format.map(|format| format.headers(1, 1));
                    let header = headers.as_ref().map(|headers| headers[0].0);
                    match Sidecar::new(config(propagation)).carrier(sdk, header) {
                        Some(carrier) => Outcome::Carried(carrier),
                        None => Outcome::Lost,
                    }
                });
                assert_eq!(carried, setup.expected(mint), "{}, minted: {mint}", setup.name);
            }
        }
    }

    #[test]
    fn each_is_named_and_mended_as_in_the_documentation() {
        let setups = measured().setups;
        let plain = |text: &str| text.replace('`', "");
        let mut seen = BTreeSet::new();
        for setup in &setups {
            let sdk = of(setup);
            // The first of those that behave alike.
            if seen.insert(sdk.name) {
                assert_eq!(sdk.what, plain(&setup.name));
            }
            let loses = setup.expected(false).contains(&Outcome::Lost);
            let mint = sdk.mint().map(|field| format!("mint.{field}"));
            let mends = sdk.mends.map(str::to_owned).into_iter().chain(mint);
            let mends = mends.collect::<Vec<_>>().join(", or ");
            assert_eq!(setup.mends.as_deref().map(plain), loses.then_some(mends), "{}", sdk.name);
        }
        assert_eq!(seen, SDKS.iter().map(|sdk| sdk.name).collect());
    }
}
