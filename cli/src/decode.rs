//! `decode`: the track of a tagged `x-request-id`, from wherever one is found.

use crate::failure::{Failure, REFUSED};
use crate::given::Given;
use crate::output::{Output, say, to_json};
use clap::Args;
use regex::bytes::Regex;
use release_track::carrier::request_id::{Tagger, Uuid};
use release_track::config::Config;
use release_track::track::{BASELINE, Carried, Names};
use serde::Serialize;
use serde_json::json;
use std::io::{self, BufRead, BufReader, BufWriter, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;

const EXAMPLES: &str = "\
Examples:
  The track of one request:
    release-track decode --config wasmplugin.yaml \\
      73cf9109-747e-4c23-92e0-4494afc95180
  Without the configuration, but with what it says:
    release-track decode --track v2,v3 --key 000102030405060708090a0b0c0d0e0f \\
      73cf9109-747e-4c23-92e0-4494afc95180
  Access logs, as they are written:
    kubectl logs -f deploy/frontend -c istio-proxy |
      release-track decode --config wasmplugin.yaml
  Requests per track, in a log of JSON lines:
    release-track decode --config wasmplugin.yaml < access.log |
      jq -r .release_track | sort | uniq -c

Without ids it is a filter: every line passes, with release-track=TRACK behind those that have a
tagged id; a line that is a JSON object gets the field release_track instead.

Answers are the name of a track, baseline (decided to follow none), or other (tagged, with a track
that is not among the given ones). An id without a tag was not tagged with these keys: the request
followed no track, or the id did not pass the filter.

Exit codes: 0 every id is tagged, 1 one is not, 2 wrong usage.";

/// Read the track out of tagged x-request-ids, or out of access logs
///
/// The filter writes a request's track into its x-request-id. Whoever has the key can read it
/// there, also long after.
#[derive(Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Decode {
    /// The WasmPlugin, TrafficExtension or bare configuration that has the tracks and the keys
    #[arg(long, value_name = "FILE", required_unless_present = "track")]
    config: Option<PathBuf>,
    /// Names of tracks, in place of a configuration; with commas or one by one
    #[arg(long, value_name = "NAME", value_delimiter = ',', conflicts_with = "config")]
    track: Vec<String>,
    /// Keys of 32 hex digits; the published one, if none is given
    #[arg(long, value_name = "HEX", value_delimiter = ',', conflicts_with = "config")]
    key: Vec<String>,
    /// For a person, or for a program
    #[arg(long, value_enum, default_value_t, requires_if("json", "ids"))]
    output: Output,
    /// Ids, or text with ids in it; without any, logs are read from standard input
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    id: &'a str,
    /// A name, `baseline` or `other`; none: it bears no tag.
    track: Option<&'a str>,
}

/// Eight, four, four, four and twelve digits.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("(?-u)[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}").expect("it compiles")
});
const ID_LENGTH: usize = 36;

impl Decode {
    pub(crate) fn run(&self) -> Result<ExitCode, Failure> {
        let config = self.config()?;
        let decoder = Decoder { tagger: &config.propagation.tagger, names: &config.names };
        if !self.ids.is_empty() {
            return self.answer(&decoder);
        }
        if io::stdin().is_terminal() {
            return Err(Failure::usage("give ids, or a log on standard input"));
        }
        let mut output = BufWriter::new(io::stdout().lock());
        match decoder.filter(io::stdin().lock(), &mut output) {
            // Somebody who reads no further is no error.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::usage(format!("the log: {error}")))
            }
            _ => Ok(ExitCode::SUCCESS),
        }
    }

    fn config(&self) -> Result<Config, Failure> {
        if let Some(path) = &self.config {
            return Ok(Given::load(path)?.config);
        }
        let tracks: Vec<_> = self.track.iter().map(|name| json!({"name": name})).collect();
        let propagation = match &*self.key {
            [] => json!({}),
            keys => json!({"keys": keys}),
        };
        let config = json!({"tracks": tracks, "propagation": propagation});
        Config::parse(config.to_string().as_bytes()).map_err(|error| {
            let option = if error.path.starts_with("propagation") { "--key" } else { "--track" };
            Failure::usage(format!("{option}: {}: {}", error.found, error.allowed))
        })
    }

    fn answer(&self, decoder: &Decoder<'_>) -> Result<ExitCode, Failure> {
        let mut answers = Vec::new();
        for text in &self.ids {
            let known = answers.len();
            answers.extend(ID.find_iter(text.as_bytes()).map(|found| {
                let id = &text[found.range()];
                Answer { id, track: decoder.track(id.as_bytes()) }
            }));
            if answers.len() == known {
                return Err(Failure::refused(format!(
                    "{text:?} has no id of the form 8-4-4-4-12 hex digits; other ids are never tagged"
                )));
            }
        }
        match self.output {
            Output::Json => say!("{}", to_json(&answers)),
            Output::Human => {
                for Answer { id, track } in &answers {
                    say!("{id}  {}", track.unwrap_or("no tag"));
                }
            }
        }
        let all = answers.iter().all(|answer| answer.track.is_some());
        Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
    }
}

