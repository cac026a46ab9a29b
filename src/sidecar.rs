//! Carrying on what was decided: a sidecar's two sides, and a waypoint.

use crate::carrier::baggage::{self, Reading};
use crate::carrier::{Carrier, Edit, Extracted};
use crate::config::{Isolation, Orphans};
use crate::host::Host;
use crate::host::Verdict;
use crate::instance::Instance;
use crate::integrity;
use crate::memory::Remembered;
use crate::metrics::{Event, Outcome};
use crate::request::{Lines, Request};
use crate::step::Step;
use crate::track::{BASELINE, Carried};

/// At most this many ids of one request are remembered.
const REMEMBERED: usize = 3;

/// Whether there is nothing to do, on whichever side of the pod: the request says nothing, it
/// cannot contradict what is remembered, and the pod is of no track.
pub(crate) fn has_nothing_to_do(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
) -> bool {
    let Instance { config, node, .. } = instance;
    node.tracks.is_empty()
        && !node.decides_inbound
        && request.track == Lines::None
        && instance.extract(host, request).is_none()
        && (!request.has_baggage || baggage::remove(request.headers, Reading::Strict) == Edit::Keep)
        && (request.trace_ids(&config.propagation.correlate).is_empty()
            || !instance.remembers(host, request))
}

/// A request arrives at the pod.
pub(crate) fn inbound(instance: &Instance, host: &mut impl Host, request: &Request<'_>) -> Verdict {
    host.explain(Step::Role("inbound"));
    let follows = instance.extract(host, request).map_or(Carried::Baseline, |found| found.says);
    if refuse(instance, host, request, follows) {
        return Verdict::Replied;
    }
    hand_over(instance, host, request, follows);
    Verdict::Continue
}

/// Counts the arrival, and answers it where it crossed and that is not allowed.
pub(crate) fn refuse(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    follows: Carried,
) -> bool {
    let crossed = integrity::check(instance, host, request, follows) == Some(Outcome::Crossed);
    crossed
        && instance.config.isolation == Isolation::Enforce
        && !instance.config.dry_run
        && host.reply(421, &integrity::refusal(instance, follows)).is_ok()
}

/// Hands a request to the pod with every carrier filled that its application may forward.
pub(crate) fn hand_over(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    follows: Carried,
) {
    if instance.config.dry_run {
        return;
    }
    instance.inject_header(host, request, follows, true);
    instance.inject_id(host, request, follows, true);
    instance.inject_baggage(host, request, follows, true);
    remember(instance, host, request, follows);
}

/// Remembers the request's trace ids, so that the calls made for it can be told by them.
pub(crate) fn remember(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    follows: Carried,
) {
    let Some(memory) = &instance.memory else { return };
    let ids = request.trace_ids(&instance.config.propagation.correlate);
    if ids.is_empty() {
        return;
    }
    let name = match follows {
        Carried::Track(track) => instance.config.names.of(track),
        Carried::Baseline if !instance.node.tracks.is_empty() => BASELINE,
        // Nothing to remember, but perhaps to contradict: clients repeat trace ids.
        Carried::Baseline if instance.remembers(host, request) => "",
        Carried::Baseline | Carried::Other => return,
    };
    let most = if name.is_empty() { usize::MAX } else { REMEMBERED };
    for id in ids.iter().take(most) {
        let outcome = match name {
            "" => memory.contradict(host, id),
            name => memory.remember(host, id, name),
        };
        if outcome == Remembered::Conflict {
            instance.metrics.happened(host, Event::Conflict);
        }
    }
}

/// The pod makes a call.
pub(crate) fn outbound(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
) -> Verdict {
    host.explain(Step::Role("outbound"));
    let found = instance
        .extract(host, request)
        .or_else(|| recall(instance, host, request))
        .or_else(|| workload(instance, host, request));
    let follows = found.map_or(Carried::Baseline, |found| found.says);
    if instance.strip(host, request, follows) {
        return Verdict::Continue;
    }
    if follows != Carried::Baseline || !instance.node.tracks.is_empty() {
        instance.metrics.propagated(host, follows, found.map(|found| found.carrier));
    }
    if !instance.config.dry_run {
        instance.inject_header(host, request, follows, true);
        // Both ends of a hop then log one id.
        instance.inject_id(host, request, follows, false);
    }
    Verdict::Continue
}

