//! Deciding a request's track, once, where it enters; and guarding that boundary.
//!
//! Nothing that a client sends may choose a track but by the rules: the carriers it brings are
//! removed, or replaced by what was decided.

use crate::answer::Answer;
use crate::carrier::request_id::Uuid;
use crate::carrier::{Edit, baggage};
use crate::config::Config;
use crate::host::Host;
use crate::host::Verdict;
use crate::instance::{Instance, apply};
use crate::metrics::{Event, Reason};
use crate::request::{Lines, Request};
use crate::step::Step;
use crate::track::{Carried, TrackId};
use crate::{identity, preview, sidecar};

/// A request enters at a gateway.
pub(crate) fn gateway(instance: &Instance, host: &mut impl Host, answer: &mut Answer) -> Verdict {
    host.explain(Step::Role("edge"));
    let Ok(headers) = host.request_headers() else { return Verdict::Continue };
    let request = instance.view(&headers);
    let believed = instance.config.trust_incoming;
    let (follows, reason) = decide(instance, host, &request, believed, answer);
    // An egress gateway is a gateway too.
    if instance.strip(host, &request, follows) {
        return Verdict::Continue;
    }
    let follows = settle(instance, host, follows, reason, answer);
    if believed {
        sidecar::hand_over(instance, host, &request, follows);
    } else {
        guard(instance, host, &request, follows);
    }
    Verdict::Continue
}

/// A request enters at a sidecar that `edge` lists. What another workload of the mesh says is
/// believed: its certificate proves that it went through a proxy of the mesh.
pub(crate) fn inbound(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    answer: &mut Answer,
) -> Verdict {
    host.explain(Step::Role("inbound edge"));
    let believed = instance.config.trust_incoming
        || matches!(host.property(b"connection\0mtls"), Ok(Some(value)) if *value == [1]);
    let (follows, reason) = decide(instance, host, request, believed, answer);
    let follows = settle(instance, host, follows, reason, answer);
    if sidecar::refuse(instance, host, request, follows) {
        return Verdict::Replied;
    }
    if believed {
        sidecar::hand_over(instance, host, request, follows);
    } else {
        guard(instance, host, request, follows);
        if !instance.config.dry_run {
            sidecar::remember(instance, host, request, follows);
        }
    }
    Verdict::Continue
}

/// What the request follows, and why: a preview, a carrier that is believed, a rule, a share.
fn decide(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    believed: bool,
    answer: &mut Answer,
) -> (Carried, Reason) {
    let carried = if believed { instance.extract(host, request) } else { None };
    let mut counted = Vec::new();
    if let Some(says) = preview::visit(instance, host, request, carried.is_some(), answer)
        && take(instance, host, says, Reason::Preview, &mut counted)
    {
        return (says, Reason::Preview);
    }
    if let Some(found) = carried {
        return (found.says, Reason::Trusted);
    }
    let Config { rules, names, .. } = &instance.config;
    let matched = rules.first(host, request.headers, names, |host, track| {
        take(instance, host, Carried::Track(track), Reason::Match, &mut counted)
    });
    if rules.was_too_long() {
        instance.metrics.happened(host, Event::RegexLimit);
    }
    if let Some(track) = matched {
        return (Carried::Track(track), Reason::Match);
    }
    if let Some(track) = share(instance, host, request, answer)
        && take(instance, host, Carried::Track(track), Reason::Share, &mut counted)
    {
        return (Carried::Track(track), Reason::Share);
    }
    (Carried::Baseline, Reason::Baseline)
}

/// The track in whose share the request's identity lies.
fn share(
    instance: &Instance,
    host: &mut impl Host,
    request: &Request<'_>,
    answer: &mut Answer,
) -> Option<TrackId> {
    let shares = &instance.config.shares;
    if shares.is_empty() {
        return None;
    }
    let found = identity::find(instance, request);
    let minted = found.map_or_else(|| identity::mint(instance, host, request, answer), |_| None);
    let identity = found.or(minted.as_deref().map(str::as_bytes));
    // A ramp whose clock fails stands at its start.
    let now = if shares.move_with_the_clock() { host.now_ms().unwrap_or_default() } else { 0 };
    let track = identity.and_then(|identity| shares.track_of(identity, now));
    host.explain(Step::Identity {
        identity,
        is_new: minted.is_some(),
        track: track.map(|track| instance.config.names.of(track)),
    });
    track
}

