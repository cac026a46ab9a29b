//! The core on a proxy that is not there.

use super::{Wrong, of_step};
use cases::{Act, Bindings, Case, Engine};
use exchange::case::{proxy, request, seen};
use release_track::exchange::{exchange, take_log, warnings};
use release_track::filter::Filter;

pub(super) fn run(case: &Case) -> Wrong {
    let mut proxy = proxy(case);
    let configured = Filter::configure(&mut proxy, case.config.as_bytes());
    let warned: Vec<_> = warnings(&take_log()).map(str::to_owned).collect();
    match (&case.act, configured) {
        (Act::Refused(refused), None) => refused.check(&warned),
        (Act::Refused(_), Some(_)) => vec!["the configuration was not refused".into()],
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