/// Carrier 4: a trace id that came in with a track.
fn recall(instance: &Instance, host: &mut impl Host, request: &Request<'_>) -> Option<Extracted> {
    let memory = instance.memory.as_ref()?;
    let ids = request.trace_ids(&instance.config.propagation.correlate);
    if ids.is_empty() {
        return None;
    }
    let name = instance.remembers(host, request).then(|| memory.recall(host, ids)).flatten();
    let says = name.and_then(|name| instance.config.names.read(&name));
    instance.heard(host, Carrier::Remembered, request.headers, says)
}

/// Carrier 5: a call that nothing tells about follows the pod that makes it.
fn workload(instance: &Instance, host: &mut impl Host, request: &Request<'_>) -> Option<Extracted> {
    let follows_pod = instance.config.propagation.orphans == Orphans::Workload;
    let track = instance.node.own_track().filter(|_| follows_pod);
    instance.heard(host, Carrier::Workload, request.headers, track.map(Carried::Track))
}

/// A request passes a waypoint, or a gateway that does not decide: its route is chosen there.
pub(crate) fn waypoint(instance: &Instance, host: &mut impl Host) -> Verdict {
    host.explain(Step::Role("waypoint"));
    let Ok(headers) = host.request_headers() else { return Verdict::Continue };
    let request = instance.view(&headers);
    let found = instance.extract(host, &request);
    let follows = found.map_or(Carried::Baseline, |found| found.says);
    if instance.strip(host, &request, follows) {
        return Verdict::Continue;
    }
    if follows != Carried::Baseline {
        instance.metrics.propagated(host, follows, found.map(|found| found.carrier));
    }
    if !instance.config.dry_run {
        instance.inject_header(host, &request, follows, true);
    }
    Verdict::Continue
}

#[cfg(test)]
mod tests {
    use crate::answer::Answer;
    use crate::filter::Filter;
    use crate::host::Verdict;
    use crate::simulated::Simulated;

