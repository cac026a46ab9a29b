//! `explain`: what the filter does with one request, in its own words.

mod curl;
mod proxy;
mod request;

use crate::clock::Time;
use crate::failure::Failure;
use crate::given::Given;
use crate::output::{Output, say, to_json};
use crate::sdk::{self, Sdk};
use anstyle::{AnsiColor, Style};
use clap::{Args, ValueEnum};
use release_track::exchange::{Exchange, Lines, Request, exchange};
use release_track::host::fake::FakeHost;
use release_track::istio::stats::Stat;
use request::Sent;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  Which track does a tester follow?
    release-track explain --config wasmplugin.yaml -H 'cookie: user=tester'
  Somebody saw the wrong version; what the browser has under Copy as cURL (bash):
    release-track explain --config wasmplugin.yaml -- \\
      curl 'https://weather.example/' -H 'cookie: user=tester' --compressed
  A call that the frontend makes:
    release-track explain --config wasmplugin.yaml http://forecast:3002/ \\
      --at outbound --pod app=frontend,version=v2 \\
      -H 'x-request-id: 73cf9109-747e-4c23-92e0-4494afc95180'
  What of a request on v2 does an application with OpenTelemetry's B3 carry on?
    release-track explain --config wasmplugin.yaml --at inbound \\
      -H 'x-release-track: v2' --sdk otel-b3
  Whom does the ramp reach tomorrow?
    release-track explain --config wasmplugin.yaml \\
      --now 2027-01-16T08:00:00Z -H 'cookie: release-track-id=3f2a'

The steps are told by the code that decides, as it decides. The headers are those that Envoy hands
to the filter: at the edge it has added x-forwarded-proto and x-request-id by then, and where you
give none, examples stand for them. Nothing that an earlier request left behind is known here.

Exit codes: 0 answered, 1 the configuration is refused, 2 wrong usage.";

/// Tell what the filter does with a request, step by step
///
/// Prints every step of the decision, the request's headers as they leave the filter with what
/// changed marked, what is added to the response, and what is counted.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Explain {
    /// The WasmPlugin, TrafficExtension or bare configuration; - for standard input
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A header of the request, as with curl; any number of them
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET", conflicts_with_all = ["curl", "command"])]
    method: String,
    /// A pasted curl command in one argument; - reads it from standard input
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["command", "url"])]
    curl: Option<String>,
    /// Which proxy sees the request
    #[arg(long, value_enum, default_value_t)]
    at: At,
    /// The labels of that proxy's pod, as in app=frontend,version=v2
    #[arg(long, value_name = "LABELS", value_delimiter = ',', value_parser = pair)]
    pod: Vec<(String, String)>,
    /// The namespace of that pod
    #[arg(long, default_value = "default")]
    namespace: String,
    /// The cluster of the request's route, as Envoy names it; such as PassthroughCluster
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The request comes over mutual TLS
    #[arg(long)]
    mtls: bool,
    /// With --at inbound: what the application is instrumented with, to tell of the call that it makes
    #[arg(long, value_name = "NAME", value_parser = sdk::parser())]
    sdk: Option<&'static Sdk>,
    /// An environment variable of the plugin, besides those that the manifest sets
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// As if the guard of this track had stopped its shares; any number of them
    #[arg(long, value_name = "TRACK")]
    stopped: Vec<String>,
    /// The time of the request, such as 2027-01-15T08:00:00Z, in place of now
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    now: Option<Time>,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Where the request goes
    #[arg(default_value = "https://weather.example/")]
    url: String,
    /// A curl command, as pasted: everything after --
    #[arg(last = true)]
    command: Vec<String>,
}

