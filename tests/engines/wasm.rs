//! The compiled module in the test host.

use super::{Failed, Wrong, of_step};
use cases::{Act, Bindings, Case, Engine};
use exchange::case::{proxy, request, seen};
use exchange::{exchange, module, take_log, vm};
use proxy_wasm_test_host::{Callback, Error, Module, VmConfig};
use release_track::exchange::warnings;

pub(super) fn run(cases: &[&Case]) -> Result<Vec<Wrong>, Failed> {
    let module = module()?;
    cases.iter().map(|case| run_one(&module, case)).collect()
}

const GOOD: &str = r#"{"tracks":[{"name":"good"}]}"#;

fn run_one(module: &Module, case: &Case) -> Result<Wrong, Failed> {
    let vm = vm(module, &proxy(case), VmConfig::default())?;
    let configure = |config: &str| {
        let configured = vm.configure(config);
        let mut warned: Vec<_> = warnings(&take_log(vm.host())).map(str::to_owned).collect();
        // The configuration has been tried before, in a VM that was thrown away.
        warned.dedup();
        (configured, warned)
    };
    let (configured, warned) = configure(&case.config);
    match (&case.act, configured) {
        (_, Err(error)) => Ok([vec![error.to_string()], warned].concat()),
        (Act::Refused(refused), Ok(_)) => {
            // As the first it is accepted, and the filter is neutral; one in force stays.
            let mut wrong = refused.check(&warned);
            wrong.extend(configure(GOOD).1);
            let (configured, warned) = configure(&case.config);
            if !matches!(configured, Err(Error::Refused(Callback::Configure))) {
                wrong.push("the update was not refused".to_owned());
            }
            wrong.extend(refused.check(&warned));
            Ok(wrong)
        }
        (Act::Requests(steps), Ok(plugin)) => {
            let mut bindings = Bindings::default();
            let mut wrong = case.check_warnings(&warned);
            for (number, step) in steps.iter().enumerate() {
                let (exchange, _) = exchange(&plugin, &request(step, &bindings));
                let lines = step.check(Engine::Wasm, &seen(exchange), &mut bindings);
                wrong.extend(of_step(case, number, lines));
            }
            wrong.extend(vm.trap().map(|trap| trap.to_string()));
            Ok(wrong)
        }
    }
}
