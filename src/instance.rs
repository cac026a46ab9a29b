//! One configuration on one proxy: what all roles share.

use crate::carrier::baggage::{self, Reading};
use crate::carrier::request_id::Tag;
use crate::carrier::{Carrier, Edit, Extracted, header};
use crate::config::{Config, Identity, PreviewConfig, PreviewKeys};
use crate::egress::{self, Domains, Leads};
use crate::header_map::HeaderMap;
use crate::host::{Host, Level};
use crate::matching::Subject;
use crate::memory::Memory;
use crate::metrics::{Counts, Event, Metrics};
use crate::node::{Kind, Node};
use crate::request::{Lines, Request, Watched};
use crate::step::Step;
use crate::token::{self, Tokens};
use crate::track::{BASELINE, Carried};

/// A configuration, and what it comes to on the proxy at hand.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) config: Config,
    pub(crate) node: Node,
    pub(crate) metrics: Metrics,
    /// Only a sidecar sees both ends of what an application forwards.
    pub(crate) memory: Option<Memory>,
    pub(crate) preview: Option<Tokens>,
    /// The request headers that an answer at the edge depends on, if that is to be said.
    pub(crate) vary: Vec<Box<str>>,
    domains: Domains,
    watched: Watched,
}

impl Instance {
    pub(crate) fn new(host: &mut impl Host, mut config: Config) -> Self {
        let node = Node::read(host, &config);
        host.log(
            Level::Info,
            &format!("release-track {}: {:?} {}", env!("CARGO_PKG_VERSION"), node.kind, node.id),
        );
        let decides = match node.kind {
            Kind::Gateway => config.edge.gateway,
            Kind::Sidecar => node.decides_inbound,
            Kind::Waypoint | Kind::Unknown => false,
        };
        let carries = !matches!((node.kind, decides), (Kind::Gateway, true) | (Kind::Unknown, _));
        let counts = Counts {
            decisions: decides,
            dry_decisions: decides && (config.dry_run || config.dry_tracks.contains(&true)),
            arrivals: node.kind == Kind::Sidecar,
            propagation: carries,
        };
        let sources = config.propagation.correlate.sources();
        let remembers = node.kind == Kind::Sidecar && !sources.is_empty();
        let own_domains = || Domains::of_mesh(&node.dns_domain, &node.pod.namespace);
        Self {
            vary: if config.vary { depends_on(&config) } else { Vec::new() },
            preview: config.preview.take().and_then(|preview| open(host, preview)),
            metrics: Metrics::define(host, &config.names, counts),
            memory: remembers
                .then(|| Memory::new(host, config.propagation.slots, config.propagation.ttl_ms)),
            watched: Watched::new(&config.header, sources),
            domains: config.egress.mesh_domains.take().unwrap_or_else(own_domains),
            node,
            config,
        }
    }

