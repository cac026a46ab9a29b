//! The core on a proxy that is not there.

use super::{Wrong, of_step};
use cases::{Act, Bindings, Case, Engine};
use exchange::case::{proxy, request, seen};
use release_track::exchange::{exchange, take_log, warnings};
use release_track::filter::Filter;

const GOOD: &[u8] = br#"{"tracks":[{"name":"good"}]}"#;

pub(super) fn run(case: &Case) -> Wrong {
    let mut proxy = proxy(case);
    let mut configure = |config: &[u8]| {
        let filter = Filter::configure(&mut proxy, config);
        let warned: Vec<_> = warnings(&take_log()).map(str::to_owned).collect();
        (filter, warned)
    };
    let (configured, warned) = configure(case.config.as_bytes());
    match (&case.act, configured) {
        (Act::Refused(refused), Some(filter)) if filter.is_neutral() => {
            let mut wrong = refused.check(&warned);
            wrong.extend(configure(GOOD).1);
            // A configuration in force stays.
            let (filter, warned) = configure(case.config.as_bytes());
            wrong.extend(filter.map(|_| "the update was not refused".to_owned()));
            wrong.extend(refused.check(&warned));
            wrong
        }
        (Act::Refused(_), _) => vec!["the configuration was not refused".into()],
        (Act::Requests(_), None) => warned,
        (Act::Requests(steps), Some(filter)) => {
            let mut bindings = Bindings::default();
            let mut wrong = case.check_warnings(&warned);
            for (number, step) in steps.iter().enumerate() {
                let exchange = exchange(&filter, &mut proxy, &request(step, &bindings));
                let lines = step.check(Engine::Native, &seen(exchange), &mut bindings);
                wrong.extend(of_step(case, number, lines));
            }
            wrong
        }
    }
}
