//! The propagator: all carriers of a track, in one table.
//!
//! What is watched, extracted, injected, removed and explained stands here, each as a `match` over
//! all carriers: a new one that is forgotten in any of these does not compile.

use super::baggage::{self, Reading};
use super::memory::{Memory, Remembered, Renewal};
use super::mint::{self, Mint};
use super::request_id::{Tag, Tagger, Uuid};
use super::trace_id::{Correlate, Source, TraceId};
use super::view::{Extracted, Found, Lines, View, Watched};
use super::workload::Lender;
use super::{Edit, header};
use crate::host::explain::Step;
use crate::host::header_map::HeaderMap;
use crate::host::{Facts, Host};
use crate::istio::node::Workload;
use crate::track::{BASELINE, Carried, Names, TrackId};
use crate::vocabulary::Carrier;
use serde::Deserialize;

const BAGGAGE: &str = "baggage";
const REQUEST_ID: &str = "x-request-id";

/// At most this many ids of one request are remembered.
const REMEMBERED: usize = 3;

/// `propagation`: how a track is carried on.
#[derive(Debug)]
pub struct Propagation {
    pub request_id: bool,
    pub baggage: bool,
    pub orphans: Orphans,
    /// Made from `keys`; also where `request_id` is off, for the edge spoils tags all the same.
    pub tagger: Tagger,
    pub correlate: Correlate,
    pub mint: Mint,
    /// Milliseconds.
    pub ttl_ms: u64,
    /// 1 to 65,536.
    pub slots: u32,
}

/// What an outbound request follows when no carrier says anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema, serde::Serialize))]
#[serde(rename_all = "camelCase", expecting = "workload or baseline")]
pub enum Orphans {
    /// The track that the calling pod belongs to.
    #[default]
    Workload,
    /// No track.
    Baseline,
}

/// The pod that a proxy serves, as far as carriers are concerned.
#[derive(Debug)]
pub struct Pod<'a> {
    /// It hands requests to an application, and sees the calls made for them.
    pub is_sidecar: bool,
    /// The tracks that the pod belongs to.
    pub tracks: &'a [TrackId],
    /// At a waypoint, the pods of tracks that may call.
    pub callers: Vec<(Workload, TrackId)>,
}

/// The carriers of one configuration, on one proxy.
#[derive(Debug)]
pub struct Propagator {
    names: Names,
    /// Lower case.
    header: Box<str>,
    propagation: Propagation,
    watched: Watched,
    memory: Option<Memory>,
    /// The pod belongs to some track: there, baseline is said out loud.
    says_baseline: bool,
    /// Who lends a track to calls that say nothing.
    lender: Lender,
}

/// What is done to a request's carriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Nothing.
    Leave,
    /// The request leaves the mesh: the header and the baggage member go.
    Strip,
    /// It came from a client, and nothing is stamped: all goes that could be taken for ours.
    Clear,
    /// It came from a client: the same, but for what was decided, which is stamped.
    Guard,
    /// It is believed, and handed to an application: all is filled that one may forward.
    HandOver,
    /// A pod makes a call.
    Call,
    /// It passes by, and its route is chosen.
    Pass,
}

impl Treatment {
    /// The same, but nothing is written that says what a request follows.
    pub fn without_stamps(self) -> Self {
        match self {
            Self::Clear | Self::Guard => Self::Clear,
            Self::Strip => Self::Strip,
            Self::Leave | Self::HandOver | Self::Call | Self::Pass => Self::Leave,
        }
    }
}