    /// The request at hand.
    pub(crate) fn view<'a>(&self, headers: &'a HeaderMap) -> Request<'a> {
        Request::read(headers, &self.watched)
    }

    /// Whether an application may take this header for one of ours.
    pub(crate) fn is_twin(&self, name: &[u8]) -> bool {
        self.watched.is_twin(name)
    }

    /// Whether any trace id is remembered at all. Asked once for a request.
    pub(crate) fn remembers(&self, host: &mut impl Host, request: &Request<'_>) -> bool {
        let ask = || self.memory.as_ref().is_some_and(|memory| memory.is_live(host));
        *request.remembers.get_or_init(ask)
    }

    /// What the carriers in the request say, best first. They are asked once for a request.
    pub(crate) fn extract(&self, host: &mut impl Host, request: &Request<'_>) -> Option<Extracted> {
        *request.extracted.get_or_init(|| self.ask(host, request))
    }

    fn ask(&self, host: &mut impl Host, request: &Request<'_>) -> Option<Extracted> {
        let Config { names, propagation, .. } = &self.config;
        let says = header::extract(request.track, names);
        self.heard(host, Carrier::Header, request.headers, says)
            .or_else(|| {
                let read = request.has_baggage && propagation.baggage;
                let says = read.then(|| baggage::extract(request.headers, names)).flatten();
                self.heard(host, Carrier::Baggage, request.headers, says)
            })
            .or_else(|| {
                let id = propagation.request_id.then(|| request.uuid()).flatten();
                let says = id.and_then(|id| propagation.tagger.extract(id));
                self.heard(host, Carrier::RequestId, request.headers, says)
            })
    }

    /// What one carrier says.
    pub(crate) fn heard(
        &self,
        host: &mut impl Host,
        carrier: Carrier,
        headers: &HeaderMap,
        says: Option<Carried>,
    ) -> Option<Extracted> {
        if host.listens() {
            self.tell(host, carrier, headers, says);
        }
        Some(Extracted { carrier, says: says? })
    }

    fn tell(
        &self,
        host: &mut impl Host,
        carrier: Carrier,
        headers: &HeaderMap,
        says: Option<Carried>,
    ) {
        let lines: Vec<_> = match carrier {
            Carrier::Header => headers.lines(self.config.header.as_bytes()).collect(),
            Carrier::Baggage => headers.lines(b"baggage").collect(),
            Carrier::RequestId => headers.lines(b"x-request-id").collect(),
            Carrier::Remembered | Carrier::Workload => Vec::new(),
        };
        let says = says.map(|says| self.label(says));
        host.explain(Step::Carrier { carrier: carrier.label(), lines: &lines, says });
    }

    /// Whether a decision for this is only counted, while others are not.
    pub(crate) fn is_dry(&self, follows: Carried) -> bool {
        match follows {
            Carried::Track(track) => self.config.is_dry(track) && !self.config.dry_run,
            Carried::Baseline | Carried::Other => false,
        }
    }

    /// The name of what a request follows: a track, `baseline` or `other`.
    pub(crate) fn label(&self, follows: Carried) -> &str {
        match follows {
            Carried::Track(track) => self.config.names.of(track),
            Carried::Baseline => BASELINE,
            Carried::Other => "other",
        }
    }

    /// Makes the header say what the request follows. A request on baseline has none; what is
    /// already there is removed where it is not believed, or contradicts itself.
    pub(crate) fn inject_header(
        &self,
        host: &mut impl Host,
        request: &Request<'_>,
        follows: Carried,
        believed: bool,
    ) {
        let edit = match follows {
            Carried::Track(track) => header::inject(request.track, self.config.names.of(track)),
            _ if believed && !request.track.is_conflicting() => Edit::Keep,
            Carried::Baseline | Carried::Other => header::remove(request.track),
        };
        apply(host, self.config.header.as_bytes(), edit);
    }

    /// Makes the baggage say what the request follows.
    pub(crate) fn inject_baggage(
        &self,
        host: &mut impl Host,
        request: &Request<'_>,
        follows: Carried,
        believed: bool,
    ) {
        let reading = if believed { Reading::Strict } else { Reading::Any };
        let edit = match follows {
            Carried::Track(track) if self.config.propagation.baggage => {
                let injected =
                    baggage::inject(request.headers, self.config.names.of(track), reading);
                if injected.full {
                    self.metrics.happened(host, Event::BaggageFull);
                }
                injected.edit
            }
            _ if !believed && request.has_baggage => baggage::remove(request.headers, reading),
            _ => Edit::Keep,
        };
        apply(host, b"baggage", edit);
    }

    /// The tag that the request's id has to bear, if any. On a pod that belongs to a track,
    /// baseline is said out loud.
    pub(crate) fn tag(&self, follows: Carried, inbound: bool) -> Option<Tag> {
        match follows {
            _ if !self.config.propagation.request_id || self.config.dry_run => None,
            Carried::Track(track) => Some(Tag::Track(track)),
            Carried::Baseline if inbound && !self.node.tracks.is_empty() => Some(Tag::Baseline),
            Carried::Baseline | Carried::Other => None,
        }
    }

    /// Makes a believed id say what the request follows.
    pub(crate) fn inject_id(
        &self,
        host: &mut impl Host,
        request: &Request<'_>,
        follows: Carried,
        inbound: bool,
    ) {
        let tag = self.tag(follows, inbound);
        // A baseline that an application asked for must outlast a tag that came before it.
        let asked_for = follows == Carried::Baseline
            && (request.track.first().is_some() || request.has_baggage)
            && self.config.propagation.request_id;
        if tag.is_none() && !asked_for {
            return;
        }
        let Some(id) = request.uuid() else { return };
        let tagger = &self.config.propagation.tagger;
        let overruled = || matches!(tagger.extract(id), Some(Carried::Track(_)));
        let Some(tag) = tag.or_else(|| overruled().then_some(Tag::Baseline)) else { return };
        if let Some(id) = tagger.inject(id, tag) {
            apply(host, b"x-request-id", Edit::Set(id.to_vec()));
        }
    }

    /// Where the request goes; what leaves the mesh counts as inside where `egress` says so.
    pub(crate) fn leads(&self, host: &mut impl Host) -> Leads {
        match egress::leads(&self.domains, host) {
            Leads::Outside if !self.config.egress.strip => Leads::Inside,
            leads => leads,
        }
    }

    /// Whether the request leaves the mesh. Then its track is removed, and nothing else is done.
    /// The route's cluster is read only if there is something to remove or to stamp.
    pub(crate) fn strip(
        &self,
        host: &mut impl Host,
        request: &Request<'_>,
        follows: Carried,
    ) -> bool {
        if !self.config.egress.strip {
            return false;
        }
        let bears = || {
            request.track != Lines::None
                || request.has_baggage
                    && baggage::remove(request.headers, Reading::Strict) != Edit::Keep
        };
        let concerns = matches!(follows, Carried::Track(_)) || bears();
        if !concerns || self.leads(host) != Leads::Outside {
            return false;
        }
        let header = header::remove(request.track);
        let baggage = match request.has_baggage {
            true => baggage::remove(request.headers, Reading::Any),
            false => Edit::Keep,
        };
        host.explain(Step::LeavesTheMesh);
        if header != Edit::Keep || baggage != Edit::Keep {
            apply(host, self.config.header.as_bytes(), header);
            apply(host, b"baggage", baggage);
            self.metrics.happened(host, Event::Stripped);
        }
        true
    }
}

