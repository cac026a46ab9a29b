//! Which track an account's rule gives it: asked of the filter itself, as a gateway has it.

use release_track::config::Config;
use release_track::exchange::{Request, exchange};
use release_track::filter::Filter;
use release_track::host::fake::FakeHost;

const GATEWAY: &str = "router~10.0.0.1~gateway.istio-system~istio-system.svc.cluster.local";
const CLUSTER: &str = "outbound|3000||frontend.weather.svc.cluster.local";

/// A gateway that is not there, with the rules of the one that is.
pub(super) struct Accounts {
    filter: Filter,
    proxy: FakeHost,
    header: Vec<u8>,
}

impl Accounts {
    pub(super) fn new(config: Config) -> Self {
        let header = config.header.as_bytes().to_vec();
        let mut proxy = FakeHost::node(GATEWAY, &[]);
        let filter = Filter::new(&mut proxy, config);
        Self { filter, proxy, header }
    }

    /// `None` is baseline. Shares and previews are not asked: no account has those.
    pub(super) fn track_of(&mut self, user: &str) -> Option<String> {
        let headers = [
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "weather.example"),
            (":path", "/"),
            ("cookie", &format!("user={user}")),
        ];
        let headers = headers.map(|(name, value)| (name.into(), value.into()));
        let request = Request {
            direction: 1,
            cluster: Some(CLUSTER.into()),
            headers: headers.into(),
            ..Request::default()
        };
        let left = exchange(&self.filter, &mut self.proxy, &request).request;
        let (_, track) = left.into_iter().find(|(name, _)| *name == self.header)?;
        String::from_utf8(track).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_rule_names() {
        let config = br#"{"tracks": [
            {"name": "v2", "match": [{"cookies": {"user": {"exact": "tester"}}}]},
            {"name": "v3", "match": [{"cookies": {"user": {"prefix": "tester-v3"}}}]}
        ]}"#;
        let mut accounts = Accounts::new(Config::parse(config).unwrap());
        for (user, track) in [
            ("tester", Some("v2")),
            ("tester-v3", Some("v3")),
            ("alice", None),
            ("alice; user=tester", Some("v2")),
            ("", None),
        ] {
            assert_eq!(accounts.track_of(user).as_deref(), track, "{user}");
        }
    }
}
