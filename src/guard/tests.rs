//! Guards at work in a filter: on a proxy that is not there, by its clock.

use super::record::{Record, SLICES};
use super::{Limits, verdict};
use crate::config::Config;
use crate::filter::Filter;
use crate::host::fake::{self, FakeHost};
use crate::plan::Response;

const ID: &str = "router~10.0.0.1~gateway-1.istio-system~istio-system.svc.cluster.local";
const START_MS: u64 = 1_800_000_000_000;

fn config(share: &str, guard: &str) -> String {
    format!(
        r#"{{"identity": {{"header": "x-account"}}, "tracks": [{{"name": "v2",
            "match": [{{"cookies": {{"user": {{"exact": "tester"}}}}}}],
            "share": {{"percent": {share}}}, "guard": {guard}}}]}}"#
    )
}

/// A gateway, and a worker's filter in it.
struct Gateway {
    host: FakeHost,
    filter: Filter,
}

impl Gateway {
    fn new(config: &str) -> Self {
        let mut host = FakeHost::node(ID, &[]);
        host.now_ms = START_MS;
        let filter = Filter::configure(&mut host, config.as_bytes()).unwrap();
        Self { host, filter }
    }

    fn configure(&mut self, config: &str) {
        self.filter = Filter::configure(&mut self.host, config.as_bytes()).unwrap();
    }

    /// A request that this filter decides: whether it follows the track, and what its response is
    /// told by.
    fn decide(&mut self, headers: &[(&str, &str)]) -> (bool, Response) {
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_bytes())).collect();
        self.host.request(&headers);
        let mut response = Response::default();
        self.filter.on_request(&mut self.host, &mut response);
        (!self.host.values("x-release-track").is_empty(), response)
    }

    fn answer(&mut self, response: &Response, status: &str) {
        self.host.response = vec![(b":status".to_vec(), status.into())];
        self.filter.on_response(&mut self.host, response);
    }

    /// A request of an account, whose response has this status by whether it follows the track.
    fn account(&mut self, account: &str, status: impl Fn(bool) -> &'static str) -> bool {
        let (follows, response) = self.decide(&[("x-account", account)]);
        self.answer(&response, status(follows));
        follows
    }

    fn events(&self) -> [u64; 2] {
        ["guard_stopped", "guard_resumed"].map(|event| {
            let name = format!("release_track.event=.={event};.;events_total");
            self.host.counted().get(&name).copied().unwrap_or_default()
        })
    }

    fn share(&self) -> u64 {
        self.gauge("track=.=v2;.;share")
    }

    fn gauge(&self, name: &str) -> u64 {
        let name = format!("release_track.{name}");
        self.host.gauges.iter().find(|(known, _)| *known == name).unwrap().1
    }
}

const EVERYBODY: &str = "100";

fn failing(follows: bool) -> &'static str {
    if follows { "503" } else { "200" }
}

