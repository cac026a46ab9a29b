//! The filter: a configuration at work on one proxy, and which role has a request.
//!
//! ```
//! use release_track::filter::Filter;
//! use release_track::host::fake::FakeHost;
//! use release_track::host::Verdict;
//! use release_track::plan::Response;
//!
//! let id = "router~10.0.0.1~gateway-1.istio-system~istio-system.svc.cluster.local";
//! let mut proxy = FakeHost::node(id, &[]);
//! let rules = br#"{"tracks": [{"name": "v2", "match": [{"cookies": {"user": {"exact": "tester"}}}]}]}"#;
//! let filter = Filter::configure(&mut proxy, rules).unwrap();
//!
//! proxy.request(&[(":method", b"GET"), (":path", b"/"), ("cookie", b"a=b; user=tester")]);
//! let verdict = filter.on_request(&mut proxy, &mut Response::default());
//! assert_eq!(verdict, Verdict::Continue);
//! assert_eq!(proxy.values("x-release-track"), ["v2"]);
//! ```

use crate::carrier::propagator::{Pod, Propagator};
use crate::carrier::view::View;
use crate::config::{Config, Isolation};
use crate::decide::Decider;
use crate::decide::identity::Identity;
use crate::decide::rules::Subject;
use crate::gauges::{self, ShareGauges};
use crate::guard::Guards;
use crate::host::explain::Step;
use crate::host::{Facts, Host, Incoming, Verdict};
use crate::istio::cluster::{Domains, Egress};
use crate::istio::node::{Direction, Kind, Node};
use crate::plan::{self, Arrivals, Endpoints, Metrics, Mode, Plan, Response};
use crate::roles::{gateway, inbound, neutral, outbound, waypoint};
use crate::track::TrackId;
use crate::vocabulary::{Carrier, Family};
use std::sync::atomic::{AtomicBool, Ordering};

/// The gauges are at most this late, in milliseconds.
const TICK_MS: u32 = 5000;

/// A configured filter.
#[derive(Debug)]
pub struct Filter {
    node: Node,
    /// Only where this proxy decides.
    decider: Option<Decider>,
    propagator: Propagator,
    egress: Egress,
    arrivals: Arrivals,
    /// Only at a waypoint, which has the pods behind it.
    endpoints: Option<Endpoints>,
    mode: Mode,
    metrics: Metrics,
    gauges: ShareGauges,
    /// The request headers that a response at the edge depends on, if that is to be said.
    vary: Vec<Box<str>>,
    is_neutral: bool,
    has_warned: AtomicBool,
}

// A native proxy shares it between its workers.
const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<Filter>()
};

impl Filter {
    /// Reads a configuration and the proxy's node. What is wrong with it is one line in the
    /// proxy's log, and `None`: the proxy then keeps the configuration that it had.
    ///
    /// A proxy that had none would answer 500 to every request (Envoy: `MissingConfigFilter`), so
    /// there the filter is neutral instead: it decides nothing until a good configuration comes.
    pub fn configure(host: &mut impl Host, json: &[u8]) -> Option<Self> {
        match Config::parse(json) {
            Ok(config) => {
                let filter = Self::new(host, config);
                configured::note(host);
                Some(filter)
            }
            Err(error) if configured::is_noted(host) => {
                log::error!("release-track: configuration refused: {error}");
                None
            }
            Err(error) => {
                let error = error.to_string();
                if configured::is_news(host, error.as_bytes()) {
                    log::error!(
                        "release-track: configuration refused: {error} (and there is none to \
                         keep: nothing is decided until a good one comes)"
                    );
                }
                let mut filter = Self::new(host, Config::neutral()?);
                filter.is_neutral = true;
                Some(filter)
            }
        }
    }

    /// Whether it waits for a good configuration, and decides nothing.
    pub fn is_neutral(&self) -> bool {
        self.is_neutral
    }

