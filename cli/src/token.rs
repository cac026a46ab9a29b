//! `key`, `token` and `verify`: preview links, for testers without an account.

use crate::clock::Time;
use crate::failure::{Failure, REFUSED};
use crate::given::Given;
use crate::output::{Output, say, to_json};
use clap::{Args, ValueEnum};
use release_track::decide::set_cookie::Cookie;
use release_track::decide::token::{Key, PreviewKeys, Tokens};
use release_track::syntax::target;
use release_track::track::{BASELINE, Name, Names, RESERVED};
use serde::Serialize;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use url::{Position, Url};

const TOKEN_EXAMPLES: &str = "\
Examples:
  A new key, for preview.keys or for the variable that preview.keysFrom names:
    release-track key > preview.key
  A link that shows track v2 for a week:
    release-track token --track v2 --expires 7d --key-file preview.key \\
      --url https://weather.example/
  The keys and the parameter from the configuration; the track has to be one of its own:
    release-track token --track v2 --expires 7d --config wasmplugin.yaml

Whoever has the link follows the track until it expires; nothing else revokes it but a change of
the key. The track baseline can be signed too. ?release-track=off ends a preview in one browser.

Exit codes: 0 signed, 1 the configuration has no such track or no key, 2 wrong usage.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  A link that a tester sent:
    release-track verify --key-file preview.key \\
      'https://weather.example/?release-track=v2.1800604800.uKmLsO43OLDauhaIyIS9...'
  The value of the cookie, and whether the track is still there:
    release-track verify --config wasmplugin.yaml v2.1800604800.uKmLsO43OLDauhaI...

Exit codes: 0 valid, 1 not valid, 2 wrong usage.";

/// Where the keys are.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Source {
    /// The keys, 32 to 128 hex digits each, with commas or white space between; - for standard
    /// input
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The configuration, whose preview has the keys and the parameter
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Sign a preview link
///
/// Prints the token, or with --url the link. The first key signs.
#[derive(Args)]
#[command(after_long_help = TOKEN_EXAMPLES)]
pub(crate) struct Token {
    /// The track that the link shows, or baseline
    #[arg(long, value_name = "NAME", value_parser = track)]
    track: Name,
    /// How long it is valid, as in 7d or 12h; or until when, as in 2027-01-22T08:00:00Z, or
    /// 2027-01-22 for the beginning of that day in UTC
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Expiry,
    #[command(flatten)]
    source: Source,
    /// The page that the link leads to
    #[arg(long)]
    url: Option<String>,
    /// The query parameter, where no configuration says it
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    parameter: Option<String>,
    /// The time that the link begins, in place of now
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    now: Option<Time>,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Tell whether a preview link is valid, for which track, and until when
#[derive(Args)]
#[command(after_long_help = VERIFY_EXAMPLES)]
pub(crate) struct Verify {
    /// A token, or a link with one
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    source: Source,
    /// The query parameter, where no configuration says it
    #[arg(long, value_name = "NAME", conflicts_with = "config")]
    parameter: Option<String>,
    /// The time for which it is told, in place of now
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    now: Option<Time>,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy)]
enum Expiry {
    In(Duration),
    At(Time),
}

fn expiry(text: &str) -> Result<Expiry, String> {
    humantime::parse_duration(text)
        .map(Expiry::In)
        .or_else(|_| Time::parse(text).map(Expiry::At))
        .or_else(|_| Time::parse(&format!("{text}T00:00:00Z")).map(Expiry::At))
        .map_err(|_| "a duration such as 7d or 12h, a time or a date is expected".to_owned())
}

/// Make a new key
///
/// From the system's random numbers, on one line; nothing is kept.
#[derive(Args)]
#[command(after_long_help = KEY_EXAMPLES)]
pub(crate) struct NewKey {
    /// What it is for
    #[arg(value_enum, default_value_t)]
    purpose: Purpose,
}

const KEY_EXAMPLES: &str = "\
Examples:
  For preview.keys, or for the variable that preview.keysFrom names:
    release-track key > preview.key
  For propagation.keys:
    release-track key propagation

Exit codes: 0 made, 1 the system has no random numbers, 2 wrong usage.";

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// preview.keys: 64 hex digits
    #[default]
    Preview,
    /// propagation.keys: 32 hex digits
    Propagation,
}

impl NewKey {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::refused(format!("no random numbers: {error}")))?;
        let length = match self.purpose {
            Purpose::Preview => bytes.len(),
            Purpose::Propagation => bytes.len() / 2,
        };
        say!("{}", bytes.iter().take(length).map(|byte| format!("{byte:02x}")).collect::<String>());
        Ok(ExitCode::SUCCESS)
    }
}

fn track(text: &str) -> Result<Name, String> {
    if text != BASELINE && RESERVED.contains(&text) {
        return Err("this name means something else in links".to_owned());
    }
    Name::parse(text).ok_or_else(|| "a name is 1 to 63 characters of A-Z a-z 0-9 . _ -".to_owned())
}

/// What signs and verifies.
struct Preview {
    keys: Vec<Key>,
    parameter: String,
    /// The tracks, if they are known.
    names: Option<Names>,
}