    const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
    const TAGGED_V2: &str = "73cf9109-747e-4c23-92e0-4494afc95180";
    const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    const STORY: &str = r#"{"tracks":[{"name":"v2","workloads":{"frontend":"v2","forecast":"v2"}},
        {"name":"v3","workloads":{"forecast":"v3"}}]}"#;

    fn with(more: &str) -> String {
        STORY.replacen('{', &format!("{{{more},"), 1)
    }

    /// A pod's sidecar, whose two sides share shared data.
    struct Sidecar {
        host: Simulated,
        filter: Filter,
    }

    impl Sidecar {
        fn new(config: &str, app: &str, version: &str) -> Self {
            let mut host = Simulated::node(
                &format!("sidecar~10.0.0.1~{app}-1.weather~weather.svc.cluster.local"),
                &[("app", app), ("version", version)],
            );
            host.now_ms = 1_000_000;
            let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
            Self { host, filter }
        }

        fn send(&mut self, direction: i64, headers: &[(&str, &str)]) -> Verdict {
            self.host = std::mem::take(&mut self.host).direction(direction);
            self.host.calls.clear();
            self.host.counters.iter_mut().for_each(|(_, n)| *n = 0);
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
            self.host.request(&headers);
            self.filter.on_request(&mut self.host, &mut Answer::default())
        }

        /// The track header after a call.
        fn out(&mut self, headers: &[(&str, &str)]) -> Vec<String> {
            self.send(2, headers);
            self.host.values("x-release-track")
        }

        fn counted(&self) -> Vec<String> {
            let counted = self.host.counted().into_iter();
            counted.map(|(name, n)| format!("{} {n}", name.replace("release_track.", ""))).collect()
        }

        fn calls(&self) -> Vec<(&'static str, usize)> {
            self.host.calls.iter().map(|(name, n)| (*name, *n)).collect()
        }
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn each_carrier_restores_the_header() {
        let mut pod = Sidecar::new(STORY, "forecast", "v1");
        assert_eq!(pod.out(&[("x-release-track", "v2")]), ["v2"]);
        assert_eq!(pod.counted(), ["track=.=v2;.;carrier=.=header;.;propagation_total 1"]);
        assert_eq!(pod.out(&[("baggage", "a=1,release-track=v2")]), ["v2"]);
        assert_eq!(pod.counted(), ["track=.=v2;.;carrier=.=baggage;.;propagation_total 1"]);
        assert_eq!(pod.out(&[("x-request-id", TAGGED_V2)]), ["v2"]);
        assert_eq!(pod.counted(), ["track=.=v2;.;carrier=.=request_id;.;propagation_total 1"]);
        assert_eq!(pod.out(&[("x-request-id", ID)]), NONE);
        assert!(pod.counted().is_empty());
    }

    #[test]
    fn the_best_carrier_wins_and_the_id_follows_it() {
        let mut pod = Sidecar::new(STORY, "forecast", "v1");
        pod.out(&[
            ("x-release-track", "v2"),
            ("baggage", "release-track=v3"),
            ("x-request-id", ID),
        ]);
        assert_eq!(pod.host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(pod.host.values("baggage"), ["release-track=v3"]);
        assert_eq!(pod.out(&[("x-release-track", ""), ("baggage", "release-track=v3")]), ["v3"]);
        assert_eq!(pod.out(&[("x-release-track", "v9"), ("baggage", "release-track=v3")]), ["v9"]);
        assert_eq!(
            pod.out(&[
                ("x-release-track", "v2"),
                ("x-release-track", "v3"),
                ("baggage", "release-track=v3")
            ]),
            ["v3"]
        );
        assert_eq!(pod.out(&[("x-release-track", "v2"), ("x-release-track", "v3")]), NONE);
    }

    #[test]
    fn the_direction_is_asked_only_where_it_matters() {
        let mut pod = Sidecar::new(STORY, "forecast", "v1");
        for direction in [1, 2] {
            pod.send(direction, &[("x-request-id", ID), ("cookie", "user=bob")]);
            assert_eq!(pod.calls(), [("get_header_map_pairs", 1)]);
            pod.send(direction, &[("x-request-id", ID), ("traceparent", TRACEPARENT)]);
            assert_eq!(pod.calls(), [("get_header_map_pairs", 1), ("get_shared_data", 1)]);
            pod.send(direction, &[("x-request-id", ID), ("baggage", "a=1")]);
            assert_eq!(pod.calls(), [("get_header_map_pairs", 1)]);
            // A member of ours that says nothing has to go where the request leaves the mesh.
            pod.send(direction, &[("x-request-id", ID), ("baggage", "a=1,release-track=")]);
            assert!(pod.host.calls["get_property"] > 0);
        }
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        pod.send(1, &[("x-request-id", ID)]);
        assert_eq!(pod.host.calls["get_property"], 1);
    }

    #[test]
    fn a_tracks_pod_lends_its_track_to_orphans() {
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        assert_eq!(pod.out(&[("x-request-id", ID)]), ["v2"]);
        assert_eq!(pod.host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(pod.counted(), ["track=.=v2;.;carrier=.=workload;.;propagation_total 1"]);
        let mut pod =
            Sidecar::new(&with(r#""propagation":{"orphans":"baseline"}"#), "forecast", "v2");
        assert_eq!(pod.out(&[]), NONE);
        assert_eq!(pod.counted(), ["track=.=baseline;.;carrier=.=none;.;propagation_total 1"]);
    }

    #[test]
    fn baseline_through_a_tracks_pod_stays_baseline() {
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        pod.send(1, &[("x-request-id", ID)]);
        assert_eq!(pod.counted(), ["track=.=baseline;.;outcome=.=stray;.;arrivals_total 1"]);
        let id = pod.host.values("x-request-id")[0].clone();
        assert_ne!(id, ID);
        assert_eq!(pod.out(&[("x-request-id", &id)]), NONE);
        assert_eq!(pod.out(&[("x-release-track", "baseline")]), ["baseline"]);
        pod.send(1, &[("traceparent", TRACEPARENT)]);
        assert_eq!(pod.out(&[("traceparent", TRACEPARENT)]), NONE);
    }

    #[test]
    fn a_baseline_that_is_asked_for_outlasts_the_tag() {
        let mut pod = Sidecar::new(STORY, "forecast", "v1");
        pod.out(&[("x-release-track", "baseline"), ("x-request-id", TAGGED_V2)]);
        let id = pod.host.values("x-request-id")[0].clone();
        assert_ne!(id, TAGGED_V2);
        assert_eq!(pod.out(&[("x-request-id", &id)]), NONE);
    }

    #[test]
    fn inbound_fills_the_carriers_for_the_application() {
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        pod.send(1, &[("x-release-track", "v2"), ("x-request-id", ID)]);
        assert_eq!(pod.host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(pod.host.values("baggage"), ["release-track=v2"]);
        assert_eq!(pod.counted(), ["track=.=v2;.;outcome=.=match;.;arrivals_total 1"]);
        pod.send(
            1,
            &[
                ("x-release-track", "v2"),
                ("x-request-id", TAGGED_V2),
                ("baggage", "release-track=v2"),
            ],
        );
        assert!(!pod.host.calls.contains_key("replace_header_map_value"));
    }

    #[test]
    fn arrivals_are_compared_with_the_pod() {
        let mut outcomes = Vec::new();
        for (app, version, track, authority) in [
            ("frontend", "v2", "v2", "frontend:3000"),
            ("frontend", "v1", "v2", "frontend:3000"),
            ("forecast", "v3", "v2", "forecast:3002"),
            ("forecast", "v1", "v9", "forecast:3002"),
            ("advertisement", "v2", "v2", "advertisement:3003"),
            ("frontend", "v1", "v2", "frontend-shadow:3000"),
            ("frontend", "v1", "v2", "frontend-shadow"),
        ] {
            let mut pod = Sidecar::new(STORY, app, version);
            pod.send(1, &[(":authority", authority), ("x-release-track", track)]);
            outcomes.push(pod.counted().join(" "));
        }
        assert_eq!(
            outcomes,
            [
                "track=.=v2;.;outcome=.=match;.;arrivals_total 1",
                "track=.=v2;.;outcome=.=crossed;.;arrivals_total 1",
                "track=.=v2;.;outcome=.=crossed;.;arrivals_total 1",
                "track=.=other;.;outcome=.=baseline;.;arrivals_total 1",
                "track=.=v2;.;outcome=.=baseline;.;arrivals_total 1",
                "",
                ""
            ]
        );
    }

    #[test]
    fn enforce_answers_421_on_crossed_only() {
        let enforce = with(r#""isolation":"enforce""#);
        let mut pod = Sidecar::new(&enforce, "frontend", "v1");
        assert_eq!(pod.send(1, &[("x-release-track", "v2")]), Verdict::Replied);
        let (status, body) = pod.host.replied.clone().unwrap();
        assert_eq!(status, 421);
        assert!(body.contains("track v2 met frontend version v1"), "{body}");
        assert_eq!(pod.send(1, &[]), Verdict::Continue);
        let mut stray = Sidecar::new(&enforce, "frontend", "v2");
        assert_eq!(stray.send(1, &[]), Verdict::Continue);
        let mut dry =
            Sidecar::new(&enforce.replacen('{', r#"{"dryRun":true,"#, 1), "frontend", "v1");
        assert_eq!(dry.send(1, &[("x-release-track", "v2")]), Verdict::Continue);
    }

    #[test]
    fn what_leaves_the_mesh_is_stripped_and_not_stamped() {
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        pod.host.properties.insert(b"xds\0cluster_name".to_vec(), b"PassthroughCluster".to_vec());
        let baggage = ("baggage", "a=1,release-track=v2");
        assert_eq!(pod.out(&[("x-release-track", "v2"), baggage, ("x-request-id", ID)]), NONE);
        assert_eq!(pod.host.values("baggage"), ["a=1"]);
        assert_eq!(pod.host.values("x-request-id"), [ID]);
        assert_eq!(pod.counted(), ["event=.=stripped;.;events_total 1"]);
        assert_eq!(pod.out(&[("x-request-id", ID)]), NONE);
        assert!(pod.counted().is_empty());
        let mut keeps = Sidecar::new(&with(r#""egress":{"strip":false}"#), "forecast", "v2");
        keeps.host.properties.insert(b"xds\0cluster_name".to_vec(), b"PassthroughCluster".to_vec());
        assert_eq!(keeps.out(&[]), ["v2"]);
    }

    #[test]
    fn a_trace_id_is_remembered_until_its_time_is_over() {
        let mut pod = Sidecar::new(STORY, "forecast", "v1");
        pod.send(1, &[("x-release-track", "v2"), ("traceparent", TRACEPARENT)]);
        pod.host.now_ms += 59_000;
        let other_span = TRACEPARENT.replace("00f067aa0ba902b7", "1111111111111111");
        assert_eq!(pod.out(&[("traceparent", &other_span)]), ["v2"]);
        assert_eq!(pod.counted(), ["track=.=v2;.;carrier=.=remembered;.;propagation_total 1"]);
        // The hit renewed it.
        pod.host.now_ms += 59_000;
        assert_eq!(pod.out(&[("b3", "a3ce929d0e0e4736-00f067aa0ba902b7")]), ["v2"]);
        pod.host.now_ms += 60_000;
        assert_eq!(pod.out(&[("traceparent", TRACEPARENT)]), NONE);
    }

    #[test]
    fn an_id_under_two_tracks_tells_nothing() {
        let mut pod = Sidecar::new(STORY, "recommendation", "v1");
        pod.send(1, &[("x-release-track", "v2"), ("traceparent", TRACEPARENT)]);
        pod.send(1, &[("x-release-track", "v3"), ("traceparent", TRACEPARENT)]);
        assert!(pod.counted().contains(&"event=.=conflict;.;events_total 1".to_owned()));
        assert_eq!(pod.out(&[("traceparent", TRACEPARENT)]), NONE);
        pod.host.now_ms += 60_000;
        pod.send(1, &[("x-release-track", "v3"), ("traceparent", TRACEPARENT)]);
        assert_eq!(pod.out(&[("traceparent", TRACEPARENT)]), ["v3"]);
    }

    #[test]
    fn a_baseline_request_contradicts_a_remembered_id() {
        let mut pod = Sidecar::new(STORY, "recommendation", "v1");
        pod.send(1, &[("x-release-track", "v2"), ("traceparent", TRACEPARENT)]);
        pod.send(1, &[("traceparent", TRACEPARENT)]);
        assert_eq!(pod.counted(), ["event=.=conflict;.;events_total 1"]);
        assert_eq!(pod.out(&[("traceparent", TRACEPARENT)]), NONE);
        // Another id costs its reads, and no write.
        pod.send(1, &[("x-b3-traceid", "00000000000000ff")]);
        assert!(!pod.host.calls.contains_key("set_shared_data"));
        assert_eq!(pod.host.calls["get_shared_data"], 2);
    }

    #[test]
    fn a_proxy_of_unknown_kind_or_direction_does_nothing_and_says_so_once() {
        let mut pod = Sidecar::new(STORY, "forecast", "v2");
        let before = pod.host.logged.len();
        assert_eq!(pod.out(&[("x-request-id", TAGGED_V2)]), ["v2"]);
        for _ in 0..2 {
            pod.send(0, &[("x-request-id", TAGGED_V2)]);
            assert_eq!(pod.host.values("x-release-track"), NONE);
        }
        assert_eq!(pod.host.logged.len(), before + 1);
    }

    #[test]
    fn a_waypoint_restores_the_header_alone() {
        let mut host =
            Simulated::node("waypoint~10.0.0.2~wp-1.weather~weather.svc.cluster.local", &[]);
        let filter = Filter::configure(&mut host, STORY.as_bytes()).unwrap();
        host.request(&[("baggage", b"release-track=v2"), ("x-request-id", ID.as_bytes())]);
        filter.on_request(&mut host, &mut Answer::default());
        assert_eq!(host.values("x-release-track"), ["v2"]);
        assert_eq!(host.values("x-request-id"), [ID]);
        let counted: Vec<_> = host.counted().into_keys().collect();
        assert_eq!(counted, ["release_track.track=.=v2;.;carrier=.=baggage;.;propagation_total"]);
    }
}
