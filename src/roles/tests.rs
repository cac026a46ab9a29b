//! Requests through a gateway, a sidecar and a waypoint.

mod edge {
    use crate::filter::Filter;
    use crate::host::Verdict;
    use crate::host::fake::FakeHost;
    use crate::plan::Response;

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
    fn gateway(config: &str, headers: &[(&str, &str)]) -> FakeHost {
        let mut host = FakeHost::node(GATEWAY, &[]);
        let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
        host.calls.clear();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        host.request(&headers);
        assert_eq!(filter.on_request(&mut host, &mut Response::default()), Verdict::Continue);
        host
    }

    fn counted(host: &FakeHost) -> Vec<String> {
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
        assert_eq!(left, [(&b"baggage"[..], &b"a=1"[..]), (b"x-request-id", SPOILT.as_bytes())]);
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
    fn an_egress_gateway_strips_and_stamps_nothing() {
        let mut host = FakeHost::node(GATEWAY, &[]);
        let filter = Filter::configure(&mut host, STORY.as_bytes()).unwrap();
        host.properties
            .insert(b"xds\0cluster_name".to_vec(), b"outbound|443||example.com".to_vec());
        host.request(&[("x-release-track", b"v2"), ("x-request-id", TAGGED_V2.as_bytes())]);
        filter.on_request(&mut host, &mut Response::default());
        assert_eq!(host.values("x-release-track"), [""; 0]);
        assert_eq!(host.values("x-request-id"), [SPOILT]);
        assert_eq!(
            counted(&host),
            [
                "release_track.event=.=stripped;.;events_total 1",
                "release_track.track=.=baseline;.;reason=.=baseline;.;decisions_total 1"
            ]
        );
    }

    /// Sends one request to the frontend's sidecar, which decides for itself.
    fn inbound_edge(mtls: bool, version: &str, headers: &[(&str, &str)]) -> FakeHost {
        let mut host = FakeHost::node(
            "sidecar~10.0.0.1~frontend-1.weather~weather.svc.cluster.local",
            &[("app", "frontend"), ("version", version)],
        )
        .direction(1);
        host.is_explaining = true;
        host.properties.insert(b"connection\0mtls".to_vec(), vec![u8::from(mtls)]);
        let config = with(r#""edge":[{"inbound":["weather/frontend"]}]"#);
        let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        host.request(&headers);
        filter.on_request(&mut host, &mut Response::default());
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

    /// A request and its response, at a gateway.
    struct Exchange {
        host: FakeHost,
        filter: Filter,
        response: Response,
    }

    impl Exchange {
        fn new(config: &str) -> Self {
            let mut host = FakeHost::node(GATEWAY, &[]);
            host.now_ms = 1_000_000;
            host.properties.insert(
                b"xds\0cluster_name".to_vec(),
                b"outbound|80||a.svc.cluster.local".to_vec(),
            );
            let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
            Self { host, filter, response: Response::default() }
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
            self.response = Response::default();
            self.filter.on_request(&mut self.host, &mut self.response);
            self.host.response = response
                .iter()
                .map(|(n, v)| (n.as_bytes().to_vec(), v.as_bytes().to_vec()))
                .collect();
            self.filter.on_response(&mut self.host, &self.response);
            let counted = counted(&self.host).join(" ");
            let reason = counted.split("reason=.=").nth(1).and_then(|rest| rest.split(';').next());
            (self.host.values("x-release-track"), reason.unwrap_or_default().to_owned())
        }

        fn of_response(&self, name: &str) -> Vec<String> {
            let lines = self.host.response.iter().filter(|(n, _)| n == name.as_bytes());
            lines.map(|(_, value)| value.escape_ascii().to_string()).collect()
        }
    }

    const KEY: &str = "000102030405060708090a0b0c0d0e0f";

    fn token(track: &str, expiry: u64) -> String {
        let track = crate::track::Name::parse(track).unwrap();
        crate::decide::token::Key::parse(KEY).unwrap().sign(&track, expiry)
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
        assert_eq!(gateway.of_response("set-cookie"), [cookie]);
        let cookie = format!("a=b; release-track={token}");
        let (track, reason) = gateway.send(&[(":path", "/"), ("cookie", &cookie)], &[]);
        assert_eq!((track, &*reason), (vec!["v2".to_owned()], "preview"));
        assert!(gateway.of_response("set-cookie").is_empty());
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
            assert!(gateway.of_response("set-cookie").is_empty(), "a link clears nothing");
            assert_eq!(gateway.host.values(":path"), ["/"]);
            assert!(counted(&gateway.host)[0].contains("token_invalid"));
            gateway.send(&[(":path", "/"), ("cookie", &format!("release-track={bad}"))], &[]);
            assert_eq!(
                gateway.of_response("set-cookie"),
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
        assert!(gateway.of_response("set-cookie").is_empty());
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
        assert!(gateway.of_response("set-cookie")[0].contains("Max-Age=0"));
    }

    #[test]
    fn a_redirect_keeps_its_path() {
        let mut gateway = previewing();
        gateway.host.properties.remove(&b"xds\0cluster_name"[..]);
        let path = format!("/?release-track={}", token("v2", 2000));
        gateway.send(&[(":path", &path)], &[]);
        assert_eq!(gateway.host.values(":path"), [path]);
        assert_eq!(gateway.of_response("set-cookie").len(), 1);
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
            let mut host = FakeHost::node(GATEWAY, &[]);
            host.environment.extend(keys.map(|keys| ("KEYS".to_owned(), keys)));
            let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
            host.request(&[(":path", path.as_bytes())]);
            filter.on_request(&mut host, &mut Response::default());
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
        assert_eq!(gateway.of_response("set-cookie"), [cookie]);
        assert_eq!(gateway.of_response("cache-control"), ["max-age=60, private"]);
        let again = [(":method", "GET"), ("accept", "text/html"), ("cookie", "release-track-id=x")];
        assert_eq!(gateway.send(&again, &[]).1, "share");
        assert!(gateway.of_response("set-cookie").is_empty());
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
            assert!(gateway.of_response("set-cookie").is_empty());
        }
        let mut dry = sharing(r#","dryRun":true"#);
        dry.send(&[(":method", "GET"), ("accept", "text/html")], &[]);
        assert!(dry.of_response("set-cookie").is_empty());
    }

    #[test]
    fn an_identity_may_be_a_header_or_a_parameter() {
        let mut gateway = sharing(r#","identity":{"header":"X-User"}"#);
        assert_eq!(gateway.send(&[("x-user", "7")], &[]).1, "share");
        let mut gateway = sharing(r#","identity":{"queryParam":"uid"}"#);
        assert_eq!(gateway.send(&[(":path", "/?uid=7")], &[]).1, "share");
        let page = [(":method", "GET"), ("accept", "text/html"), (":path", "/")];
        assert_eq!(gateway.send(&page, &[]).1, "baseline");
        assert!(gateway.of_response("set-cookie").is_empty());
    }

    #[test]
    fn responses_say_what_they_depend_on_and_what_was_decided() {
        let mut gateway = Exchange::new(&with(r#""vary":true,"expose":true"#));
        gateway.send(&[("cookie", "user=tester")], &[("vary", "accept")]);
        assert_eq!(gateway.of_response("vary"), ["accept, cookie"]);
        assert_eq!(gateway.of_response("x-release-track"), ["v2; reason=match"]);
        gateway.send(&[], &[]);
        assert_eq!(gateway.of_response("vary"), ["cookie"]);
        assert!(gateway.of_response("x-release-track").is_empty());
    }
}

mod sidecar {
    use crate::filter::Filter;
    use crate::host::Verdict;
    use crate::host::fake::{self, FakeHost};
    use crate::plan::Response;

    const ID: &str = "73cf9109-747e-4c23-92e0-3376878b904e";
    const TAGGED_V2: &str = "73cf9109-747e-4c23-92e0-4494afc95180";
    const TRACEPARENT: &str = "00-9f2b6c1e77b34da6e3ce829d0e0a4731-00f067aa0ba902b7-01";

    const STORY: &str = r#"{"tracks":[{"name":"v2","workloads":{"frontend":"v2","forecast":"v2"}},
        {"name":"v3","workloads":{"forecast":"v3"}}]}"#;

    fn with(more: &str) -> String {
        STORY.replacen('{', &format!("{{{more},"), 1)
    }

    /// A pod's sidecar, whose two sides share shared data.
    struct Sidecar {
        host: FakeHost,
        filter: Filter,
    }

    impl Sidecar {
        fn new(config: &str, app: &str, version: &str) -> Self {
            let mut host = FakeHost::node(
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
            self.filter.on_request(&mut self.host, &mut Response::default())
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
                "track=.=v2;.;outcome=.=mirrored;.;arrivals_total 1",
                "track=.=v2;.;outcome=.=mirrored;.;arrivals_total 1"
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
        assert_eq!(pod.out(&[("b3", "e3ce829d0e0a4731-00f067aa0ba902b7")]), ["v2"]);
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
        fake::logged();
        assert_eq!(pod.out(&[("x-request-id", TAGGED_V2)]), ["v2"]);
        for _ in 0..2 {
            pod.send(0, &[("x-request-id", TAGGED_V2)]);
            assert_eq!(pod.host.values("x-release-track"), NONE);
        }
        assert_eq!(fake::warnings().len(), 1);
    }

    #[test]
    fn a_waypoint_restores_the_header_alone() {
        let mut host =
            FakeHost::node("waypoint~10.0.0.2~wp-1.weather~weather.svc.cluster.local", &[]);
        let filter = Filter::configure(&mut host, STORY.as_bytes()).unwrap();
        host.request(&[("baggage", b"release-track=v2"), ("x-request-id", ID.as_bytes())]);
        filter.on_request(&mut host, &mut Response::default());
        assert_eq!(host.values("x-release-track"), ["v2"]);
        assert_eq!(host.values("x-request-id"), [ID]);
        let counted: Vec<_> = host.counted().into_keys().collect();
        assert_eq!(counted, ["release_track.track=.=v2;.;carrier=.=baggage;.;propagation_total"]);
    }
}