/// Where a filter stands.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum At {
    /// A gateway, which decides
    #[default]
    Edge,
    /// A pod's sidecar: a request arrives there
    Inbound,
    /// A pod's sidecar: the pod makes a call
    Outbound,
    /// A waypoint, which a request passes
    Waypoint,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Explain {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        if self.sdk.is_some() && self.at != At::Inbound {
            return Err(Failure::usage("--sdk is for --at inbound, where a request arrives"));
        }
        let Given { config, mut environment } = Given::load(&self.config)?;
        environment.extend(self.env.iter().cloned());
        let request = Request {
            after_ms: 0,
            direction: if self.at == At::Outbound { 2 } else { 1 },
            cluster: Some(self.cluster()),
            tracked_cluster: None,
            mtls: self.mtls,
            properties: Vec::new(),
            headers: self.sent()?.lines(self.at == At::Edge),
            response: vec![(b":status".to_vec(), b"200".to_vec())],
        };
        let header = config.header.clone();
        let mut proxy = self.proxy(environment);
        let (filter, warnings) = proxy::configure(&mut proxy, config);
        for track in &self.stopped {
            if !filter.stop_shares(&mut proxy, track) {
                let problem = "no track of this name has a guard here";
                return Err(Failure::usage(format!("--stopped {track}: {problem}")));
            }
        }
        let arrived = exchange(&filter, &mut proxy, &request);
        let call = self.sdk.map(|sdk| {
            let call = sdk.call(&arrived.request, &self.namespace);
            (sdk, exchange(&filter, &mut proxy, &call))
        });
        let mut report = Report::new(&header, &warnings, &request, &arrived);
        report.call = call.as_ref().map(|(sdk, call)| Call::new(&header, sdk, call));
        match self.output {
            Output::Json => say!("{}", to_json(&report)),
            Output::Human => report.print(),
        }
        Ok(ExitCode::SUCCESS)
    }

    fn sent(&self) -> Result<Sent, Failure> {
        let mut sent = match (&*self.command, self.curl.as_deref()) {
            ([], None) => Sent {
                method: self.method.clone(),
                url: request::url(&self.url)?,
                headers: Vec::new(),
            },
            ([], Some("-")) => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|error| Failure::usage(format!("stdin: {error}")))?;
                curl::parse(&text)?
            }
            ([], Some(text)) => curl::parse(text)?,
            // In quotes after all.
            ([text], None) => curl::parse(text)?,
            (words, _) => curl::read(words)?,
        };
        for line in &self.headers {
            let (name, value) = request::header(line)?;
            sent.headers.extend(value.map(|value| (name, value)));
        }
        Ok(sent)
    }

    fn proxy(&self, environment: BTreeMap<String, String>) -> FakeHost {
        let Self { namespace, pod, .. } = self;
        let labels: Vec<_> = pod.iter().map(|(name, value)| (&**name, &**value)).collect();
        let kind = match self.at {
            At::Edge => "router",
            At::Inbound | At::Outbound => "sidecar",
            At::Waypoint => "waypoint",
        };
        let id = format!("{kind}~10.0.0.1~pod.{namespace}~{namespace}.svc.cluster.local");
        let mut proxy = FakeHost::node(&id, &labels);
        proxy.environment = environment;
        proxy.now_ms = Time::or_now(self.now).since_epoch().as_millis() as u64;
        proxy
    }

    /// Inside the mesh, unless somebody says otherwise.
    fn cluster(&self) -> String {
        let inside = match self.at {
            At::Inbound => "inbound|8080||".to_owned(),
            _ => format!("outbound|80||service.{}.svc.cluster.local", self.namespace),
        };
        self.cluster.clone().unwrap_or(inside)
    }
}

/// What is printed, and what `--output json` has.
#[derive(Serialize)]
struct Report<'a> {
    /// What the request's header says when it leaves the filter, which is what routes go by.
    track: Option<String>,
    warnings: Vec<&'a str>,
    steps: &'a [String],
    request: Vec<Line>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply: Option<Reply<'a>>,
    response: Vec<Line>,
    counted: Vec<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Call<'a>>,
}

/// What a sidecar makes of a call for the request.
#[derive(Serialize)]
struct Call<'a> {
    sdk: &'static str,
    track: Option<String>,
    steps: &'a [String],
}

impl<'a> Call<'a> {
    fn new(header: &str, sdk: &Sdk, call: &'a Exchange) -> Self {
        Self { sdk: sdk.name, track: track(header, call), steps: &call.steps }
    }
}

fn track(header: &str, exchange: &Exchange) -> Option<String> {
    let line = exchange.request.iter().find(|(name, _)| name == header.as_bytes());
    line.map(|(_, track)| shown(track))
}

/// A header's line, and what became of it.
#[derive(Serialize)]
struct Line {
    change: Change,
    name: String,
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    None,
    Removed,
    Added,
}

#[derive(Serialize)]
struct Reply<'a> {
    status: u32,
    body: &'a str,
}

#[derive(Serialize)]
struct Count {
    name: String,
    labels: BTreeMap<&'static str, String>,
    by: u64,
}

