//! The module on an Envoy of which one call fails, whichever that is, on the scenarios of the
//! differential: it never panics, and the request goes on.

use crate::abi::fake::{self, Envoy};
use crate::differential::{envoy, receive, scenario};
use release_track::config::{Config, Isolation};

const SCENARIOS: u64 = 40;

#[test]
fn whatever_call_fails_the_request_goes_on() {
    let mut failed = 0;
    for number in 0..SCENARIOS {
        let scenario = scenario(number);
        let may_refuse = Config::parse(scenario.config.as_bytes())
            .is_ok_and(|config| config.isolation == Isolation::Enforce && !config.dry_run);
        for call in 1.. {
            fake::begin(Envoy { fails: Some(call), ..envoy(&scenario) });
            let config = fake::configure("release-track", &scenario.config);
            let config = config.unwrap_or_else(|| panic!("{number}, call {call}: refused"));
            for request in &scenario.requests {
                receive(request);
                let goes_on = config.pass_lines(&request.headers, &request.response);
                let status = fake::with(|envoy| envoy.reply.as_ref().map(|reply| reply.0));
                let is_refused = may_refuse && status == Some(421);
                assert!(goes_on != is_refused, "{number}, call {call}: {status:?}\n{scenario}");
            }
            assert_eq!(fake::panics(), 0, "{number}, call {call}\n{scenario}");
            if fake::with(|envoy| envoy.calls) < call {
                break;
            }
            failed += 1;
        }
    }
    assert!(failed > SCENARIOS * 20, "only {failed} calls could fail");
}