    /// A filter for the proxy at hand.
    pub fn new(host: &mut impl Host, config: Config) -> Self {
        let node = Node::read(host, &config.labels);
        log::info!("release-track {}: {:?} {}", env!("CARGO_PKG_VERSION"), node.kind, node.id);
        let vary = if config.vary { depends_on(&config) } else { Vec::new() };
        let endpoints = Endpoints { workloads: config.workloads, fallbacks: config.fallbacks };
        // Only a sidecar's pod is one of a track.
        let arrivals = match node.kind {
            Kind::Sidecar => endpoints.arrivals(node.pod.clone()),
            Kind::Gateway | Kind::Waypoint | Kind::Unknown => Arrivals::default(),
        };
        let endpoints = (node.kind == Kind::Waypoint).then_some(endpoints);
        let decides = match node.kind {
            Kind::Gateway => config.edge.gateway,
            Kind::Sidecar => config.edge.inbound.iter().any(|app| node.pod.is_of(app)),
            Kind::Waypoint | Kind::Unknown => false,
        };
        let carries = !matches!((node.kind, decides), (Kind::Gateway, true) | (Kind::Unknown, _));
        let counts_dry = config.dry_run || config.dry_tracks.contains(&true);
        let metrics = Metrics::define(host, &config.names, |family| match family {
            Family::Decisions => decides,
            Family::DryDecisions => decides && counts_dry,
            Family::Arrivals => matches!(node.kind, Kind::Sidecar | Kind::Waypoint),
            Family::Propagation => carries,
            Family::Answers => decides && !config.guards.is_empty() && !config.dry_run,
            Family::Events => true,
        });
        let mode = Mode {
            dry_run: config.dry_run,
            expose: config.expose,
            enforce: config.isolation == Isolation::Enforce,
        };
        let own_domains = Domains::of_mesh(&node.dns_domain, &node.pod.namespace);
        let egress = Egress {
            strip: config.egress.strip,
            domains: own_domains.and(config.egress.mesh_domains),
        };
        let pod = Pod {
            is_sidecar: node.kind == Kind::Sidecar,
            tracks: &arrivals.tracks,
            callers: endpoints.as_ref().map(Endpoints::pods).unwrap_or_default(),
        };
        let names = config.names.clone();
        let propagator = Propagator::new(host, names, config.header, config.propagation, pod);
        let sets_cookies = node.kind == Kind::Gateway;
        let all_dry =
            config.shares.tracks().all(|track| config.dry_tracks.get(track.index()) == Some(&true));
        let decider = decides.then(|| Decider {
            names: config.names,
            gives_identities: sets_cookies && !config.dry_run && !all_dry,
            // In a dry run all tracks are alike.
            dry_tracks: if config.dry_run { Vec::new() } else { config.dry_tracks },
            rules: config.rules,
            shares: config.shares,
            // In a dry run nothing follows a track, and no response says anything about one.
            guards: if config.dry_run { Guards::default() } else { config.guards },
            identity: config.identity,
            preview: config.preview.and_then(|preview| preview.open(host)),
            sets_cookies,
            trusts: config.trust_incoming,
        });
        gauges::tell_configuration(host, config.fingerprint);
        let gauges = match &decider {
            Some(decider) => ShareGauges::define(host, &decider.names),
            None => ShareGauges::default(),
        };
        let filter = Self {
            node,
            decider,
            propagator,
            egress,
            arrivals,
            endpoints,
            mode,
            metrics,
            gauges,
            vary,
            is_neutral: false,
            has_warned: AtomicBool::new(false),
        };
        if let Some(decider) = &filter.decider {
            decider.guards.open(host);
        }
        filter.on_tick(host);
        filter
    }

    /// How often it is to be called back ([`Self::on_tick`]), in milliseconds, if at all.
    pub fn ticks(&self) -> Option<u32> {
        let decider = self.decider.as_ref()?;
        let moves = decider.shares.move_with_the_clock() || !decider.guards.is_empty();
        moves.then_some(TICK_MS)
    }

    /// Has the guard of the track of this name stop its shares; `false` if it has none here.
    #[cfg(not(target_family = "wasm"))]
    pub fn stop_shares(&self, host: &mut impl Host, track: &str) -> bool {
        let decider = self.decider.as_ref();
        decider.is_some_and(|decider| decider.guards.stop_by_hand(host, &decider.names, track))
    }

    /// Time has passed.
    pub fn on_tick(&self, host: &mut impl Host) {
        if let Some(Decider { shares, guards, names, dry_tracks, .. }) = &self.decider {
            let is_dry =
                |track: TrackId| self.mode.dry_run || dry_tracks.get(track.index()) == Some(&true);
            self.gauges.tell(host, shares, guards, names, is_dry);
        }
    }

    /// The request headers have arrived. What the response will need is left in `response`.
    pub fn on_request<'h>(
        &self,
        host: &mut (impl Host + Incoming<'h>),
        response: &mut Response,
    ) -> Verdict {
        if self.node.kind == Kind::Unknown {
            self.do_nothing(host, "its node id is none of Istio's");
            return Verdict::Continue;
        }
        let Ok(headers) = host.request_headers() else { return Verdict::Continue };
        let view = self.propagator.view(&headers);
        let Some(mut plan) = self.plan(host, &view) else { return Verdict::Continue };
        let Self { propagator, arrivals, mode, metrics, .. } = self;
        plan.settle(host, &view, propagator.names(), arrivals, *mode);
        plan::apply(host, &view, plan, arrivals, propagator, metrics, response)
    }