impl<'a> Report<'a> {
    fn new(
        header: &str,
        warnings: &'a [String],
        request: &Request,
        exchange: &'a Exchange,
    ) -> Self {
        let warnings = warnings.iter().map(String::as_str).chain(exchange.warnings());
        let warnings = warnings.map(|line| line.trim_start_matches("release-track: "));
        let reply = exchange.reply.as_ref();
        Self {
            track: track(header, exchange),
            warnings: warnings.collect(),
            steps: &exchange.steps,
            request: compare(&request.headers, &exchange.request),
            reply: reply.map(|(status, body)| Reply { status: *status, body: body.trim_end() }),
            response: compare(&request.response, &exchange.response),
            counted: exchange.counts.iter().filter_map(|(stat, by)| Count::of(stat, *by)).collect(),
            call: None,
        }
    }

    fn print(&self) {
        let bold = Style::new().bold();
        for warning in &self.warnings {
            let yellow = AnsiColor::Yellow.on_default().bold();
            say!("{yellow}warning{yellow:#}: {warning}\n");
        }
        print_steps(self.steps);
        match &self.reply {
            Some(Reply { status, body }) => {
                say!("\n{bold}The proxy's own response: {status}{bold:#} {body}");
            }
            None => {
                say!("\n{bold}The request, as it leaves the filter{bold:#}");
                print_lines(&self.request);
            }
        }
        if self.reply.is_none() && self.response.iter().any(|line| line.change != Change::None) {
            say!("\n{bold}The response to it{bold:#}");
            print_lines(&self.response);
        }
        if !self.counted.is_empty() {
            say!("\n{bold}Counted{bold:#}");
        }
        for Count { name, labels, .. } in &self.counted {
            let labels: Vec<_> = labels.iter().map(|(n, v)| format!("{n}=\"{v}\"")).collect();
            say!("  {name}{{{}}}", labels.join(","));
        }
        if let Some(Call { sdk, track, steps }) = &self.call {
            let track = track.as_deref().unwrap_or("baseline");
            say!(
                "\n{bold}A call for it, as an application with {sdk} makes it, follows {track}{bold:#}"
            );
            print_steps(steps);
        }
    }
}

fn print_steps(steps: &[String]) {
    let bold = Style::new().bold();
    let width = steps.len().to_string().len();
    for (number, step) in steps.iter().enumerate() {
        say!("{bold}{:width$}.{bold:#} {step}", number + 1);
    }
}

fn print_lines(lines: &[Line]) {
    for Line { change, name, value } in lines {
        let (mark, style) = match change {
            Change::None => (' ', Style::new()),
            Change::Removed => ('-', AnsiColor::Red.on_default()),
            Change::Added => ('+', AnsiColor::Green.on_default()),
        };
        say!("{style}{mark} {name}: {value}{style:#}");
    }
}

/// All lines of both, in the order of the first, what was added to a header after it.
fn compare(before: &Lines, after: &Lines) -> Vec<Line> {
    let line = |change, (name, value): &(Vec<u8>, Vec<u8>)| Line {
        change,
        name: name.escape_ascii().to_string(),
        value: shown(value),
    };
    let of = |lines: &Lines, name: &[u8]| -> Lines {
        lines.iter().filter(|(known, _)| known == name).cloned().collect()
    };
    let mut names: Vec<&[u8]> = Vec::new();
    for (name, _) in before.iter().chain(after) {
        if !names.contains(&&**name) {
            names.push(name);
        }
    }
    let mut lines = Vec::new();
    for name in names {
        let (old, new) = (of(before, name), of(after, name));
        if old == new {
            lines.extend(old.iter().map(|pair| line(Change::None, pair)));
        } else {
            lines.extend(old.iter().map(|pair| line(Change::Removed, pair)));
            lines.extend(new.iter().map(|pair| line(Change::Added, pair)));
        }
    }
    lines
}

/// A terminal gets no control characters.
fn shown(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(char::is_control) => text.to_owned(),
        _ => value.escape_ascii().to_string(),
    }
}

impl Count {
    /// A counter as Prometheus shows it; `None` for one that is not the filter's.
    fn of(stat: &str, by: u64) -> Option<Self> {
        let Stat { family, track, value } = Stat::parse(stat)?;
        let name = format!("release_track_{}", family.label());
        let track = track.map(|track| ("track", track));
        let labels = track.into_iter().chain([(family.column(), value)]).collect();
        Some(Self { name, labels, by })
    }
}
