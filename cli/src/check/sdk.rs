//! Applications whose SDK drops the track, with this configuration.

use super::valid::Valid;
use crate::report::Diagnostic;
use crate::sdk::{BAGGAGE, Sdk, Sidecar};
use release_track::config::Config;

pub(super) fn check<'a>(valid: &Valid<'a>, sdks: &[&'static Sdk]) -> Vec<Diagnostic<'a>> {
    // Then nothing is carried that could be lost.
    if valid.config.dry_run || valid.config.names.iter().next().is_none() {
        return Vec::new();
    }
    sdks.iter().filter_map(|sdk| lost(valid, sdk)).collect()
}

fn lost<'a>(valid: &Valid<'a>, sdk: &Sdk) -> Option<Diagnostic<'a>> {
    let mut sidecar = Sidecar::new(valid.source.parse().ok()?);
    let mut is_lost = |arrived| sidecar.carrier(sdk, arrived).is_none();
    let traces: Vec<_> = sdk.traces().collect();
    let known: Vec<_> = traces.iter().copied().filter(|header| is_lost(Some(header))).collect();
    let (none, another) = (is_lost(None), is_lost(Some(sdk.another())));
    if !none && !another && known.is_empty() {
        return None;
    }
    let requests = if none && another && known.len() == traces.len() {
        "every request".to_owned()
    } else {
        let none = none.then(|| "without a trace".to_owned());
        let with = known.iter().map(|header| format!("with {header}"));
        let another = another.then(|| "with one that the SDK does not read".to_owned());
        let all: Vec<_> = none.into_iter().chain(with).chain(another).collect();
        format!("requests {}", all.join(", or "))
    };
    let root = valid.source.node;
    let place = root.member("propagation").or_else(|| root.member("tracks"));
    let lost = Lost { starts: none || another, known };
    let hint = lost.mends(sdk, &valid.config);
    Some(Diagnostic {
        is_error: false,
        code: "sdk-loses-track",
        file: valid.source.file,
        span: place.map_or_else(|| root.span.clone(), |member| member.key.clone()),
        path: place.map(|member| member.name.clone()).unwrap_or_default(),
        value: None,
        message: format!("with {}, a baseline pod loses the track of {requests}", sdk.name),
        hint: Some(hint).filter(|hint| !hint.is_empty()),
    })
}

struct Lost {
    /// The track of requests for which the SDK starts a trace.
    starts: bool,
    /// That of requests with a trace in these headers, with which it goes on.
    known: Vec<&'static str>,
}

impl Lost {
    /// What keeps all of it: in the application, or in this configuration.
    fn mends(&self, sdk: &Sdk, config: &Config) -> String {
        let baggage = config.propagation.baggage;
        let application = match sdk.mends {
            _ if sdk.hands_on.contains(&BAGGAGE) => Some("leave propagation.baggage on".to_owned()),
            Some(line) if line.contains(BAGGAGE) && !baggage => {
                Some(format!("in the application: {line}, and here leave propagation.baggage on"))
            }
            line => line.map(|line| format!("in the application: {line}")),
        };
        let mint = &config.propagation.mint;
        let mint = match sdk.mint() {
            Some("traceparent") if mint.traceparent.is_none() => Some("traceparent: sampled"),
            Some("b3") if mint.b3.is_none() => Some("b3: deferred"),
            _ => None,
        };
        let list = format!("list {} under propagation.correlate", self.known.join(", "));
        let here = match (self.starts, mint) {
            (false, _) => return list,
            (true, None) => None,
            (true, Some(mint)) if self.known.is_empty() => {
                Some(format!("here: propagation.mint: {{{mint}}}"))
            }
            (true, Some(mint)) => Some(format!("here: propagation.mint: {{{mint}}}, and {list}")),
        };
        application.into_iter().chain(here).collect::<Vec<_>>().join("; or ")
    }
}