impl Source {
    fn preview(&self, parameter: Option<&String>) -> Result<Preview, Failure> {
        let keys = self.key_file.as_deref().map(read_keys).transpose()?;
        let Some(path) = &self.config else {
            let parameter = parameter.map_or("release-track", |name| name).to_owned();
            return Ok(Preview { keys: keys.unwrap_or_default(), parameter, names: None });
        };
        let Given { config, environment } = Given::load(path)?;
        let name = path.display();
        let preview = config.preview.ok_or_else(|| {
            Failure::refused(format!("{name}: there is no preview in this configuration"))
        })?;
        let keys = match (keys, preview.keys) {
            (Some(keys), _) | (None, PreviewKeys::Given(keys)) => keys,
            (None, PreviewKeys::From(variable)) => {
                let text = environment.get(&*variable).ok_or_else(|| {
                    Failure::refused(format!(
                        "{name}: the proxies have the keys in the variable {variable}, and this command does not: give them with --key-file"
                    ))
                })?;
                parse_keys(text, &variable)?
            }
        };
        Ok(Preview { keys, parameter: preview.parameter.into(), names: Some(config.names) })
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, Failure> {
    let name = path.display().to_string();
    let mut text = String::new();
    let read = match name.as_str() {
        "-" => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    parse_keys(&text, &name)
}

fn parse_keys(text: &str, place: &str) -> Result<Vec<Key>, Failure> {
    Key::list(text).filter(|keys| !keys.is_empty()).ok_or_else(|| {
        Failure::refused(format!(
            "{place}: keys of 32 to 128 hex digits are expected (release-track key makes one)"
        ))
    })
}

#[derive(Serialize)]
struct Signed<'a> {
    token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    track: &'a str,
    /// Seconds of the Unix epoch.
    expires: u64,
}

impl Token {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let preview = self.source.preview(self.parameter.as_ref())?;
        let now = Time::or_now(self.now);
        let end = match self.expires {
            Expiry::At(time) => Some(time),
            Expiry::In(duration) => now.after(duration),
        };
        let expires = end.map_or(u64::MAX, |end| end.since_epoch().as_secs());
        if expires <= now.since_epoch().as_secs() {
            return Err(Failure::usage("--expires: the link would be over before it begins"));
        }
        check_track(&preview, self.track.as_str()).map_err(Failure::refused)?;
        let [key, ..] = &*preview.keys else { return Err(Failure::refused("there is no key")) };
        let token = key.sign(&self.track, expires);
        let url =
            self.url.as_deref().map(|url| link(url, &preview.parameter, &token)).transpose()?;
        match self.output {
            Output::Json => say!(
                "{}",
                to_json(&Signed {
                    token: &token,
                    url: url.as_deref(),
                    track: self.track.as_str(),
                    expires,
                })
            ),
            Output::Human => say!("{}", url.as_deref().unwrap_or(&token)),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Proxies ignore a link for a track that they do not know.
fn check_track(preview: &Preview, track: &str) -> Result<(), String> {
    let Some(names) = &preview.names else { return Ok(()) };
    let mut names = names.iter().map(|(_, name)| name.as_str());
    if track == BASELINE || names.any(|name| name == track) {
        return Ok(());
    }
    Err(format!("the configuration has no track {track}, and proxies ignore a link for it"))
}

/// The page with this token, and no other.
fn link(page: &str, parameter: &str, token: &str) -> Result<String, Failure> {
    let mut url = Url::parse(page).map_err(|error| {
        Failure::usage(format!("--url: {page:?}: {error}; as in https://weather.example/"))
    })?;
    let target = url[Position::BeforePath..].to_owned();
    let target = target::without_parameter(target.as_bytes(), parameter.as_bytes());
    let (_, query) = target::split(&target);
    let query = String::from_utf8_lossy(query);
    let and = if query.is_empty() { "" } else { "&" };
    url.set_query(Some(&format!("{query}{and}{parameter}={token}")));
    Ok(url.into())
}

#[derive(Serialize)]
struct Verdict<'a> {
    valid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<&'a str>,
    /// Seconds of the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let preview = self.source.preview(self.parameter.as_ref())?;
        let token = match Url::parse(&self.token) {
            Ok(url) => {
                let query = url.query().unwrap_or_default();
                let found = target::parameter(query.as_bytes(), preview.parameter.as_bytes());
                let missing = || format!("this link has no parameter {}", preview.parameter);
                found.map(<[u8]>::to_vec).ok_or_else(|| Failure::refused(missing()))?
            }
            Err(_) => self.token.clone().into_bytes(),
        };
        let tokens = Tokens::new(preview.keys.clone(), &preview.parameter, Cookie::named(""));
        let now = Time::or_now(self.now).since_epoch().as_secs();
        // A right signature is valid at the beginning of time.
        let read = tokens.verify(&token, 0);
        let track = read.and_then(|read| std::str::from_utf8(read.track).ok());
        let expires = read.map(|read| read.rest);
        let end = expires.and_then(Time::from_seconds).map(|end| end.to_string());
        let why = match expires {
            None => Some("it is not signed with one of these keys, or was changed".to_owned()),
            Some(expires) if expires <= now => {
                Some(format!("it expired at {}", end.as_deref().unwrap_or_default()))
            }
            Some(_) => None,
        };
        let why = why.or_else(|| check_track(&preview, track.unwrap_or_default()).err());
        let code = if why.is_none() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) };
        match (self.output, &why) {
            (Output::Json, _) => {
                say!("{}", to_json(&Verdict { valid: why.is_none(), track, expires, why }));
            }
            (Output::Human, Some(why)) => say!("not valid: {why}"),
            (Output::Human, None) => say!(
                "valid: shows {} until {}",
                track.unwrap_or_default(),
                end.as_deref().unwrap_or_default()
            ),
        }
        Ok(code)
    }
}
