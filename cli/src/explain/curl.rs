//! A curl command, as browsers copy it and people paste it.

use super::request::{self, Sent};
use crate::failure::Failure;
use clap::{Arg, ArgAction, ArgMatches, Command};
use regex::{Captures, Regex};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Options that change nothing that the filter sees: those without a value, those with one.
const FLAGS: &[(char, &str)] = &[
    ('#', "progress-bar"),
    ('0', "http1.0"),
    ('4', "ipv4"),
    ('6', "ipv6"),
    ('N', "no-buffer"),
    ('O', "remote-name"),
    ('L', "location"),
    ('S', "show-error"),
    ('f', "fail"),
    ('g', "globoff"),
    ('i', "include"),
    ('k', "insecure"),
    ('s', "silent"),
    ('v', "verbose"),
    (' ', "compressed"),
    (' ', "fail-with-body"),
    (' ', "http1.1"),
    (' ', "http2"),
    (' ', "http2-prior-knowledge"),
    (' ', "http3"),
    (' ', "no-keepalive"),
    (' ', "no-progress-meter"),
    (' ', "path-as-is"),
    (' ', "ssl-no-revoke"),
];
const VALUES: &[(char, &str)] = &[
    ('D', "dump-header"),
    ('E', "cert"),
    ('c', "cookie-jar"),
    ('m', "max-time"),
    ('o', "output"),
    ('w', "write-out"),
    ('x', "proxy"),
    (' ', "cacert"),
    (' ', "capath"),
    (' ', "ciphers"),
    (' ', "connect-timeout"),
    (' ', "connect-to"),
    (' ', "interface"),
    (' ', "key"),
    (' ', "max-redirs"),
    (' ', "noproxy"),
    (' ', "resolve"),
    (' ', "retry"),
    (' ', "retry-delay"),
    (' ', "retry-max-time"),
];
/// Options that make it a POST, or go into the query with -G.
const DATA: &[(char, &str)] = &[
    ('d', "data"),
    (' ', "data-ascii"),
    (' ', "data-binary"),
    (' ', "data-raw"),
    (' ', "data-urlencode"),
    (' ', "json"),
    ('F', "form"),
];

/// Reads a command in one text, quoted as for a shell.
pub(super) fn parse(text: &str) -> Result<Sent, Failure> {
    if text.contains("^\"") {
        let message = "this curl command is for Windows' command prompt: copy it as cURL (bash)";
        return Err(Failure::usage(message));
    }
    let words = shell_words::split(&plain_quotes(text))
        .map_err(|error| Failure::usage(format!("the curl command: {error}")))?;
    read(&words)
}

/// Reads a command that a shell has split into words.
pub(super) fn read(words: &[String]) -> Result<Sent, Failure> {
    let words = words.iter().skip_while(|word| *word == "$");
    if words.clone().next().is_none_or(|name| name != "curl") {
        return Err(Failure::usage("the curl command: it has to begin with curl"));
    }
    let matches = command().try_get_matches_from(words).map_err(|error| {
        let message = error.render().to_string();
        let message = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Failure::usage(format!("the curl command: {message}; leave out what is not understood"))
    })?;
    sent(&matches)
}

fn command() -> Command {
    let option = |(short, long): &(char, &'static str)| {
        let arg = Arg::new(*long).long(*long);
        if *short == ' ' { arg } else { arg.short(*short) }
    };
    let many = |names| option(names).action(ArgAction::Append).allow_hyphen_values(true);
    let flag = |names| option(names).action(ArgAction::Count);
    Command::new("curl")
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(FLAGS.iter().map(flag))
        .args(VALUES.iter().chain(DATA).map(many))
        .args([('H', "header"), ('b', "cookie")].iter().map(many))
        .args([('X', "request"), ('A', "user-agent"), ('e', "referer")].iter().map(many))
        .args([('I', "head"), ('G', "get")].iter().map(flag))
        .arg(many(&(' ', "url")))
        .arg(Arg::new("URL").num_args(..).action(ArgAction::Append))
}

fn sent(matches: &ArgMatches) -> Result<Sent, Failure> {
    let all = |name: &str| matches.get_many::<String>(name).into_iter().flatten();
    let last = |name: &str| all(name).next_back();
    let urls: Vec<_> = all("url").chain(all("URL")).collect();
    let [url] = *urls else {
        let message = format!("the curl command: one URL is expected, and here are {}", urls.len());
        return Err(Failure::usage(message));
    };
    let mut url = request::url(url)?;
    let data: Vec<_> = DATA.iter().flat_map(|(_, name)| all(name)).cloned().collect();
    let into_query = matches.get_count("get") > 0;
    if into_query && !data.is_empty() {
        let known = url.query().map(|query| format!("{query}&")).unwrap_or_default();
        url.set_query(Some(&format!("{known}{}", data.join("&"))));
    }
    let method = match last("request") {
        Some(method) => method.clone(),
        None if matches.get_count("head") > 0 => "HEAD".to_owned(),
        None if !data.is_empty() && !into_query => "POST".to_owned(),
        None => "GET".to_owned(),
    };
    let mut sent = Sent { method, url, headers: Vec::new() };
    let given = |name, value: Option<&String>, default: &str| {
        (name, value.map_or(default.to_owned(), String::clone))
    };
    // What curl sends by itself, unless a header says otherwise.
    let mut own = vec![given("user-agent", last("user-agent"), "curl/8"), ("accept", "*/*".into())];
    own.extend(last("referer").map(|referer| ("referer", referer.clone())));
    if !data.is_empty() && !into_query {
        let kind = match (last("json"), last("form")) {
            (Some(_), _) => "application/json",
            (None, Some(_)) => "multipart/form-data",
            (None, None) => "application/x-www-form-urlencoded",
        };
        own.push(("content-type", kind.to_owned()));
    }
    let cookies: Vec<_> = all("cookie").cloned().collect();
    if let Some(file) = cookies.iter().find(|cookie| !cookie.contains('=')) {
        let message = format!(
            "the curl command: the file of cookies {file} is not read; give them with -b NAME=VALUE"
        );
        return Err(Failure::usage(message));
    }
    if !cookies.is_empty() {
        own.push(("cookie", cookies.join("; ")));
    }
    let headers: Vec<_> =
        all("header").map(|line| request::header(line)).collect::<Result<_, _>>()?;
    for (name, value) in own {
        if !headers.iter().any(|(known, _)| known == name) {
            sent.headers.push((name.to_owned(), value));
        }
    }
    sent.headers.extend(headers.into_iter().filter_map(|(name, value)| Some((name, value?))));
    Ok(sent)
}

