//! The filter on a proxy that is not there, which tells every step.

use release_track::config::Config;
use release_track::filter::Filter;
use release_track::host::fake::{self, FakeHost};

/// The filter on a proxy that knows its node, its time and its environment, and what it warned of
/// when it was configured.
pub(super) fn configure(proxy: &mut FakeHost, config: Config) -> (Filter, Vec<String>) {
    proxy.is_explaining = true;
    let filter = Filter::new(proxy, config);
    (filter, fake::warnings())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::Given;
    use crate::input::File;
    use crate::input::manifest::{Bare, Manifests};
    use cases::{Act, Bindings, Case, Engine, Seen};
    use exchange::case;
    use release_track::exchange::exchange;

    /// What people are told is what the filter does: every case passes here as on the engines.
    #[test]
    fn every_case_passes() {
        let cases = cases::load(cases::FOLDER).unwrap();
        assert!(!cases.is_empty());
        let wrong: Vec<_> = cases
            .iter()
            .filter(|case| !case.left_out.contains_key(&Engine::Native))
            .flat_map(|case| {
                let place = format!("{}: {}", case.file, case.name);
                run(case).into_iter().map(move |wrong| format!("{place}: {wrong}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn run(case: &Case) -> Vec<String> {
        let file = File::new("case.json".to_owned(), case.config.clone(), true);
        let steps = match &case.act {
            // Nobody is told about a proxy that has no configuration: the file is refused.
            Act::Requests(_) if let Some(refused) = &case.neutral => {
                return refuse(file, &refused.path);
            }
            Act::Requests(steps) => steps,
            Act::Refused(refused) => return refuse(file, &refused.path),
        };
        let Ok(Given { config, .. }) = Given::of(&[file]) else {
            return vec!["the configuration is refused".to_owned()];
        };
        let mut proxy = case::proxy(case);
        let (filter, warnings) = configure(&mut proxy, config);
        let mut wrong = case.check_warnings(&warnings);
        let mut bindings = Bindings::default();
        for step in steps {
            let exchange = exchange(&filter, &mut proxy, &case::request(step, &bindings));
            if exchange.steps.is_empty() {
                wrong.push("nothing is told".to_owned());
            }
            // Who listens makes calls that a proxy need not.
            let seen = Seen { calls: None, ..case::seen(exchange) };
            wrong.extend(step.check(Engine::Native, &seen, &mut bindings));
        }
        wrong
    }

    /// The command line refuses what the filter refuses, and names the same place.
    fn refuse(file: File, path: &str) -> Vec<String> {
        let files = [file];
        if files[0].documents.is_err() {
            return Vec::new();
        }
        let manifests = Manifests::of(&files, Bare::Named);
        match manifests.configurations.first().map(|source| source.parse()) {
            Some(Err(error)) if error.path == path => Vec::new(),
            // An empty document.
            None if path == "pluginConfig" => Vec::new(),
            Some(Err(error)) if path == "pluginConfig" && error.path.is_empty() => Vec::new(),
            Some(Err(error)) => vec![format!("refused at {:?} instead of {path}", error.path)],
            _ => vec!["the configuration is not refused".to_owned()],
        }
    }
}
