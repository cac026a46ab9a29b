//! What Envoy's hooks come to.

use crate::abi;
use crate::counters::Metrics;
use crate::process;
use crate::proxy::{Proxy, Startup, Writes};
use log::{LevelFilter, Log, Metadata, Record};
use release_track::filter::Filter;
use release_track::host::Verdict;
use release_track::plan::Response;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// `filter_name` says on which side of a sidecar the filter stands: before 1.40, Envoy tells it to
/// nobody. What else the name is does not matter.
const INBOUND: &[u8] = b"release-track/inbound";
const OUTBOUND: &[u8] = b"release-track/outbound";

/// Envoy's log.
struct Logger;

impl Log for Logger {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        abi::log(record.level(), &record.args().to_string());
    }

    fn flush(&self) {}
}

/// The module has been loaded.
pub(crate) fn init(is_verbose: bool) {
    // The first logger stays, and there is none before this one.
    let _ = log::set_logger(&Logger);
    log::set_max_level(if is_verbose { LevelFilter::Info } else { LevelFilter::Warn });
    // Whoever tests the module says himself how it failed.
    if !cfg!(any(test, feature = "stand-in")) {
        std::panic::set_hook(Box::new(|panic| tell_panic(&panic.to_string())));
    }
}

/// Once: what is wrong with one request may be wrong with all.
pub(crate) fn tell_panic(panic: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let panic = panic.replace('\n', " ");
        log::error!(
            "release-track: {panic} (a fault of the filter: the request goes on as it is; this is \
             told once, release_track_panics_total counts)"
        );
    });
}

/// A hook has panicked.
pub(crate) fn has_panicked() {
    process::panics().fetch_add(1, Ordering::Relaxed);
}

/// A configuration at work.
pub(crate) struct Config {
    filter: Filter,
    settings: Settings,
    /// What gauges are to say from the first request on.
    recorded: Vec<(u32, u64)>,
    has_begun: AtomicBool,
    /// Milliseconds of the Unix epoch.
    next_tick: AtomicU64,
}

/// Workers share it.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Config>();
};

/// What a proxy needs beside the request at hand.
pub(crate) struct Settings {
    pub(crate) metrics: Metrics,
    /// As the filter's name has it.
    direction: Option<i64>,
    /// Envoy complains of what it does not have, each time that it is asked.
    knows_direction: AtomicBool,
    /// Envoy's id of the counter of panics, and how many it has been told.
    panics: Option<usize>,
}

impl Settings {
    /// Of the listener: 1 inbound, 2 outbound.
    pub(crate) fn direction(&self, envoy: &abi::Stream<'_>) -> Option<i64> {
        if self.direction.is_some() || !self.knows_direction.load(Ordering::Relaxed) {
            return self.direction;
        }
        let direction = envoy.listener_direction();
        if direction.is_none() {
            self.knows_direction.store(false, Ordering::Relaxed);
        }
        direction.and_then(|direction| i64::try_from(direction).ok())
    }

    /// Hands on the panics that nobody has counted yet.
    fn count_panics(&self, envoy: &abi::Stream<'_>) {
        if let Some(id) = self.panics {
            envoy.increment_counter(id, &[], process::panics().swap(0, Ordering::Relaxed));
        }
    }
}

impl Config {
    /// `None`: it is refused, and the log says why.
    pub(crate) fn new(envoy: &abi::Config<'_>, name: &[u8], json: &[u8]) -> Option<Self> {
        let (node, metrics, recorded) = (process::node(), Metrics::default(), Vec::new());
        let mut host = Startup { envoy, node: &node, metrics, recorded };
        let filter = Filter::configure(&mut host, json)?;
        let Startup { metrics, recorded, .. } = host;
        let direction = match name {
            INBOUND => Some(1),
            OUTBOUND => Some(2),
            _ => None,
        };
        let settings = Settings {
            metrics,
            direction,
            knows_direction: true.into(),
            panics: envoy.define_counter("release_track.panics_total", &[]),
        };
        let (has_begun, next_tick) = (false.into(), 0.into());
        Some(Self { filter, settings, recorded, has_begun, next_tick })
    }

    /// What could not be done without a request: metrics begin, and time passes.
    fn catch_up(&self, envoy: &abi::Stream<'_>) {
        if !self.has_begun.load(Ordering::Relaxed) && !self.has_begun.swap(true, Ordering::Relaxed)
        {
            self.settings.metrics.begin(envoy);
            for (gauge, value) in &self.recorded {
                self.settings.metrics.record(envoy, *gauge, *value);
            }
        }
        if process::panics().load(Ordering::Relaxed) > 0 {
            self.settings.count_panics(envoy);
        }
        let Some(period) = self.filter.ticks() else { return };
        let Some(now) = process::now_ms() else { return };
        let next = self.next_tick.load(Ordering::Relaxed);
        let is_due = next <= now
            && self
                .next_tick
                .compare_exchange(
                    next,
                    now.saturating_add(period.into()),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )
                .is_ok();
        if is_due {
            self.filter.on_tick(&mut Proxy::new(envoy, &self.settings));
        }
    }
}

