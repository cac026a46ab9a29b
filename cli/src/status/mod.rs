//! `status`: what the proxies of a mesh do now, and what is wrong with it.

mod admin;
mod alerts;
mod cluster;
mod exposition;
mod finding;
mod prometheus;
mod proxy;
mod show;
mod source;

use crate::clock::Time;
use crate::failure::{Failure, REFUSED};
use crate::given::Given;
use crate::output::{Output, say, to_json};
use admin::Admin;
use clap::Args;
use cluster::Cluster;
use finding::{Finding, Known, Severity};
use prometheus::Prometheus;
use proxy::Proxy;
use show::{Record, Report};
use source::Source;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;
use url::Url;

const EXAMPLES: &str = "\
Examples:
  The cluster that kubectl talks to; what was counted since each proxy began:
    release-track status
  Only what is counted in the next 10 seconds, also what gets lost on the way:
    release-track status --over 10s
  Whether all proxies have the configuration of this file, and tracks reach what they list:
    release-track status --config wasmplugin.yaml --over 30s
    kubectl get wasmplugin release-track -n istio-system -o yaml |
      release-track status --config -
  The last five minutes, by Prometheus:
    release-track status --prometheus http://prometheus.example:9090
  Envoys of which you can reach the administration:
    release-track status --admin 127.0.0.1:15000,127.0.0.1:15001
  Again and again:
    release-track status --watch

As a plugin of kubectl (kubectl release-track status), the program is called kubectl-release_track.
It asks the API server for pods, and through it each proxy's agent: get and list of pods, and get of
pods/proxy.

Exit codes: 0 nothing is wrong, 1 something is (critical, or a warning), 2 wrong usage, or neither the
API server nor Prometheus responds.";

/// Tell what the proxies of a mesh do now, and what is wrong
///
/// Which of them run the filter, and with which configuration; what they have decided; where
/// requests arrived; which carrier gave calls their track; shares and guards. What is wrong is judged
/// by the rules that Prometheus alerts by (wasmplugin/monitoring). Nothing is changed.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Status {
    /// Administration addresses of Envoys, with commas or one by one
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = address, conflicts_with = "prometheus")]
    admin: Vec<Url>,
    /// A Prometheus that scrapes the proxies; proxies without the filter it does not know
    #[arg(long, value_name = "URL")]
    prometheus: Option<Url>,
    /// kubectl's configuration [default: kubectl's own]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["admin", "prometheus"])]
    kubeconfig: Option<PathBuf>,
    /// The context in it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["admin", "prometheus"])]
    context: Option<String>,
    /// Pods of these namespaces alone, with commas or one by one
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', conflicts_with_all = ["admin", "prometheus"])]
    namespace: Vec<String>,
    /// What should be in force: a WasmPlugin, TrafficExtension or bare configuration; - is standard
    /// input
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Count only what happens in this time [default: 5m for Prometheus, else since each proxy
    /// began]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    over: Option<Duration>,
    /// Tell it again every 5 seconds, or whatever --over says, until you stop it
    #[arg(short, long)]
    watch: bool,
    /// For a person, or for a program
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

const WATCHED: Duration = Duration::from_secs(5);
const SCRAPED: Duration = Duration::from_secs(5 * 60);

/// `HOST:PORT`, or an HTTP address.
fn address(text: &str) -> Result<Url, String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    match Url::parse(&text) {
        Ok(url) if url.has_host() && url.scheme() == "http" => Ok(url),
        _ => Err("HOST:PORT is expected".to_owned()),
    }
}

impl Status {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let given = self.config.as_deref().map(Given::load).transpose()?;
        let expected = given.as_ref().map(|given| &given.config);
        let labels = match expected {
            Some(config) => [&config.labels.app, &config.labels.version].map(|l| l.to_string()),
            None => ["app", "version"].map(str::to_owned),
        };
        let scraped = self.over.unwrap_or(SCRAPED);
        let source = match &self.prometheus {
            Some(url) => Source::Prometheus(Prometheus::new(url.clone(), scraped, labels)),
            None if !self.admin.is_empty() => Source::Admin(Admin::new(self.admin.clone(), labels)),
            None => Source::Cluster(Cluster {
                kubeconfig: self.kubeconfig.clone(),
                context: self.context.clone(),
                namespaces: self.namespace.clone(),
                labels,
            }),
        };
        let is_scraped = matches!(source, Source::Prometheus(_));
        // Between two readings, or none: since each proxy began.
        let between = match (is_scraped, self.watch) {
            (true, _) => None,
            (false, true) => Some(self.over.unwrap_or(WATCHED)),
            (false, false) => self.over,
        };
        let when = match (is_scraped, between) {
            (true, _) => format!("In the last {}", humantime::format_duration(scraped)),
            (false, Some(over)) => format!("In {}", humantime::format_duration(over)),
            (false, None) => "Since each proxy began".to_owned(),
        };
        let known = Known {
            expected,
            is_whole_mesh: matches!(source, Source::Cluster(_)) && self.namespace.is_empty(),
            is_of_one_time: is_scraped || between.is_some(),
        };
        let mut before = between.map(|_| source.read()).transpose()?;
        loop {
            if let Some(between) = between {
                sleep(between);
            }
            let read = source.read()?;
            let now = since(&read, before.as_deref().unwrap_or_default());
            let findings = finding::judge(&now, &known);
            self.tell(&now, &findings, &when);
            if !self.watch {
                let is_wrong = |finding: &Finding| finding.severity < Severity::Info;
                let code = if findings.iter().any(is_wrong) { REFUSED } else { 0 };
                return Ok(ExitCode::from(code));
            }
            match &mut before {
                Some(before) => *before = read,
                None => sleep(WATCHED),
            }
        }
    }

    fn tell(&self, proxies: &[Proxy], findings: &[Finding], when: &str) {
        match self.output {
            Output::Json => {
                let records = proxies.iter().map(Record::of).collect();
                say!("{}", to_json(&Report { proxies: records, findings }));
            }
            Output::Human => {
                let clear = if std::io::stdout().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
                let clear = if self.watch { clear } else { "" };
                let now =
                    if self.watch { format!("{}\n", Time::or_now(None)) } else { String::new() };
                say!("{clear}{now}{}", show::tables(proxies, findings, when));
            }
        }
    }
}

/// What was counted since.
fn since(now: &[Proxy], before: &[Proxy]) -> Vec<Proxy> {
    let since = |proxy: &Proxy| {
        let mut proxy = proxy.clone();
        if let Some(before) = before.iter().find(|before| before.name == proxy.name) {
            proxy.stats.since(&before.stats);
        }
        proxy
    };
    now.iter().map(since).collect()
}