struct Decoder<'a> {
    tagger: &'a Tagger,
    names: &'a Names,
}

/// What is in memory of a line, at most.
const PIECE: u64 = 64 * 1024;

impl<'a> Decoder<'a> {
    fn track(&self, id: &[u8]) -> Option<&'a str> {
        Some(match self.tagger.extract(Uuid::parse(id)?)? {
            Carried::Track(track) => self.names.of(track),
            Carried::Baseline => BASELINE,
            Carried::Other => "other",
        })
    }

    /// Copies lines, with the tracks of the tagged ids in each behind it.
    fn filter(&self, log: impl Read, output: &mut impl Write) -> io::Result<()> {
        let mut log = BufReader::new(log);
        let mut tracks: Vec<&str> = Vec::new();
        let mut piece = Vec::new();
        let mut begins_object = None;
        loop {
            let read = log.by_ref().take(PIECE).read_until(b'\n', &mut piece)?;
            if piece.is_empty() {
                return output.flush();
            }
            for found in ID.find_iter(&piece) {
                if let Some(track) = self.track(found.as_bytes())
                    && !tracks.contains(&track)
                {
                    tracks.push(track);
                }
            }
            let is_object = *begins_object.get_or_insert(piece.starts_with(b"{"));
            if read > 0 && !piece.ends_with(b"\n") {
                // An id that lies across the cut is found with the next piece, and so is the end.
                let whole = piece.len().saturating_sub(ID_LENGTH);
                output.write_all(&piece[..whole])?;
                piece.drain(..whole);
                continue;
            }
            write_line(&piece, is_object, &tracks, output)?;
            piece.clear();
            tracks.clear();
            begins_object = None;
            // Somebody may be watching a log that grows.
            if log.buffer().is_empty() {
                output.flush()?;
            }
        }
    }
}

fn write_line(
    line: &[u8],
    is_object: bool,
    tracks: &[&str],
    output: &mut impl Write,
) -> io::Result<()> {
    if tracks.is_empty() {
        return output.write_all(line);
    }
    let (text, end) = line.split_at(line.trim_ascii_end().len());
    let tracks = tracks.join(",");
    match text.strip_suffix(b"}").filter(|_| is_object) {
        Some(inside) => {
            output.write_all(inside)?;
            write!(output, ",\"release_track\":\"{tracks}\"}}")?;
        }
        None => {
            output.write_all(text)?;
            write!(output, " release-track={tracks}")?;
        }
    }
    output.write_all(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "73cf9109-747e-4c23-92e0-4494afc95180";

    fn filtered(log: &str) -> String {
        let config = Config::parse(br#"{"tracks": [{"name": "v2"}]}"#).unwrap();
        let decoder = Decoder { tagger: &config.propagation.tagger, names: &config.names };
        let mut output = Vec::new();
        decoder.filter(log.as_bytes(), &mut output).unwrap();
        String::from_utf8(output).unwrap()
    }

    #[test]
    fn lines_pass_with_their_tracks() {
        for (line, want) in [
            ("", String::new()),
            ("nothing\n", "nothing\n".into()),
            ("\n\n", "\n\n".into()),
            ("GET / ID 200\r\nno\n", format!("GET / {V2} 200 release-track=v2\r\nno\n")),
            ("\"ID\"", format!("\"{V2}\" release-track=v2")),
            ("ID ID\n", format!("{V2} {V2} release-track=v2\n")),
            ("xID7\n", format!("x{V2}7 release-track=v2\n")),
            ("{\"id\": \"ID\"}\n", format!("{{\"id\": \"{V2}\",\"release_track\":\"v2\"}}\n")),
            ("{ID\n", format!("{{{V2} release-track=v2\n")),
        ] {
            assert_eq!(filtered(&line.replace("ID", V2)), want, "{line:?}");
        }
    }

    /// Longer than what is kept of a line, with an id at each place around the cut.
    #[test]
    fn long_lines_pass_in_pieces() {
        for before in PIECE as usize - 40..PIECE as usize + 4 {
            let line = format!("{{{}{V2}}}", "x".repeat(before - 1));
            let want = format!("{},\"release_track\":\"v2\"}}\nnext\n", &line[..line.len() - 1]);
            assert!(filtered(&format!("{line}\nnext\n")) == want, "{before}");
        }
        let long = "x".repeat(3 * PIECE as usize);
        assert!(filtered(&format!("{V2}{long}")) == format!("{V2}{long} release-track=v2"));
    }
}