/// A response that the proxy gives itself.
pub(crate) struct Reply {
    pub(crate) status: u32,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: String,
}

/// One request. It holds on to the configuration it began with.
pub(crate) struct Stream<'c> {
    config: &'c Config,
    response: Response,
}

impl<'c> Stream<'c> {
    pub(crate) fn new(config: &'c Config) -> Self {
        Self { config, response: Response::default() }
    }

    /// The request's headers have arrived. `Some`: it goes no further.
    pub(crate) fn on_request(&mut self, envoy: &mut abi::Stream<'_>) -> Option<Reply> {
        let Config { filter, settings, .. } = self.config;
        self.config.catch_up(envoy);
        let mut proxy = Proxy::new(envoy, settings);
        let verdict = filter.on_request(&mut proxy, &mut self.response);
        let writes = proxy.writes;
        match verdict {
            Verdict::Continue => {
                writes.apply(envoy);
                None
            }
            Verdict::Replied => self.reply(envoy, writes),
        }
    }

    /// Envoy does not show a module its own responses, so that they get here what they would get
    /// on their way.
    fn reply(&self, envoy: &abi::Stream<'_>, writes: Writes) -> Option<Reply> {
        let Config { filter, settings, .. } = self.config;
        let (status, body) = writes.reply?;
        let text = status.to_string();
        let mut proxy = Proxy::new(envoy, settings);
        proxy.own_response = Some(&text);
        filter.on_response(&mut proxy, &self.response);
        Some(Reply { status, headers: proxy.writes.of_response(), body })
    }

    /// The response's headers have arrived.
    pub(crate) fn on_response(&self, envoy: &mut abi::Stream<'_>) {
        let Config { filter, settings, .. } = self.config;
        let mut proxy = Proxy::new(envoy, settings);
        filter.on_response(&mut proxy, &self.response);
        proxy.writes.apply(envoy);
    }
}

#[cfg(test)]
mod tests {
    use crate::abi::fake::{self, Configured, Envoy};
    use crate::node::Node;
    use std::collections::BTreeMap;

