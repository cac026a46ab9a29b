//! What is told of a request, to metrics and to people: one definition for each word.
//!
//! A word's variant, its label in metrics, and the sentence that explains it stand in one line; the
//! counters, their names (see [`crate::istio::stats`]) and `release-track explain` follow from it.
//! In a sentence `{track}` stands for the name of what the request follows.

/// Words that are told: an enum with its labels and sentences.
macro_rules! words {
    (
        $(#[$doc:meta])*
        $name:ident { $( $(#[$about:meta])* $variant:ident = $label:literal: $sentence:literal, )+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[$about])* $variant, )+ }

        impl $name {
            /// All of them, in the order of their definition.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// Does something for each of them, in the order of their definition. Unlike a loop over
            /// [`Self::ALL`] it is unrolled, so that what does not concern a word costs nothing.
            #[inline(always)]
            pub fn each(mut of: impl FnMut(Self)) {
                $( of(Self::$variant); )+
            }

            /// The word in metrics: `[a-z0-9_]+`.
            pub const fn label(self) -> &'static str {
                match self { $( Self::$variant => $label, )+ }
            }

            /// The sentence for a person.
            pub const fn sentence(self) -> &'static str {
                match self { $( Self::$variant => $sentence, )+ }
            }

            /// The word that has this label.
            pub fn of_label(label: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|word| word.label() == label)
            }
        }
    };
}

words! {
    /// Why a request follows what it follows.
    Reason {
        /// A preview link, or the cookie that keeps it.
        Preview = "preview": "a preview link, or its cookie",
        /// A rule of the track.
        Match = "match": "a rule of the track",
        /// The client's identity lies in the track's share.
        Share = "share": "the track's share",
        /// Nothing else.
        Baseline = "baseline": "nothing else",
        /// A carrier that the request brought, and that is believed here.
        Trusted = "trusted": "a carrier that the request brought",
    }
}

words! {
    /// What the arrival of a request at a pod means.
    Outcome {
        /// The pod belongs to the request's track.
        Match = "match": "the pod belongs to {track}",
        /// The track has no version of its own of this service.
        Baseline = "baseline": "{track} has no version of its own of this service",
        /// The pod is another track's, or not the version that the track lists of this service.
        Crossed = "crossed": "a request of {track} does not belong at this pod",
        /// A request on baseline at a pod that belongs to a track.
        Stray = "stray": "a request on baseline at a pod that belongs to a track",
        /// A pod on baseline stands in for the track, whose `fallback` lists its app.
        Fallback = "fallback": "a pod on baseline stands in for {track}",
        /// The same as crossed, of a request that is mirrored, or says that it is.
        Mirrored = "mirrored": "a mirrored request of {track} does not belong at this pod",
    }
}

words! {
    /// Where a track is kept in a request, best first: the first carrier that says something wins.
    Carrier {
        /// `x-release-track` itself.
        Header = "header": "the header itself",
        /// The baggage member `release-track`.
        Baggage = "baggage": "the baggage member release-track",
        /// A tagged `x-request-id`.
        RequestId = "request_id": "a tagged x-request-id",
        /// A trace id that is a tagged request id (`propagation.mint`).
        TraceId = "trace_id": "a tagged trace id",
        /// A trace id that this proxy remembers.
        Remembered = "remembered": "a trace id that came in with a track",
        /// The calling pod belongs to a track.
        Workload = "workload": "the calling pod belongs to a track",
    }
}

words! {
    /// Things that happen beside the decisions.
    Event {
        /// A remembered id came in under a second track, or on baseline.
        Conflict = "conflict": "a trace id came in under two tracks, and tells nothing now",
        /// The baggage had no room for the track.
        BaggageFull = "baggage_full": "the baggage has no room for the track",
        /// A preview token was wrong, expired, or for a track that is gone.
        TokenInvalid = "token_invalid": "a preview token is not valid, or not any more",
        /// A request passed while no good configuration has come yet.
        Neutral = "neutral": "no good configuration has come yet, and nothing is decided",
        /// A request left the mesh, and its track was removed.
        Stripped = "stripped": "the request leaves the mesh, and its track was removed",
        /// A request left the mesh with its track: by the route that the stamp had Envoy choose.
        Leaked = "leaked": "the route that the track's header chose led out of the mesh",
        /// A value was too long for a rule's expression to look at, so that the rule did not hold.
        RegexLimit = "regex_limit": "a value is too long for a rule's expression to look at",
        /// A host that is not under a cookie's domain may not set it for that.
        CookieOutsideDomain = "cookie_outside_domain":
            "the host is not under the cookie's domain, and gets it for itself alone",
        /// A cookie with `SameSite=None` or `Partitioned` was not set over plain HTTP.
        CookieWithoutTls = "cookie_without_tls":
            "the cookie's attributes need TLS, the request came without, and it is not set",
        /// A guard stopped the shares of its track.
        GuardStopped = "guard_stopped": "too many of a track's responses failed, and its shares stop",
        /// A guard's time was over, and the shares of its track are tried again.
        GuardResumed = "guard_resumed": "the shares of a track are tried again",
    }
}

words! {
    /// How a request ended, as a guard sees it.
    Class {
        Success = "2xx": "served",
        Redirect = "3xx": "sent elsewhere",
        ClientError = "4xx": "refused: the request was at fault",
        ServerError = "5xx": "failed",
        /// `grpc-status` tells of a failure that is the server's.
        Grpc = "grpc": "a gRPC call that failed",
    }
}

words! {
    /// The part of the filter that has a request.
    Role {
        /// A gateway that decides.
        Gateway = "edge": "this gateway decides which track the request follows",
        /// The inbound side of a sidecar that `edge` lists.
        InboundEdge = "inbound edge":
            "this sidecar decides, where the request arrives without a track",
        /// The inbound side of any other sidecar.
        Inbound = "inbound": "the request arrives at the pod",
        /// The outbound side of a sidecar.
        Outbound = "outbound": "the pod makes a call",
        /// A waypoint, or a gateway that does not decide.
        Waypoint = "waypoint": "the request passes by, and its route is chosen here",
    }
}

words! {
    /// The families of counters: `release_track_FAMILY{track, ...}`.
    Family {
        /// Every request at an edge, by its [`Reason`].
        Decisions = "decisions_total": "what was decided, and why",
        /// The same, where decisions are only counted.
        DryDecisions = "dry_decisions_total": "what would have been decided, and why",
        /// Tracked requests at pods, and all at a track's pod, by their [`Outcome`].
        Arrivals = "arrivals_total": "where requests arrived",
        /// Calls by the [`Carrier`] that supplied their track.
        Propagation = "propagation_total": "which carrier supplied a call's track",
        /// Responses at an edge whose tracks have a guard, by their [`Class`].
        Answers = "answers_total": "how requests ended",
        /// [`Event`]s. These have no track.
        Events = "events_total": "what happened beside the decisions",
    }
}

impl Family {
    /// The label beside `track`.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Decisions | Self::DryDecisions => "reason",
            Self::Arrivals => "outcome",
            Self::Propagation => "carrier",
            Self::Answers => "class",
            Self::Events => "event",
        }
    }

    /// The values of that label, in the order of their columns.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Self::Decisions | Self::DryDecisions => Reason::ALL.map(Reason::label).to_vec(),
            Self::Arrivals => Outcome::ALL.map(Outcome::label).to_vec(),
            Self::Propagation => {
                Carrier::ALL.into_iter().map(Carrier::label).chain([NO_CARRIER]).collect()
            }
            Self::Answers => Class::ALL.map(Class::label).to_vec(),
            Self::Events => Event::ALL.map(Event::label).to_vec(),
        }
    }
}

/// The label of a call whose carriers say nothing.
const NO_CARRIER: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_back() {
        assert!(Reason::ALL.into_iter().all(|word| Reason::of_label(word.label()) == Some(word)));
        assert!(Family::ALL.into_iter().all(|word| Family::of_label(word.label()) == Some(word)));
        assert_eq!(Carrier::of_label("none"), None);
    }

    #[test]
    fn no_family_has_a_value_twice() {
        for family in Family::ALL {
            let mut values = family.values();
            values.sort_unstable();
            values.dedup();
            assert_eq!(values.len(), family.values().len(), "{family:?}");
        }
    }
}