#[test]
fn a_share_that_fails_is_stopped_and_rules_are_not() {
    const STOPPED: &str = "track=.=v2;.;guard_stopped";
    let mut gateway = Gateway::new(&config(EVERYBODY, r#"{"minimum": 10}"#));
    assert_eq!((gateway.share(), gateway.gauge(STOPPED)), (10_000, 0));
    let followed = (0..100).filter(|n| gateway.account(&n.to_string(), failing)).count();
    assert_eq!((followed, gateway.events(), gateway.share()), (10, [1, 0], 0));
    assert_eq!(gateway.gauge(STOPPED), 1);
    let (follows, _) = gateway.decide(&[("cookie", "user=tester"), ("x-account", "1")]);
    assert!(follows);
    let stops = fake::warnings();
    assert!(matches!(&stops[..], [line] if line.contains("10 of its last 10 responses failed")));
}

#[test]
fn a_million_responses_with_the_same_noise_on_both_sides_stop_nothing() {
    // The track's share in percent, and requests in a window: from as many as `minimum` asks for to
    // thousands.
    for (share, in_window, errors, minimum) in [
        (50, 220, 500, 100),
        (50, 400, 500, 100),
        (50, 60_000, 500, 100),
        (1, 12_000, 500, 100),
        (99, 120, 500, 100),
        (100, 120, 500, 100),
        (50, 2_000, 100, 200),
    ] {
        let limits = Limits { errors, minimum, over_ms: 60_000, retry_ms: 0 };
        let mut record = Record::new(0);
        let mut random = Random(7);
        let stops = (0..1_000_000).find(|number| {
            let is_tracks = random.next() % 100 < share;
            record.count(
                number * SLICES as u64 / in_window,
                is_tracks,
                random.next().is_multiple_of(100),
            );
            is_tracks && verdict::failing(&record, limits).is_some()
        });
        assert_eq!(stops, None, "{share} {in_window} {limits:?}");
    }
}

#[test]
fn requests_whose_responses_have_the_same_noise_leave_the_share_as_it_is() {
    let mut gateway = Gateway::new(&config("50", "{}"));
    let mut random = Random(7);
    let mut failed = [0_u32; 2];
    for _ in 0..100_000 {
        gateway.host.now_ms += 1;
        let fails = random.next().is_multiple_of(100);
        let status = if fails { "500" } else { "200" };
        let follows = gateway.account(&random.next().to_string(), |_| status);
        failed[usize::from(follows)] += u32::from(fails);
    }
    assert!(failed.iter().all(|failed| (450..550).contains(failed)), "{failed:?}");
    assert_eq!((gateway.events(), gateway.share()), ([0, 0], 5_000));
}

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[test]
fn a_track_that_served_well_before_is_stopped_within_a_slice_and_the_minimum() {
    let mut gateway = Gateway::new(&config("50", "{}"));
    // 500 responses of the track in each slice of 6 s.
    let send = |gateway: &mut Gateway, number: u32, status: &dyn Fn(bool) -> &'static str| {
        gateway.host.now_ms += 6;
        gateway.account(&number.to_string(), status)
    };
    for number in 0..20_000 {
        send(&mut gateway, number, &|_| "200");
    }
    let failed = (20_000..30_000).filter(|number| send(&mut gateway, *number, &failing)).count();
    assert!(failed <= 600, "{failed}");
    assert_eq!(gateway.events(), [1, 0]);
}

#[test]
fn what_fails_on_baseline_too_does_not_stop() {
    let mut gateway = Gateway::new(&config("50", "{}"));
    for number in 0..10_000 {
        gateway.host.now_ms += 1;
        gateway.account(&number.to_string(), |_| "503");
    }
    assert_eq!((gateway.events(), gateway.share()), ([0, 0], 5_000));
}

#[test]
fn a_guard_with_retry_tries_again_and_stops_again() {
    let guard = r#"{"minimum": 5, "retry": "10m"}"#;
    let mut gateway = Gateway::new(&config(EVERYBODY, guard));
    let followed = |gateway: &mut Gateway| {
        (0..20).filter(|n| gateway.account(&n.to_string(), failing)).count()
    };
    assert_eq!(followed(&mut gateway), 5);
    gateway.host.now_ms += 599_999;
    assert_eq!((followed(&mut gateway), gateway.events()), (0, [1, 0]));
    gateway.host.now_ms += 1;
    assert_eq!((followed(&mut gateway), gateway.events()), (5, [2, 1]));
    gateway.host.now_ms += 600_000;
    gateway.filter.on_tick(&mut gateway.host);
    assert_eq!(gateway.share(), 10_000);
}

#[test]
fn it_stays_stopped_until_the_tracks_configuration_changes() {
    let guard = r#"{"minimum": 5}"#;
    let stopped = config(EVERYBODY, guard);
    let mut gateway = Gateway::new(&stopped);
    for n in 0..5 {
        gateway.account(&n.to_string(), failing);
    }
    let follows = |gateway: &mut Gateway| gateway.account("someone", |_| "200");
    gateway.host.now_ms += 365 * 24 * 60 * 60 * 1000;
    assert!(!follows(&mut gateway));
    // The same again, as after a crash of the VM; and something else has changed.
    gateway.configure(&stopped);
    assert_eq!((follows(&mut gateway), gateway.share()), (false, 0));
    gateway.configure(&stopped.replacen('{', r#"{"vary": true, "#, 1));
    assert!(!follows(&mut gateway));
    gateway.configure(&config("99.99", guard));
    assert_eq!((follows(&mut gateway), gateway.share()), (true, 9_999));
    // What was stopped before has been forgotten.
    gateway.configure(&stopped);
    assert!(follows(&mut gateway));
}

#[test]
fn responses_of_an_old_configuration_do_not_count_under_a_new_one() {
    let mut gateway = Gateway::new(&config(EVERYBODY, r#"{"minimum": 5}"#));
    let under_way: Vec<_> =
        (0..20).map(|n| gateway.decide(&[("x-account", &n.to_string())]).1).collect();
    let new = config(EVERYBODY, r#"{"minimum": 6}"#);
    let old = std::mem::replace(
        &mut gateway.filter,
        Filter::configure(&mut gateway.host, new.as_bytes()).unwrap(),
    );
    gateway.host.response = vec![(b":status".to_vec(), b"500".to_vec())];
    for response in &under_way {
        old.on_response(&mut gateway.host, response);
    }
    assert_eq!(gateway.events(), [0, 0]);
    assert!(gateway.account("someone", |_| "200"));
}

#[test]
fn workers_count_together_and_one_of_them_stops() {
    let config = config(EVERYBODY, r#"{"minimum": 10}"#);
    let mut gateway = Gateway::new(&config);
    let mut other = Filter::configure(&mut gateway.host, config.as_bytes()).unwrap();
    let mut followed = 0;
    for number in 0..40 {
        // Before it writes, others do.
        gateway.host.rivals = number % 3;
        followed += usize::from(gateway.account(&number.to_string(), failing));
        std::mem::swap(&mut gateway.filter, &mut other);
    }
    assert_eq!((followed, gateway.events()), (10, [1, 0]));
}

#[test]
fn each_proxy_decides_by_what_it_has_seen_itself() {
    let config = config(EVERYBODY, r#"{"minimum": 10}"#);
    let [mut one, mut other] = [Gateway::new(&config), Gateway::new(&config)];
    for number in 0..10 {
        one.account(&number.to_string(), failing);
    }
    assert!(!one.account("someone", failing));
    let followed = (0..40).filter(|n| other.account(&n.to_string(), failing)).count();
    assert_eq!((followed, one.events(), other.events()), (10, [1, 0], [1, 0]));
}

#[test]
fn what_others_write_in_its_place_stops_nothing() {
    let mut gateway = Gateway::new(&config(EVERYBODY, r#"{"minimum": 2}"#));
    let key = b"release-track/1/guard/v2";
    let good = gateway.host.shared[&key[..]].0.clone();
    for value in [vec![], vec![0xff; 7], vec![0xff; good.len()], vec![0; good.len()]] {
        gateway.host.shared.insert(key.to_vec(), (value, 1));
        assert!(gateway.account("someone", failing));
        assert!(gateway.account("someone", failing));
        assert_eq!(gateway.events(), [0, 0]);
    }
}

#[test]
fn the_gauge_tells_what_is_in_force() {
    let fixed = config("2.5", "{}");
    assert_eq!(Gateway::new(&fixed).share(), 250);
    let dry = |what: &str| fixed.replacen(what, &format!(r#""dryRun": true, {what}"#), 1);
    assert_eq!(Gateway::new(&dry(r#""identity""#)).share(), 0);
    assert_eq!(Gateway::new(&dry(r#""name""#)).share(), 0);
    let ramp =
        r#"{"ramp": {"from": 0, "to": 100, "start": "2027-01-15T08:00:00Z", "over": "100s"}}"#;
    let mut moves = Gateway::new(&fixed.replacen(r#"{"percent": 2.5}"#, ramp, 1));
    assert_eq!(moves.share(), 0);
    moves.host.now_ms += 12_340;
    moves.filter.on_tick(&mut moves.host);
    assert_eq!(moves.share(), 1_234);
    // Withdrawn: it is not what it was.
    moves.configure(r#"{"tracks": [{"name": "v2"}]}"#);
    assert_eq!(moves.share(), 0);
}

#[test]
fn a_gauge_tells_which_configuration_is_in_force() {
    const CONFIGURATION: &str = "configuration";
    let one = config("5", "{}");
    let mut gateway = Gateway::new(&one);
    let told = gateway.gauge(CONFIGURATION);
    assert_eq!(Config::parse(one.as_bytes()).unwrap().fingerprint.unwrap().number(), told);
    gateway.configure(&config("6", "{}"));
    assert_ne!(gateway.gauge(CONFIGURATION), told);
    // An update that is refused.
    let before = gateway.gauge(CONFIGURATION);
    assert!(Filter::configure(&mut gateway.host, b"{}").is_none());
    assert_eq!(gateway.gauge(CONFIGURATION), before);
    // A first one that is not good.
    assert_eq!(Gateway::new("{}").gauge(CONFIGURATION), 0);
}

#[test]
fn without_a_guard_a_response_costs_nothing() {
    let bare = r#"{"identity": {"header": "x-account"}, "tracks": [{"name": "v2", "share": {"percent": 100}}]}"#;
    let mut gateway = Gateway::new(bare);
    let mut calls = |headers: &[(&str, &str)]| -> Vec<_> {
        let (follows, response) = gateway.decide(headers);
        gateway.host.calls.clear();
        gateway.answer(&response, "500");
        assert!(gateway.filter.ticks().is_none());
        [("follows", usize::from(follows))].into_iter().chain(gateway.host.calls.clone()).collect()
    };
    assert_eq!(calls(&[]), [("follows", 0)]);
    // But for the one question whether its track left the mesh.
    assert_eq!(calls(&[("x-account", "someone")]), [("follows", 1), ("get_property", 1)]);
}