    /// The plan of the role that has the request; `None` where nothing has to be done.
    fn plan(&self, facts: &mut impl Facts, view: &View<'_>) -> Option<Plan> {
        let Self { propagator, egress, .. } = self;
        if self.is_neutral {
            return Some(neutral::plan(facts, self.node.kind));
        }
        match (self.node.kind, &self.decider) {
            (Kind::Gateway, Some(decider)) => {
                Some(gateway::decide(facts, view, decider, propagator, egress))
            }
            (Kind::Gateway, None) | (Kind::Waypoint, _) => {
                Some(waypoint::decide(facts, view, propagator, egress))
            }
            // To ask for the direction is a hostcall, and most requests can do without.
            (Kind::Sidecar, None)
                if !facts.is_explaining() && propagator.is_silent(facts, view) =>
            {
                None
            }
            (Kind::Sidecar, decider) => match (Direction::read(facts), decider) {
                (Some(Direction::Inbound), Some(decider)) => {
                    Some(inbound::decide(facts, view, decider, propagator, egress))
                }
                (Some(Direction::Inbound), None) => Some(inbound::carry(facts, view, propagator)),
                (Some(Direction::Outbound), _) => {
                    Some(outbound::decide(facts, view, propagator, egress))
                }
                (None, _) => {
                    self.do_nothing(facts, "its listener has no direction");
                    None
                }
            },
            (Kind::Unknown, _) => None,
        }
    }

    /// The response's headers have arrived.
    pub fn on_response<'h>(&self, host: &mut (impl Host + Incoming<'h>), response: &Response) {
        if response.is_done() {
            return;
        }
        plan::count_leak(host, response, &self.egress, &self.metrics);
        if let Some(endpoints) = &self.endpoints {
            plan::count_arrival(host, response, endpoints, &self.metrics);
        }
        if let (Some(Decider { guards, names, .. }), Some(follows)) =
            (&self.decider, response.decided())
            && !guards.is_empty()
            && plan::observe(host, follows, guards, names, &self.metrics)
        {
            self.on_tick(host);
        }
        plan::respond(host, response, self.propagator.header_name(), &self.vary);
    }

    fn do_nothing(&self, facts: &mut impl Facts, why: &str) {
        facts.explain(Step::Nothing(why));
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let id = &self.node.id;
            log::warn!("release-track: does nothing on this proxy ({id:?}): {why}");
        }
    }
}

/// Whether this process ever had a good configuration, in the proxy's shared data: all its workers
/// see it, and it is gone with the process.
mod configured {
    use crate::host::{Facts, Host};

    const KEY: &[u8] = b"release-track/1/configured";

    pub(super) fn is_noted(facts: &mut impl Facts) -> bool {
        matches!(facts.shared_data(KEY), Ok(Some((value, _))) if !value.is_empty())
    }

    /// Whether no worker has told this error yet.
    pub(super) fn is_news(host: &mut impl Host, error: &[u8]) -> bool {
        const TOLD: &[u8] = b"release-track/1/refused";
        let is_told = matches!(host.shared_data(TOLD), Ok(Some((told, _))) if told == error);
        let _ = host.set_shared_data(TOLD, error, 0);
        !is_told
    }

    pub(super) fn note(host: &mut impl Host) {
        if !is_noted(host) {
            let _ = host.set_shared_data(KEY, b"1", 0);
        }
    }
}

/// The request headers that a decision reads. Method, authority and path are part of every
/// cache's key anyway.
fn depends_on(config: &Config) -> Vec<Box<str>> {
    let mut names: Vec<Box<str>> = Vec::new();
    let mut add = |name: &str| {
        if !names.iter().any(|known| **known == *name) {
            names.push(name.into());
        }
    };
    for subject in config.rules.subjects() {
        match subject {
            Subject::Cookie(_) => add("cookie"),
            // The name of a header is a token, all of it ASCII.
            Subject::Header(name) => add(str::from_utf8(name).unwrap_or_default()),
            Subject::QueryParam(_) | Subject::Uri | Subject::Method | Subject::Authority => {}
        }
    }
    match &config.identity {
        _ if config.shares.is_empty() => {}
        Identity::Cookie(_) => add("cookie"),
        Identity::Header(name) => add(name),
        Identity::QueryParam(_) => {}
    }
    if config.preview.is_some() {
        add("cookie");
    }
    if config.trust_incoming {
        for carrier in Carrier::ALL {
            match carrier {
                Carrier::Header => add(&config.header),
                Carrier::Baggage => add("baggage"),
                // No two requests have the same id; the rest is not in the request.
                Carrier::RequestId | Carrier::TraceId | Carrier::Remembered | Carrier::Workload => {
                }
            }
        }
    }
    names
}
