//! `oracles requests FOLDER` writes mutated requests, as a client sends them (`sent`) and as the edge
//! lets them pass (`passed`). `oracles judge FOLDER READERS...` reads what the readers found in
//! both. See README.md.

mod mutate;

use release_track::carrier::baggage;
use release_track::carrier::request_id::Uuid;
use release_track::config::Config;
use release_track::filter::Filter;
use release_track::host::fake::FakeHost;
use release_track::plan::Response;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

type Error = Box<dyn std::error::Error>;

const REQUESTS: usize = 100_000;

const GATEWAY: &str = "router~10.0.0.9~ingress.istio-system~istio-system.svc.cluster.local";
/// Nobody is decided to follow a track.
const CONFIG: &str = r#"{"tracks": [{"name": "v2"}]}"#;

/// Header names and values, in order.
pub(crate) type Lines = Vec<(String, Vec<u8>)>;

fn main() -> Result<ExitCode, Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &*arguments {
        [command, folder] if command == "requests" => requests(Path::new(folder)),
        [command, folder, readers @ ..] if command == "judge" => judge(Path::new(folder), readers),
        _ => Err("usage: oracles requests FOLDER | oracles judge FOLDER READERS...".into()),
    }
}

fn requests(folder: &Path) -> Result<ExitCode, Error> {
    let seed = env::var("SEED").map_or(Ok(14), |seed| seed.parse())?;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut host = FakeHost::node(GATEWAY, &[]);
    let filter = Filter::configure(&mut host, CONFIG.as_bytes()).ok_or("the filter refuses")?;
    let (mut sent, mut passed) = (String::new(), String::new());
    for number in 0..REQUESTS {
        let request = mutate::request(&mut random);
        line(&mut sent, number, &request)?;
        let lines: Vec<(&str, &[u8])> = request.iter().map(|(n, v)| (&**n, &**v)).collect();
        host.request(&lines);
        filter.on_request(&mut host, &mut Response::default());
        let after = host.headers.drain(..);
        let after: Lines = after
            .map(|(name, value)| Ok((String::from_utf8(name)?, value)))
            .collect::<Result<_, Error>>()?;
        line(&mut passed, number, &after)?;
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("sent"), sent)?;
    fs::write(folder.join("passed"), passed)?;
    println!("{REQUESTS} requests, seed {seed}");
    Ok(ExitCode::SUCCESS)
}

fn line(text: &mut String, number: usize, lines: &Lines) -> Result<(), Error> {
    write!(text, "{number}")?;
    for (name, value) in lines {
        write!(text, "\t{name}={}", hex(value))?;
    }
    text.push('\n');
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Error> {
    let pairs = (0..text.len()).step_by(2).map(|at| text.get(at..at + 2).unwrap_or("odd"));
    Ok(pairs.map(|pair| u8::from_str_radix(pair, 16)).collect::<Result<_, _>>()?)
}

/// What one reader found to be ours, in how many requests, and the first of them.
#[derive(Default)]
struct Found {
    sent: usize,
    passed: usize,
    first: Option<String>,
}

fn judge(folder: &Path, readers: &[String]) -> Result<ExitCode, Error> {
    let config = Config::parse(CONFIG.as_bytes()).map_err(|error| format!("{error:?}"))?;
    let passed = fs::read_to_string(folder.join("passed"))?;
    let passed: Vec<&str> = passed.lines().collect();
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for reader in readers {
        for (what, is_sent) in [("sent", true), ("passed", false)] {
            let text = fs::read_to_string(folder.join(format!("{reader}.{what}")))?;
            for line in text.lines() {
                let fields: Vec<&str> = line.split('\t').collect();
                let &[number, library, kind, value] = &*fields else {
                    return Err(format!("{reader}: not a finding: {line}").into());
                };
                let found = found.entry(format!("{library} ({kind})")).or_default();
                if !is_ours(&config, kind, &unhex(value)?) {
                    continue;
                }
                if is_sent {
                    found.sent += 1;
                    continue;
                }
                found.passed += 1;
                let request = passed.get(number.parse::<usize>()?).copied().unwrap_or_default();
                found.first.get_or_insert_with(|| {
                    format!(
                        "in {}: {}",
                        readable(request),
                        unhex(value).unwrap_or_default().escape_ascii()
                    )
                });
            }
        }
    }
    let mut failed = 0;
    for (library, Found { sent, passed, first }) in &found {
        // One that finds nothing in what was sent is not being asked properly.
        let holds = *passed == 0 && *sent > 0;
        failed += usize::from(!holds);
        let verdict = if holds { "ok" } else { "FAILED" };
        println!("{verdict:6} {library}: ours in {sent} as sent, in {passed} of what passes");
        if let Some(first) = first {
            println!("       {first}");
        }
    }
    println!("{} passed; {failed} failed", found.len() - failed);
    let all_spoke = !found.is_empty();
    Ok(if failed == 0 && all_spoke { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether something that a library found counts as ours somewhere behind it.
fn is_ours(config: &Config, kind: &str, value: &[u8]) -> bool {
    match kind {
        // Of one that compares keys without case, or trims them later.
        "key" => value.trim_ascii().eq_ignore_ascii_case(b"release-track"),
        "baggage" => {
            let headers = [("baggage", value)].iter().collect();
            baggage::extract(&headers, &config.names).is_some()
        }
        "id" => Uuid::parse(value).and_then(|id| config.propagation.tagger.extract(id)).is_some(),
        _ => true,
    }
}

fn readable(request: &str) -> String {
    let lines = request.split('\t').skip(1).map(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        format!("{name}: {}", unhex(value).unwrap_or_default().escape_ascii())
    });
    lines.collect::<Vec<_>>().join(" | ")
}