/// Finds the keys of preview tokens.
fn open(host: &mut impl Host, preview: PreviewConfig) -> Option<Tokens> {
    let PreviewConfig { keys, parameter, cookie } = preview;
    let keys = match keys {
        PreviewKeys::Given(keys) => keys,
        PreviewKeys::From(name) => {
            let text = host.environment(&name).unwrap_or_default();
            match token::Key::list(&text) {
                Some(keys) if !keys.is_empty() => keys,
                keys => {
                    let problem = if keys.is_some() {
                        "is not set"
                    } else {
                        "holds no keys of 32 to 128 hex digits"
                    };
                    host.log(
                        Level::Warn,
                        &format!("release-track: preview links are off: preview.keysFrom: the variable {name:?} {problem}"),
                    );
                    return None;
                }
            }
        }
    };
    Some(Tokens::new(keys, &parameter, &cookie))
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
            Subject::Header(name) => add(&String::from_utf8_lossy(name)),
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
        add(&config.header);
        add("baggage");
    }
    names
}

/// Writes an edit, and nothing where nothing changes: every write makes Envoy choose the route
/// again. Where the proxy refuses, the request goes on as it is.
pub(crate) fn apply(host: &mut impl Host, name: &[u8], edit: Edit) {
    let _ = match edit {
        Edit::Keep => Ok(()),
        Edit::Set(value) => host.set_request_header(name, &value),
        Edit::Remove => host.remove_request_header(name),
    };
}
