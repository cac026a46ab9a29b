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

fn run_one(module: &Module, case: &Case) -> Result<Wrong, Failed> {
    let vm = vm(module, &proxy(case), VmConfig::default())?;
    let configured = vm.configure(&case.config);
    let mut warned: Vec<_> = warnings(&take_log(vm.host())).map(str::to_owned).collect();
    // The configuration has been tried before, in a VM that was thrown away.
    warned.dedup();
    match (&case.act, configured) {
        (Act::Refused(refused), Err(Error::Refused(Callback::Configure))) => {
            Ok(refused.check(&warned))
        }
        (Act::Refused(_), Ok(_)) => Ok(vec!["the configuration was not refused".into()]),
        (_, Err(error)) => Ok([vec![error.to_string()], warned].concat()),
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