/// Whether a decision counts. One for a dry track is only counted, once for a request, and the
/// search goes on.
fn take(
    instance: &Instance,
    host: &mut impl Host,
    follows: Carried,
    reason: Reason,
    counted: &mut Vec<Carried>,
) -> bool {
    let dry = instance.is_dry(follows);
    if dry && !counted.contains(&follows) {
        host.explain(Step::Dry { track: instance.label(follows), reason: reason.label() });
        instance.metrics.decided(host, follows, reason, true);
        counted.push(follows);
    }
    !dry
}

/// Counts the decision. In a dry run that is all that comes of it.
fn settle(
    instance: &Instance,
    host: &mut impl Host,
    follows: Carried,
    reason: Reason,
    answer: &mut Answer,
) -> Carried {
    let track = instance.label(follows);
    host.explain(Step::Decided { track, reason: reason.label() });
    instance.metrics.decided(host, follows, reason, instance.config.dry_run);
    answer.at_edge = true;
    if instance.config.dry_run {
        return if reason == Reason::Trusted { follows } else { Carried::Baseline };
    }
    if instance.config.expose && matches!(follows, Carried::Track(_)) {
        answer.exposed = Some(format!("{track}; reason={}", reason.label()));
    }
    follows
}

/// Lets nothing pass that a client sent to choose a track; in its place, what was decided.
fn guard(instance: &Instance, host: &mut impl Host, request: &Request<'_>, follows: Carried) {
    instance.inject_header(host, request, follows, false);
    apply(host, b"x-request-id", replace_id(instance, request, follows));
    instance.inject_baggage(host, request, follows, false);
    if request.has_twin {
        remove_twins(instance, host, request);
    }
}

/// One id in place of all that came, with the tag that was decided, or none.
fn replace_id(instance: &Instance, request: &Request<'_>, follows: Carried) -> Edit {
    let Some(line) = request.id.first() else {
        return Edit::Keep;
    };
    let is_one = matches!(request.id, Lines::One(_));
    let id = match line.split(|b| *b == b',').map(<[u8]>::trim_ascii).find(|id| !id.is_empty()) {
        Some(id) => id,
        None if is_one => return Edit::Keep,
        None => return Edit::Remove,
    };
    match guarded_id(instance, id, follows) {
        Some(id) => Edit::Set(id.to_vec()),
        None if is_one && id == line => Edit::Keep,
        None => Edit::Set(id.to_vec()),
    }
}

/// The id with the decided tag, or spoilt if it has one that must not count; `None` where it
/// can stay as it is.
fn guarded_id(instance: &Instance, id: &[u8], follows: Carried) -> Option<[u8; 36]> {
    let tagger = &instance.config.propagation.tagger;
    let guarded = |uuid| match instance.tag(follows, instance.node.decides_inbound) {
        Some(tag) => tagger.inject(uuid, tag),
        None => tagger.extract(uuid).map(|_| tagger.spoil(uuid)),
    };
    if let Some(uuid) = Uuid::parse(id) {
        return guarded(uuid);
    }
    // Tagged, once an application prints it anew.
    let revived = tagger.revive(id)?;
    Uuid::parse(&revived).and_then(guarded).or(Some(revived))
}