    const CONFIG: &str = r#"{"isolation": "enforce", "tracks": [
        {"name": "v2", "match": [{"cookies": {"user": {"exact": "tester"}}}],
         "share": {"percent": 1}, "workloads": {"frontend": "v2"}}]}"#;
    const GATEWAY: &str = "router~10.0.0.1~gateway.istio-system~istio-system.svc.cluster.local";
    const SIDECAR: &str = "sidecar~10.0.0.1~frontend.weather~weather.svc.cluster.local";
    const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
    const OK: &[(&str, &str)] = &[(":status", "200")];

    fn gateway() -> Envoy {
        let cluster = Some("outbound|80||frontend.weather.svc.cluster.local".into());
        Envoy { node: Node::new(GATEWAY, &[]), cluster, ..Envoy::default() }
    }

    /// Of frontend v1.
    fn sidecar() -> Envoy {
        let node = Node::new(SIDECAR, &[("app", "frontend"), ("version", "v1")]);
        Envoy { node, cluster: Some("inbound|3000||".into()), ..Envoy::default() }
    }

    fn start(envoy: Envoy, name: &str) -> Configured {
        fake::begin(envoy);
        fake::configure(name, CONFIG).unwrap()
    }

    fn value(name: &str) -> Option<String> {
        let mut lines = fake::with(|envoy| envoy.request.clone()).into_iter();
        let (_, value) = lines.find(|(known, _)| known == name.as_bytes())?;
        Some(String::from_utf8(value).unwrap())
    }

    fn counted() -> BTreeMap<String, u64> {
        let metrics = fake::with(|envoy| envoy.metrics.clone()).into_iter();
        let gauges = ["release_track.share", "release_track.guard", "release_track.configuration"];
        let is_other = |name: &str| {
            gauges.iter().any(|gauge| name.starts_with(gauge)) || name.contains("panics")
        };
        metrics.filter(|(name, count)| *count > 0 && !is_other(name)).collect()
    }

    #[test]
    fn a_tester_is_tracked_and_the_route_chosen_again_once() {
        let config = start(gateway(), "release-track");
        assert!(config.pass(&[("cookie", "user=tester"), ("x-request-id", ID)], OK));
        assert_eq!(value("x-release-track").unwrap(), "v2");
        assert_eq!(value("baggage").unwrap(), "release-track=v2");
        assert_eq!(value("x-request-id").unwrap(), "73cf9109-747e-4c23-92e0-4494afc95180");
        assert_eq!(fake::with(|envoy| envoy.reroutes), 1);
        let decided = "release_track.decisions_total track=v2 reason=match";
        assert_eq!(counted(), [(decided.to_owned(), 1)].into());
    }

    #[test]
    fn baseline_is_not_written_to() {
        let config = start(gateway(), "release-track");
        assert!(config.pass(&[("cookie", "user=other"), ("x-request-id", ID)], OK));
        assert_eq!(fake::with(|envoy| (envoy.request.len(), envoy.reroutes)), (2, 0));
        let metrics = fake::with(|envoy| envoy.metrics.clone());
        assert_eq!(metrics["release_track.decisions_total track=baseline reason=baseline"], 1);
        // Each is there before it first counts, and so are gauges.
        assert_eq!(metrics["release_track.decisions_total track=v2 reason=match"], 0);
        assert_eq!(metrics["release_track.events_total event=conflict"], 0);
        assert_eq!(metrics["release_track.share track=v2"], 100);
        assert_eq!(metrics["release_track.guard_stopped track=v2"], 0);
        assert!(metrics["release_track.configuration"] > 0);
    }

    #[test]
    fn a_request_that_crossed_is_refused() {
        let config = start(Envoy { direction: Some(1), ..sidecar() }, "release-track");
        assert!(!config.pass(&[("x-release-track", "v2")], OK));
        let (status, headers, body) = fake::with(|envoy| envoy.reply.clone()).unwrap();
        assert_eq!((status, headers.len()), (421, 0));
        assert!(body.contains("track v2 met frontend version v1"), "{body}");
        assert_eq!(counted().len(), 1);
    }

    #[test]
    fn the_filters_name_tells_the_direction_where_envoy_does_not() {
        let request: &[(&str, &str)] = &[("x-release-track", "v2")];
        assert!(!start(sidecar(), "release-track/inbound").pass(request, OK));
        assert!(start(sidecar(), "release-track/outbound").pass(request, OK));
        let propagated = "release_track.propagation_total track=v2 carrier=header".to_owned();
        assert_eq!(counted(), [(propagated, 1)].into());
        // Nobody tells: nothing is done, and Envoy is not asked again.
        let config = start(sidecar(), "release-track");
        for _ in 0..3 {
            assert!(config.pass(request, OK));
        }
        assert_eq!(counted(), BTreeMap::new());
        assert_eq!(fake::with(|envoy| envoy.asked_for_direction), 1);
    }

    #[test]
    fn whatever_call_fails_the_request_goes_on() {
        fail_each_call(gateway, "release-track");
        fail_each_call(|| Envoy { direction: Some(2), ..sidecar() }, "release-track");
        fail_each_call(sidecar, "release-track/inbound");
    }

    fn fail_each_call(envoy: impl Fn() -> Envoy, name: &str) {
        for number in 1.. {
            let config = start(Envoy { fails: Some(number), ..envoy() }, name);
            let track = ("x-release-track", "v2");
            let request = [("cookie", "user=tester"), ("x-request-id", ID), track];
            let goes_on = config.pass(&request, OK);
            let status = fake::with(|envoy| envoy.reply.as_ref().map(|reply| reply.0));
            assert!(goes_on || status == Some(421), "{name}, call {number}");
            assert_eq!(fake::panics(), 0, "{name}, call {number}");
            if fake::with(|envoy| envoy.calls < number) {
                assert!(number > 10, "only {number} calls can fail");
                break;
            }
        }
    }

    #[test]
    fn workers_share_configurations_and_what_is_remembered() {
        const WORKERS: usize = 4;
        let node = Node::new(SIDECAR, &[("app", "advertisement"), ("version", "v1")]);
        let arrives = start(Envoy { node, ..sidecar() }, "release-track/inbound");
        let leaves = fake::configure("release-track/outbound", CONFIG).unwrap();
        let process = fake::with(|envoy| envoy.clone());
        std::thread::scope(|scope| {
            for worker in 0..WORKERS {
                let (process, arrives, leaves) = (process.clone(), &arrives, &leaves);
                scope.spawn(move || {
                    fake::begin(process);
                    for number in 0..200 {
                        // Few enough that all are remembered.
                        let id = 0x3376_878b_0000 + worker * 8 + number % 8;
                        let trace = format!("00-73cf9109747e4c2392e0{id:012x}-00f067aa0ba902b7-01");
                        let trace = ("traceparent", trace.as_str());
                        assert!(leaves.pass(&[trace], OK));
                        assert_eq!(value("x-release-track").is_some(), number >= 8, "{number}");
                        assert!(arrives.pass(&[("x-release-track", "v2"), trace], OK));
                        assert!(leaves.pass(&[trace], OK));
                        assert_eq!(value("x-release-track").as_deref(), Some("v2"), "{number}");
                    }
                    assert_eq!(fake::panics(), 0);
                });
            }
        });
    }

    #[test]
    fn a_refused_configuration_is_told() {
        start(gateway(), "release-track");
        assert!(fake::configure("release-track", "{}").is_none());
        let log = fake::with(|envoy| envoy.log.clone());
        let (level, line) = log.last().unwrap();
        assert_eq!(*level, 4);
        assert!(line.contains("release-track: configuration refused: pluginConfig: "), "{line}");
    }
}