/// What has to be done to one carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    None,
    /// An edit of this header.
    Header(&'a str, Edit),
    /// The same, and the header has no room for the track.
    NoRoom(&'a str, Edit),
    /// Edits of several headers.
    Headers(Vec<(&'static str, Edit)>),
    /// The request's trace ids are remembered with this name.
    Remember(&'a str),
    /// What is remembered of the request's trace ids tells nothing any more.
    Contradict,
}

impl Propagator {
    /// Makes the memory where this proxy needs one.
    pub fn new(
        host: &mut impl Host,
        names: Names,
        header: Box<str>,
        propagation: Propagation,
        pod: Pod<'_>,
    ) -> Self {
        let sources = propagation.correlate.sources();
        // Only a sidecar sees both ends of what an application forwards.
        let remembers = pod.is_sidecar && !sources.is_empty();
        let memory = remembers.then(|| Memory::new(host, propagation.slots, propagation.ttl_ms));
        let lender = match (propagation.orphans, pod.tracks) {
            (Orphans::Workload, [track]) => Lender::Pod(*track),
            (Orphans::Workload, []) if !pod.callers.is_empty() => Lender::Caller(pod.callers),
            (Orphans::Workload | Orphans::Baseline, _) => Lender::Nobody,
        };
        let mut watched = watched(&header, sources);
        watched.reads_traces = propagation.mint.is_on();
        Self {
            watched,
            says_baseline: !pod.tracks.is_empty(),
            names,
            header,
            propagation,
            memory,
            lender,
        }
    }

    /// The configured header, in lower case.
    pub fn header_name(&self) -> &str {
        &self.header
    }

    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Whether the pod belongs to some track, so that a request on baseline has to say so.
    pub fn says_baseline(&self) -> bool {
        self.says_baseline
    }

    /// The request at hand.
    pub fn view<'a>(&self, headers: &'a HeaderMap<'a>) -> View<'a> {
        View::read(headers, &self.watched)
    }

    // === extract ===

    /// What the carriers in the request say, best first. They are asked once for a request.
    #[inline(never)]
    pub fn extract(&self, facts: &mut impl Facts, view: &View<'_>) -> Option<Extracted> {
        *view.extracted.get_or_init(|| self.first(facts, view, &mut None, is_in_request))
    }

    /// What a call follows: what its carriers say, else what is remembered of it, else what the
    /// pod that makes it belongs to. A hit in the memory is left in `renewal`.
    pub fn extract_from_call(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        renewal: &mut Option<Renewal>,
    ) -> Option<Extracted> {
        self.extract(facts, view)
            .or_else(|| self.first(facts, view, renewal, |carrier| !is_in_request(carrier)))
    }

    #[inline]
    fn first(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        renewal: &mut Option<Renewal>,
        is_asked: impl Fn(Carrier) -> bool,
    ) -> Option<Extracted> {
        Carrier::ALL.iter().copied().filter(|carrier| is_asked(*carrier)).find_map(|carrier| {
            let says = self.read(facts, view, renewal, carrier);
            if facts.is_explaining() {
                self.explain(facts, view, carrier, says);
            }
            Some(Extracted { carrier, says: says? })
        })
    }

    /// What one carrier says.
    #[inline]
    fn read(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        renewal: &mut Option<Renewal>,
        carrier: Carrier,
    ) -> Option<Carried> {
        let Propagation { request_id, baggage, tagger, correlate, mint, .. } = &self.propagation;
        match carrier {
            Carrier::Header => header::extract(view.track, &self.names),
            Carrier::Baggage if !view.has_baggage || !baggage => None,
            Carrier::Baggage => baggage::extract(view.headers, &self.names),
            Carrier::RequestId if !request_id => None,
            Carrier::RequestId => view.uuid().and_then(|id| tagger.extract(id)),
            Carrier::TraceId if !view.has_trace || !mint.is_on() => None,
            Carrier::TraceId => mint::extract(view.headers, tagger),
            Carrier::Remembered => {
                if !self.remembers(facts, view) {
                    return None;
                }
                let ids = view.trace_ids(correlate);
                let recalled = self.memory.as_ref()?.recall(facts, ids)?;
                *renewal = Some(recalled.renewal);
                self.names.read(&recalled.name)
            }
            Carrier::Workload => self.lender.lends(facts).map(Carried::Track),
        }
    }

    /// Whether one of the request's trace ids can be remembered: it has some, and any id at all
    /// is. The proxy is asked once for a request.
    fn remembers(&self, facts: &mut impl Facts, view: &View<'_>) -> bool {
        let Some(memory) = &self.memory else { return false };
        view.has_trace_ids(&self.propagation.correlate)
            && *view.remembers.get_or_init(|| memory.is_live(facts))
    }

    /// Whether the request bears what has to go where it leaves the mesh. A tag may stay: it says
    /// nothing to who has no key, and both ends of a call log the same id.
    pub fn is_borne(&self, view: &View<'_>) -> bool {
        Carrier::ALL.iter().any(|carrier| match carrier {
            Carrier::Header => view.track != Lines::None,
            Carrier::Baggage => member_removed(view, Reading::Strict) != Edit::Keep,
            Carrier::RequestId | Carrier::TraceId | Carrier::Remembered | Carrier::Workload => {
                false
            }
        })
    }

    /// Whether nothing has to be done about the request on either side of a pod: it bears nothing
    /// of ours, says nothing, and cannot contradict what is remembered.
    pub fn is_silent(&self, facts: &mut impl Facts, view: &View<'_>) -> bool {
        !self.says_baseline
            && !self.is_borne(view)
            && self.extract(facts, view).is_none()
            && !self.remembers(facts, view)
    }

    /// Whether a request that follows this has no carrier that might have to be changed, whatever
    /// its treatment, but its id.
    #[inline]
    pub fn is_plain(&self, view: &View<'_>, follows: Carried) -> bool {
        follows == Carried::Baseline
            && !self.says_baseline
            && view.is_plain()
            && !view.has_trace_ids(&self.propagation.correlate)
    }

    // === explain ===

    fn explain(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        carrier: Carrier,
        says: Option<Carried>,
    ) {
        let lines: Vec<_> = match carrier {
            Carrier::Header => view.headers.lines(self.header.as_bytes()).collect(),
            Carrier::Baggage => view.headers.lines(BAGGAGE.as_bytes()).collect(),
            Carrier::RequestId => view.headers.lines(REQUEST_ID.as_bytes()).collect(),
            Carrier::TraceId if !self.propagation.mint.is_on() => return,
            Carrier::TraceId => mint::lines(view.headers),
            Carrier::Remembered if self.memory.is_none() => return,
            Carrier::Remembered if !view.has_trace_ids(&self.propagation.correlate) => return,
            Carrier::Remembered | Carrier::Workload => Vec::new(),
        };
        let says = says.map(|says| self.names.label(says));
        facts.explain(Step::Carrier { carrier, lines: &lines, says });
    }

    // === inject and remove ===

    /// What has to be done to one carrier, so that it says what the request follows, or nothing,
    /// as its treatment wants it.
    #[inline(always)]
    pub fn change<'a>(
        &'a self,
        facts: &mut impl Facts,
        view: &View<'_>,
        carrier: Carrier,
        treatment: Treatment,
        follows: Carried,
    ) -> Change<'a> {
        use Treatment::{Call, Clear, Guard, HandOver, Leave, Pass, Strip};
        let id = match follows {
            Carried::Track(track) => Some(track),
            Carried::Baseline | Carried::Other => None,
        };
        let track = id.map(|track| self.names.of(track));
        match (carrier, treatment) {
            (_, Leave) => Change::None,

            (Carrier::Header, Strip | Clear) => self.header(header::remove(view.track)),
            (Carrier::Header, Guard) => self.header(match track {
                Some(track) => header::inject(view.track, track),
                None => header::remove(view.track),
            }),
            // What contradicts itself says nothing, and goes; what is not known here goes on.
            (Carrier::Header, HandOver | Call | Pass) => self.header(match track {
                Some(track) => header::inject(view.track, track),
                None if view.track.is_conflicting() => header::remove(view.track),
                None => Edit::Keep,
            }),

            (Carrier::Baggage, Strip | Clear) => {
                Change::Header(BAGGAGE, member_removed(view, Reading::Any))
            }
            (Carrier::Baggage, Guard) => self.member(view, track, Reading::Any),
            (Carrier::Baggage, HandOver) => self.member(view, track, Reading::Strict),
            (Carrier::Baggage, Call | Pass) => Change::None,

            (Carrier::RequestId, Strip | Pass) => Change::None,
            (Carrier::RequestId, Clear) => Change::Header(REQUEST_ID, self.guarded_id(view, None)),
            (Carrier::RequestId, Guard) => {
                let tag = self.tag(follows, self.says_baseline);
                Change::Header(REQUEST_ID, self.guarded_id(view, tag))
            }
            (Carrier::RequestId, HandOver) => self.believed_id(view, follows, self.says_baseline),
            // Both ends of a hop then log one id.
            (Carrier::RequestId, Call) => self.believed_id(view, follows, false),

            (Carrier::TraceId, Clear) => Change::Headers(self.guarded_traces(view)),
            (Carrier::TraceId, Guard) => {
                let mut edits = self.guarded_traces(view);
                edits.extend(self.minted(facts, view, id));
                Change::Headers(edits)
            }
            (Carrier::TraceId, HandOver) => Change::Headers(self.minted(facts, view, id)),
            (Carrier::TraceId, Strip | Call | Pass) => Change::None,

            (Carrier::Remembered, Guard | HandOver) => self.note(facts, view, follows),
            (Carrier::Remembered, Strip | Clear | Call | Pass) => Change::None,

            // The pod's labels are nobody's to change.
            (Carrier::Workload, _) => Change::None,
        }
    }

    /// The headers that an application may take for ours, and what has to be done to them, where what a client sent is not believed.
    pub fn aliases<'v>(&self, view: &View<'v>, treatment: Treatment) -> Vec<(&'v [u8], Edit)> {
        use Treatment::{Call, Clear, Guard, HandOver, Leave, Pass, Strip};
        match treatment {
            Clear | Guard if view.has_alias => {
                let tagger = &self.propagation.tagger;
                let names = view.headers.iter().map(|(name, _)| name);
                let edits = names.map(|name| match self.watched.is_alias(name) {
                    true => (name, Edit::Remove),
                    false => match baggage::remove_alias(view.headers, name) {
                        // It may hold a trace id, too.
                        Edit::Set(list) => (name, Edit::Set(mint::spoil(list, tagger))),
                        edit => (name, edit),
                    },
                });
                edits.filter(|(_, edit)| *edit != Edit::Keep).collect()
            }
            Clear | Guard | Leave | Strip | HandOver | Call | Pass => Vec::new(),
        }
    }

    fn header(&self, edit: Edit) -> Change<'_> {
        Change::Header(&self.header, edit)
    }

    /// Our member of the baggage, with the track; without one, what a client sent goes.
    #[inline(never)]
    fn member(&self, view: &View<'_>, track: Option<&str>, reading: Reading) -> Change<'_> {
        match track {
            Some(track) if self.propagation.baggage => {
                let injected = baggage::inject(view.headers, track, reading);
                if injected.full {
                    Change::NoRoom(BAGGAGE, injected.edit)
                } else {
                    Change::Header(BAGGAGE, injected.edit)
                }
            }
            _ if reading == Reading::Strict => Change::None,
            _ => Change::Header(BAGGAGE, member_removed(view, reading)),
        }
    }

    /// The tag that the request's id has to bear, if any.
    fn tag(&self, follows: Carried, says_baseline: bool) -> Option<Tag> {
        match follows {
            _ if !self.propagation.request_id => None,
            Carried::Track(track) => Some(Tag::Track(track)),
            Carried::Baseline if says_baseline => Some(Tag::Baseline),
            Carried::Baseline | Carried::Other => None,
        }
    }

    /// A believed id that says what the request follows.
    #[inline(never)]
    fn believed_id(&self, view: &View<'_>, follows: Carried, says_baseline: bool) -> Change<'_> {
        let tag = self.tag(follows, says_baseline);
        // A baseline that an application asked for must outlast a tag that came before it.
        let asked_for = follows == Carried::Baseline
            && (view.track.first().is_some() || view.has_baggage)
            && self.propagation.request_id;
        if tag.is_none() && !asked_for {
            return Change::None;
        }
        let Some(id) = view.uuid() else { return Change::None };
        let tagger = &self.propagation.tagger;
        let overruled = || matches!(tagger.extract(id), Some(Carried::Track(_)));
        let tag = tag.or_else(|| overruled().then_some(Tag::Baseline));
        match tag.and_then(|tag| tagger.inject(id, tag)) {
            Some(id) => Change::Header(REQUEST_ID, Edit::Set(id.to_vec())),
            None => Change::None,
        }
    }

    /// One id in place of all that a client sent, with this tag or with none that counts.
    #[inline(never)]
    fn guarded_id(&self, view: &View<'_>, tag: Option<Tag>) -> Edit {
        let Some(line) = view.id.first() else {
            return Edit::Keep;
        };
        let tagger = &self.propagation.tagger;
        let guarded = |id: Uuid<'_>| match tag {
            Some(tag) => tagger.inject(id, tag),
            None => tagger.extract(id).map(|_| tagger.spoil(id)),
        };
        let is_one = matches!(view.id, Lines::One(_));
        if is_one && let Some(id) = view.uuid() {
            return guarded(id).map_or(Edit::Keep, |id| Edit::Set(id.to_vec()));
        }
        let id = match line.split(|b| *b == b',').map(<[u8]>::trim_ascii).find(|id| !id.is_empty())
        {
            Some(id) => id,
            None if is_one => return Edit::Keep,
            None => return Edit::Remove,
        };
        let changed = match Uuid::parse(id) {
            Some(id) => guarded(id),
            // Tagged, once an application prints it anew.
            None => tagger
                .revive(id)
                .map(|revived| Uuid::parse(&revived).and_then(guarded).unwrap_or(revived)),
        };
        match changed {
            Some(id) => Edit::Set(id.to_vec()),
            None if is_one && id == line => Edit::Keep,
            None => Edit::Set(id.to_vec()),
        }
    }

    /// The trace headers that a client sent, with no tag in them that counts.
    fn guarded_traces(&self, view: &View<'_>) -> Vec<(&'static str, Edit)> {
        match view.has_trace {
            true => mint::guard(view.headers, &self.propagation.tagger),
            false => Vec::new(),
        }
    }

    /// A trace for a tracked request that has none, with the tag in its id.
    fn minted(
        &self,
        facts: &mut impl Facts,
        view: &View<'_>,
        track: Option<TrackId>,
    ) -> Vec<(&'static str, Edit)> {
        let Propagation { mint, tagger, .. } = &self.propagation;
        let Some(track) = track.filter(|_| mint.is_due(view.headers)) else { return Vec::new() };
        let mut random = || facts.random().map(u128::from_be_bytes);
        let (Ok(id), Ok(span)) = (random(), random()) else { return Vec::new() };
        let trace = TraceId::new(tagger.tagged(view.uuid(), id, Tag::Track(track)));
        let Some(trace) = trace else { return Vec::new() };
        let _ = view.minted.set(trace);
        mint.headers(view.headers, trace, span as u64)
    }

    /// What is remembered of the request's trace ids, so that the calls made for it can be told by
    /// them.
    #[inline(never)]
    fn note(&self, facts: &mut impl Facts, view: &View<'_>, follows: Carried) -> Change<'_> {
        let has_none = || !view.has_trace_ids(&self.propagation.correlate);
        if self.memory.is_none() || view.minted.get().is_none() && has_none() {
            return Change::None;
        }
        match follows {
            Carried::Track(track) => Change::Remember(self.names.of(track)),
            Carried::Baseline if self.says_baseline => Change::Remember(BASELINE),
            // Nothing to remember, but perhaps to contradict: clients repeat trace ids.
            Carried::Baseline if self.remembers(facts, view) => Change::Contradict,
            Carried::Baseline | Carried::Other => Change::None,
        }
    }

    // === memory ===

    /// Remembers the request's trace ids with this name; the number of those that were known under
    /// another one.
    #[inline(never)]
    pub fn remember(&self, host: &mut impl Host, view: &View<'_>, name: &str) -> usize {
        let Some(memory) = &self.memory else { return 0 };
        let ids = view.trace_ids(&self.propagation.correlate).iter();
        // What has 64 bits of a minted id bears no tag.
        let ids = view.minted.get().copied().into_iter().chain(ids).take(REMEMBERED);
        ids.filter(|id| memory.remember(host, *id, name) == Remembered::Conflict).count()
    }

    /// What is remembered of the request's trace ids tells nothing any more; the number of those
    /// that told something.
    #[inline(never)]
    pub fn contradict(&self, host: &mut impl Host, view: &View<'_>) -> usize {
        let Some(memory) = &self.memory else { return 0 };
        let ids = view.trace_ids(&self.propagation.correlate).iter();
        ids.filter(|id| memory.contradict(host, *id) == Remembered::Conflict).count()
    }

    /// Renews the time of the id that told what a call follows.
    #[inline(never)]
    pub fn renew(&self, host: &mut impl Host, renewal: &Renewal) {
        if let Some(memory) = &self.memory {
            memory.renew(host, renewal);
        }
    }
}

// === watch ===

/// The headers that carriers live in.
pub(super) fn watched(header: &str, sources: &[Source]) -> Watched {
    let carriers = Carrier::ALL.into_iter().flat_map(|carrier| match carrier {
        Carrier::Header => vec![(header, Found::Track)],
        Carrier::Baggage => vec![(BAGGAGE, Found::Baggage)],
        Carrier::RequestId => vec![(REQUEST_ID, Found::RequestId)],
        Carrier::Remembered => (0..)
            .zip(sources)
            .map(|(place, source)| {
                let is_alias = baggage::ALIASES.contains(&source.header());
                (source.header(), Found::Trace { place, is_alias })
            })
            .collect(),
        Carrier::TraceId | Carrier::Workload => Vec::new(),
    });
    let contexts = mint::HEADERS.map(|name| (name, Found::TraceContext));
    // Last, for one of them may hold a trace id too.
    let aliases = baggage::ALIASES.map(|name| (name, Found::BaggageAlias));
    Watched::new(carriers.chain(contexts).chain(aliases))
}

/// Whether the request itself says it. The other carriers are known to the proxy that sees both
/// sides of a pod, and are asked for the pod's own calls.
const fn is_in_request(carrier: Carrier) -> bool {
    match carrier {
        Carrier::Header | Carrier::Baggage | Carrier::RequestId | Carrier::TraceId => true,
        Carrier::Remembered | Carrier::Workload => false,
    }
}

#[inline(never)]
fn member_removed(view: &View<'_>, reading: Reading) -> Edit {
    if view.has_baggage { baggage::remove(view.headers, reading) } else { Edit::Keep }
}