static QUOTES: LazyLock<Regex> = LazyLock::new(|| {
    let texts = [r"\\.", "'[^']*'", r#""(?:\\.|[^"\\])*""#, r"\$'((?:\\.|[^'\\])*)'"];
    Regex::new(&format!("(?s){}", texts.join("|"))).expect("it compiles")
});
static ESCAPES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)\\(?:[ux]([0-9A-Fa-f]{1,4})|(.))").expect("it compiles"));

/// Bash's `$'...'`, which browsers write for what is hard to quote, as `'...'`.
fn plain_quotes(text: &str) -> Cow<'_, str> {
    QUOTES.replace_all(text, |found: &Captures<'_>| match found.get(1) {
        Some(inside) => shell_words::quote(&unescaped(inside.as_str())).into_owned(),
        None => found[0].to_owned(),
    })
}

fn unescaped(text: &str) -> Cow<'_, str> {
    ESCAPES.replace_all(text, |found: &Captures<'_>| match (found.get(1), found.get(2)) {
        (Some(code), _) => {
            let code = u32::from_str_radix(code.as_str(), 16).ok().and_then(char::from_u32);
            code.unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
        }
        (None, escaped) => match escaped.map_or("", |escaped| escaped.as_str()) {
            "n" => "\n".to_owned(),
            "r" => "\r".to_owned(),
            "t" => "\t".to_owned(),
            other => other.to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> String {
        match parse(text) {
            Ok(Sent { method, url, headers }) => {
                let headers: Vec<_> = headers.iter().map(|(n, v)| format!("{n}: {v}")).collect();
                format!("{method} {url} {}", headers.join(" | "))
            }
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn what_curl_would_send() {
        for (command, want) in [
            (
                "curl weather.example",
                "GET http://weather.example/ user-agent: curl/8 | accept: */*",
            ),
            (
                "curl -sSL 'https://weather.example/a?b=c' -H 'Cookie: a=b; user=tester' -H 'Accept: text/html' --compressed",
                "GET https://weather.example/a?b=c user-agent: curl/8 | cookie: a=b; user=tester | accept: text/html",
            ),
            (
                "$ curl \\\n  --url https://weather.example \\\n  -b 'a=b' -b \"user=tester\" -Amine -XPUT",
                "PUT https://weather.example/ user-agent: mine | accept: */* | cookie: a=b; user=tester",
            ),
            (
                "curl http://w.example --data-raw '{\"a\": -1}' -H 'content-type: application/json' -H 'accept:' -H 'x-empty;'",
                "POST http://w.example/ user-agent: curl/8 | content-type: application/json | x-empty: ",
            ),
            (
                "curl -G http://w.example/?a=1 -d b=2 -d c=3 -o out -m 5 -k -A ''",
                "GET http://w.example/?a=1&b=2&c=3 user-agent:  | accept: */*",
            ),
            ("curl -I w.example -A x", "HEAD http://w.example/ user-agent: x | accept: */*"),
        ] {
            assert_eq!(lines(command), want, "{command}");
        }
    }

    /// Chrome's and Firefox' "Copy as cURL" write these.
    #[test]
    fn what_is_hard_to_quote() {
        for (quoted, plain) in [
            (r"$'it\'s'", "it's"),
            (r"$'a\u0021\xe9\\b'", "a!\u{e9}\\b"),
            (r"'a$'\''b'", "a$'b"),
            (r#""$'x'""#, "$'x'"),
            (r"\$'x'", "$x"),
        ] {
            let words = shell_words::split(&plain_quotes(quoted)).unwrap();
            assert_eq!(words, [plain], "{quoted}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (command, want) in [
            ("curl", "one URL"),
            ("curl a.example b.example", "here are 2"),
            ("curl a.example --next b.example", "--next"),
            ("curl a.example -u me:secret", "-u"),
            ("curl a.example -b jar.txt", "jar.txt"),
            ("curl a.example -H nothing", "nothing"),
            ("curl 'a.example", "quote"),
            ("wget a.example", "begin with curl"),
            ("curl ^\"https://a.example^\" ^", "bash"),
        ] {
            assert!(lines(command).contains(want), "{command}: {}", lines(command));
        }
    }
}
