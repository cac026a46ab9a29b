//! The module on an Envoy of which one call fails, on the scenarios of the differential: it never
//! panics, and the request goes on.

use crate::abi::fake::{self, Envoy};
use crate::differential::{envoy, receive};
use release_track::config::{Config, Isolation};
use scenarios::Scenario;

/// All of a scenario, with this call failing, the first being 1. Whether there was such a call.
///
/// # Errors
/// What should not have been.
pub fn fail(scenario: &Scenario, call: usize) -> Result<bool, String> {
    let may_refuse = Config::parse(scenario.config.as_bytes())
        .is_ok_and(|config| config.isolation == Isolation::Enforce && !config.dry_run);
    fake::begin(Envoy { fails: Some(call), ..envoy(scenario) });
    let config = fake::configure("release-track", &scenario.config);
    let config = config.ok_or_else(|| format!("call {call}: the configuration is refused"))?;
    for request in &scenario.requests {
        receive(request);
        let goes_on = config.pass_lines(&request.headers, &request.response);
        let status = fake::with(|envoy| envoy.reply.as_ref().map(|reply| reply.0));
        let is_refused = may_refuse && status == Some(421);
        if goes_on == is_refused {
            return Err(format!("call {call}: goes on: {goes_on}, and is answered {status:?}"));
        }
    }
    drop(config);
    let (panics, calls) = (fake::panics(), fake::with(|envoy| envoy.calls));
    // Whoever looks for leaks after each scenario finds nothing kept.
    fake::begin(Envoy::default());
    match panics {
        0 => Ok(calls >= call),
        _ => Err(format!("call {call}: {panics} panics")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::tests::scenario;

    const SCENARIOS: u64 = 40;

    #[test]
    fn whatever_call_fails_the_request_goes_on() {
        let mut failed = 0;
        for number in 0..SCENARIOS {
            let scenario = scenario(number);
            let fails = |call: &usize| {
                fail(&scenario, *call).unwrap_or_else(|why| panic!("{number}: {why}\n{scenario}"))
            };
            failed += (1..).take_while(fails).count() as u64;
        }
        assert!(failed > SCENARIOS * 20, "only {failed} calls could fail");
    }
}