fn remove_twins(instance: &Instance, host: &mut impl Host, request: &Request<'_>) {
    for (name, _) in request.headers.iter() {
        if instance.is_twin(name) {
            host.explain(Step::Distrusted { header: name });
            apply(host, name, Edit::Remove);
        } else if baggage::ALIASES.iter().any(|alias| alias.as_bytes() == name) {
            apply(host, name, baggage::remove_alias(request.headers, name));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::answer::Answer;
    use crate::filter::Filter;
    use crate::host::Verdict;
    use crate::simulated::Simulated;

    const GATEWAY: &str = "router~10.0.0.9~ingress.istio-system~istio-system.svc.cluster.local";
    const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
    const TAGGED_V2: &str = "73cf9109-747e-4c23-92e0-4494afc95180";
    const SPOILT: &str = "73cf9109-747e-4c23-92e0-5494afc95180";

    const STORY: &str = r#"{"tracks":[{"name":"v2","match":[{"cookies":{"user":{"exact":"tester"}}}],
        "workloads":{"frontend":"v2","forecast":"v2"}}]}"#;

    fn with(more: &str) -> String {
        STORY.replacen('{', &format!("{{{more},"), 1)
    }

    /// Sends one request through a gateway.
    fn gateway(config: &str, headers: &[(&str, &str)]) -> Simulated {
        let mut host = Simulated::node(GATEWAY, &[]);
        let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
        host.calls.clear();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        host.request(&headers);
        assert_eq!(filter.on_request(&mut host, &mut Answer::default()), Verdict::Continue);
        host
    }

    fn counted(host: &Simulated) -> Vec<String> {
        host.counted().into_iter().map(|(name, n)| format!("{name} {n}")).collect()
    }

    #[test]
    fn a_rule_stamps_every_carrier() {
        let host = gateway(STORY, &[("cookie", "a=b; user=tester"), ("x-request-id", ID)]);
        assert_eq!(host.values("x-release-track"), ["v2"]);
        assert_eq!(host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(host.values("baggage"), ["release-track=v2"]);
        assert_eq!(
            counted(&host),
            ["release_track.track=.=v2;.;reason=.=match;.;decisions_total 1"]
        );
    }

    #[test]
    fn baseline_costs_one_read_and_one_count() {
        let host =
            gateway(STORY, &[("cookie", "user=bob"), ("x-request-id", ID), ("baggage", "a=1")]);
        let calls: Vec<_> = host.calls.into_iter().collect();
        assert_eq!(calls, [("get_header_map_pairs", 1), ("increment_metric", 1)]);
    }

    #[test]
    fn nothing_that_a_client_sends_chooses_a_track() {
        let host = gateway(
            STORY,
            &[
                ("X-Release-Track", "v2"),
                ("x-release-track", "v2"),
                ("x_release_track", "v2"),
                ("baggage", "a=1,release%2Dtrack=v2"),
                ("x-request-id", TAGGED_V2),
                ("x_request_id", TAGGED_V2),
                ("x_b3_traceid", "1234567812345678"),
            ],
        );
        let left: Vec<_> = host.headers.iter().map(|(n, v)| (n.as_slice(), v.as_slice())).collect();
        assert_eq!(left, [(&b"x-request-id"[..], SPOILT.as_bytes()), (b"baggage", b"a=1")]);
        assert_eq!(
            counted(&host),
            ["release_track.track=.=baseline;.;reason=.=baseline;.;decisions_total 1"]
        );
    }

    #[test]
    fn several_ids_become_one() {
        for lines in
            [vec![ID, TAGGED_V2], vec![ID, ID], vec!["73cf9109-747e-4c23-92e0-3376878b904e, x"]]
        {
            let headers: Vec<_> = lines.iter().map(|line| ("x-request-id", *line)).collect();
            assert_eq!(gateway(STORY, &headers).values("x-request-id"), [ID], "{lines:?}");
        }
        let host = gateway(STORY, &[("x-request-id", "job-1, job-2")]);
        assert_eq!(host.values("x-request-id"), ["job-1"]);
    }

    #[test]
    fn with_trust_a_carrier_decides_before_the_rules() {
        let trusting = with(r#""trustIncoming":true"#);
        let host = gateway(&trusting, &[("x-request-id", TAGGED_V2)]);
        assert_eq!(host.values("x-release-track"), ["v2"]);
        assert_eq!(
            counted(&host),
            ["release_track.track=.=v2;.;reason=.=trusted;.;decisions_total 1"]
        );
        let host =
            gateway(&trusting, &[("x-release-track", "baseline"), ("cookie", "user=tester")]);
        assert_eq!(host.values("x-release-track"), ["baseline"]);
        let host = gateway(&trusting, &[("x-release-track", "v9"), ("cookie", "user=tester")]);
        assert_eq!(host.values("x-release-track"), ["v9"]);
        assert_eq!(
            counted(&host),
            ["release_track.track=.=other;.;reason=.=trusted;.;decisions_total 1"]
        );
    }

    #[test]
    fn a_dry_run_decides_and_still_guards() {
        let dry = with(r#""dryRun":true"#);
        let host = gateway(
            &dry,
            &[("cookie", "user=tester"), ("x-release-track", "v3"), ("x-request-id", TAGGED_V2)],
        );
        assert_eq!(host.values("x-release-track"), [""; 0]);
        assert_eq!(host.values("x-request-id"), [SPOILT]);
        assert_eq!(
            counted(&host),
            ["release_track.track=.=v2;.;reason=.=match;.;dry_decisions_total 1"]
        );
    }

    #[test]
    fn a_dry_track_is_counted_and_passed_over() {
        let two = r#"{"tracks":[
            {"name":"v3","dryRun":true,"match":[{"method":{"exact":"GET"}},{"uri":{"prefix":"/"}}]},
            {"name":"v2","match":[{"method":{"exact":"GET"}}]}]}"#;
        let host = gateway(two, &[(":method", "GET"), (":path", "/")]);
        assert_eq!(host.values("x-release-track"), ["v2"]);
        assert_eq!(
            counted(&host),
            [
                "release_track.track=.=v2;.;reason=.=match;.;decisions_total 1",
                "release_track.track=.=v3;.;reason=.=match;.;dry_decisions_total 1"
            ]
        );
    }

    #[test]
    fn an_egress_gateway_strips_and_does_nothing_else() {
        let mut host = Simulated::node(GATEWAY, &[]);
        let filter = Filter::configure(&mut host, STORY.as_bytes()).unwrap();
        host.properties
            .insert(b"xds\0cluster_name".to_vec(), b"outbound|443||example.com".to_vec());
        host.request(&[("x-release-track", b"v2"), ("x-request-id", TAGGED_V2.as_bytes())]);
        filter.on_request(&mut host, &mut Answer::default());
        assert_eq!(host.values("x-release-track"), [""; 0]);
        assert_eq!(host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(counted(&host), ["release_track.event=.=stripped;.;events_total 1"]);
    }

    /// Sends one request to the frontend's sidecar, which decides for itself.
    fn inbound_edge(mtls: bool, version: &str, headers: &[(&str, &str)]) -> Simulated {
        let mut host = Simulated::node(
            "sidecar~10.0.0.1~frontend-1.weather~weather.svc.cluster.local",
            &[("app", "frontend"), ("version", version)],
        )
        .direction(1);
        host.listens = true;
        host.properties.insert(b"connection\0mtls".to_vec(), vec![u8::from(mtls)]);
        let config = with(r#""edge":[{"inbound":["weather/frontend"]}]"#);
        let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        host.request(&headers);
        filter.on_request(&mut host, &mut Answer::default());
        host
    }

    #[test]
    fn an_inbound_edge_believes_the_mesh_only() {
        let host = inbound_edge(true, "v1", &[("x-release-track", "v2")]);
        assert_eq!(host.values("x-release-track"), ["v2"]);
        let host = inbound_edge(false, "v1", &[("x-release-track", "v2")]);
        assert_eq!(host.values("x-release-track"), [""; 0]);
        let host = inbound_edge(false, "v2", &[("cookie", "user=tester"), ("x-request-id", ID)]);
        assert_eq!(host.values("x-request-id"), [TAGGED_V2]);
        assert_eq!(
            counted(&host),
            [
                "release_track.track=.=v2;.;outcome=.=match;.;arrivals_total 1",
                "release_track.track=.=v2;.;reason=.=match;.;decisions_total 1"
            ]
        );
    }

    #[test]
    fn an_inbound_edge_on_a_tracks_pod_says_baseline_out_loud() {
        let host = inbound_edge(false, "v2", &[("x-request-id", TAGGED_V2)]);
        let tagged = host.values("x-request-id");
        assert_ne!(tagged, [TAGGED_V2]);
        let again = inbound_edge(true, "v2", &[("x-request-id", &tagged[0])]);
        assert!(again.steps.iter().any(|s| s.contains("request_id") && s.contains("baseline")));
    }

    /// A request and its answer, at a gateway.
    struct Exchange {
        host: Simulated,
        filter: Filter,
        answer: Answer,
    }

    impl Exchange {
        fn new(config: &str) -> Self {
            let mut host = Simulated::node(GATEWAY, &[]);
            host.now_ms = 1_000_000;
            host.properties.insert(
                b"xds\0cluster_name".to_vec(),
                b"outbound|80||a.svc.cluster.local".to_vec(),
            );
            let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
            Self { host, filter, answer: Answer::default() }
        }

        /// The track, and the reason.
        fn send(
            &mut self,
            headers: &[(&str, &str)],
            response: &[(&str, &str)],
        ) -> (Vec<String>, String) {
            self.host.counters.iter_mut().for_each(|(_, n)| *n = 0);
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
            self.host.request(&headers);
            self.answer = Answer::default();
            self.filter.on_request(&mut self.host, &mut self.answer);
            self.host.response = response
                .iter()
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect();
            self.filter.on_response(&mut self.host, &self.answer);
            let counted = counted(&self.host).join(" ");
            let reason = counted.split("reason=.=").nth(1).and_then(|rest| rest.split(';').next());
            (self.host.values("x-release-track"), reason.unwrap_or_default().to_owned())
        }

        fn answered(&self, name: &str) -> Vec<String> {
            let lines = self.host.response.iter().filter(|(n, _)| n == name.as_bytes());
            lines.map(|(_, value)| value.escape_ascii().to_string()).collect()
        }
    }

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    fn token(track: &str, expiry: u64) -> String {
        let track = crate::track::Name::parse(track).unwrap();
        crate::token::Key::parse(KEY).unwrap().sign(&track, expiry)
    }

    fn previewing() -> Exchange {
        Exchange::new(&with(&format!(r#""preview":{{"keys":["{KEY}"]}}"#)))
    }

    #[test]
    fn a_preview_link_decides_and_is_kept() {
        let mut gateway = previewing();
        let token = token("v2", 1060);
        let path = format!("/p?a=1&release-track={token}&b=2");
        let (track, reason) =
            gateway.send(&[(":path", &path), ("x-forwarded-proto", "https")], &[]);
        assert_eq!((track, &*reason), (vec!["v2".to_owned()], "preview"));
        assert_eq!(gateway.host.values(":path"), ["/p?a=1&b=2"]);
        let cookie =
            format!("release-track={token}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(gateway.answered("set-cookie"), [cookie]);
        let cookie = format!("a=b; release-track={token}");
        let (track, reason) = gateway.send(&[(":path", "/"), ("cookie", &cookie)], &[]);
        assert_eq!((track, &*reason), (vec!["v2".to_owned()], "preview"));
        assert!(gateway.answered("set-cookie").is_empty());
    }

    #[test]
    fn a_token_that_is_not_valid_is_ignored_counted_and_cleared() {
        for bad in [
            token("v2", 1000),
            token("v9", 2000),
            token("v2", 2000).replace("v2.", "v3."),
            "x".repeat(65536),
        ] {
            let mut gateway = previewing();
            let (track, _) = gateway.send(&[(":path", &format!("/?release-track={bad}"))], &[]);
            assert!(track.is_empty());
            assert!(gateway.answered("set-cookie").is_empty(), "a link clears nothing");
            assert_eq!(gateway.host.values(":path"), ["/"]);
            assert!(counted(&gateway.host)[0].contains("token_invalid"));
            gateway.send(&[(":path", "/"), ("cookie", &format!("release-track={bad}"))], &[]);
            assert_eq!(
                gateway.answered("set-cookie"),
                ["release-track=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"]
            );
        }
    }

    #[test]
    fn an_invalid_link_leaves_a_valid_cookie_alone() {
        let mut gateway = previewing();
        let cookie = format!("release-track={}", token("v2", 2000));
        let (track, _) = gateway.send(&[(":path", "/?release-track=x"), ("cookie", &cookie)], &[]);
        assert_eq!(track, ["v2"]);
        assert!(gateway.answered("set-cookie").is_empty());
    }

    #[test]
    fn off_and_baseline_end_a_preview() {
        let mut gateway = previewing();
        let cookie = format!("release-track={}; user=tester", token("baseline", 2000));
        let (track, reason) = gateway.send(&[(":path", "/"), ("cookie", &cookie)], &[]);
        assert_eq!((track, &*reason), (vec![], "preview"));
        let cookie = format!("release-track={}", token("v2", 2000));
        let (track, _) =
            gateway.send(&[(":path", "/?release-track=off"), ("cookie", &cookie)], &[]);
        assert!(track.is_empty());
        assert!(gateway.answered("set-cookie")[0].contains("Max-Age=0"));
    }

    #[test]
    fn a_redirect_keeps_its_path() {
        let mut gateway = previewing();
        gateway.host.properties.remove(&b"xds\0cluster_name"[..]);
        let path = format!("/?release-track={}", token("v2", 2000));
        gateway.send(&[(":path", &path)], &[]);
        assert_eq!(gateway.host.values(":path"), [path]);
        assert_eq!(gateway.answered("set-cookie").len(), 1);
    }

    #[test]
    fn keys_come_from_the_environment_or_previews_are_off() {
        let config = with(r#""preview":{"keysFrom":"KEYS"}"#);
        let path = format!("/?release-track={}", token("v2", 2000));
        for (keys, track) in [
            (Some(format!("{},{KEY}", "ff".repeat(16))), "v2"),
            (Some("zz".into()), ""),
            (None, ""),
        ] {
            let mut host = Simulated::node(GATEWAY, &[]);
            host.environment.extend(keys.map(|keys| ("KEYS".to_owned(), keys)));
            let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
            host.request(&[(":path", path.as_bytes())]);
            filter.on_request(&mut host, &mut Answer::default());
            assert_eq!(host.values("x-release-track").concat(), track);
        }
    }

    fn sharing(more: &str) -> Exchange {
        Exchange::new(&format!(r#"{{"tracks":[{{"name":"v2","share":{{"percent":100}}}}]{more}}}"#))
    }

    #[test]
    fn a_page_without_identity_gets_one_and_is_decided_by_it() {
        let mut gateway = sharing("");
        let page = [
            (":method", "GET"),
            ("accept", "text/css, text/HTML;q=0.9"),
            ("cookie", "a=1"),
            ("cookie", "b=2"),
        ];
        let (track, reason) = gateway.send(&page, &[("cache-control", "public, max-age=60")]);
        assert_eq!((track, &*reason), (vec!["v2".to_owned()], "share"));
        let id = "00000000000000000000000000000001";
        assert_eq!(gateway.host.values("cookie"), [format!("a=1; b=2; release-track-id={id}")]);
        let cookie = format!("release-track-id={id}; Path=/; Max-Age=31536000; SameSite=Lax");
        assert_eq!(gateway.answered("set-cookie"), [cookie]);
        assert_eq!(gateway.answered("cache-control"), ["max-age=60, private"]);
        let again = [(":method", "GET"), ("accept", "text/html"), ("cookie", "release-track-id=x")];
        assert_eq!(gateway.send(&again, &[]).1, "share");
        assert!(gateway.answered("set-cookie").is_empty());
    }

    #[test]
    fn other_requests_without_identity_stay_on_baseline() {
        for request in [
            [(":method", "POST"), ("accept", "text/html")],
            [(":method", "GET"), ("accept", "application/json")],
            [(":method", "GET"), ("cookie", "release-track-id=")],
        ] {
            let mut gateway = sharing("");
            assert_eq!(gateway.send(&request, &[]), (vec![], "baseline".to_owned()));
            assert!(gateway.answered("set-cookie").is_empty());
        }
        let mut dry = sharing(r#","dryRun":true"#);
        dry.send(&[(":method", "GET"), ("accept", "text/html")], &[]);
        assert!(dry.answered("set-cookie").is_empty());
    }

    #[test]
    fn an_identity_may_be_a_header_or_a_parameter() {
        let mut gateway = sharing(r#","identity":{"header":"X-User"}"#);
        assert_eq!(gateway.send(&[("x-user", "7")], &[]).1, "share");
        let mut gateway = sharing(r#","identity":{"queryParam":"uid"}"#);
        assert_eq!(gateway.send(&[(":path", "/?uid=7")], &[]).1, "share");
        let page = [(":method", "GET"), ("accept", "text/html"), (":path", "/")];
        assert_eq!(gateway.send(&page, &[]).1, "baseline");
        assert!(gateway.answered("set-cookie").is_empty());
    }

    #[test]
    fn answers_say_what_they_depend_on_and_what_was_decided() {
        let mut gateway = Exchange::new(&with(r#""vary":true,"expose":true"#));
        gateway.send(&[("cookie", "user=tester")], &[("vary", "accept")]);
        assert_eq!(gateway.answered("vary"), ["accept, cookie"]);
        assert_eq!(gateway.answered("x-release-track"), ["v2; reason=match"]);
        gateway.send(&[], &[]);
        assert_eq!(gateway.answered("vary"), ["cookie"]);
        assert!(gateway.answered("x-release-track").is_empty());
    }
}
