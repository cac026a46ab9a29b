//! An entry of a `match`: whom it chooses, and the same entry for those who follow a track.

use super::edit::{Edit, Text};
use crate::cookie;
use crate::emit::flow;
use crate::input::yaml::{Node, Span};
use crate::refusal::CLAIMS;
use release_track::config::Config;
use serde_json::{Map, Value as Json, json};

/// Headers that tell about a request and not about who sends it: they stay in the routes.
const ABOUT_THE_REQUEST: [&str; 4] = ["content-type", "upgrade", "connection", "te"];

pub(super) enum Kind {
    /// It follows a track already.
    Ours,
    /// It looks at what is asked for, or at nothing.
    Plain,
    Who(Selector),
}

pub(super) struct Selector {
    /// The version of the calling pod, by its labels.
    pub(super) caller: Option<Caller>,
    /// What the edge decides by: any of them. An error says what cannot be said so, and where.
    pub(super) rules: Result<Vec<Json>, (Span, String)>,
    /// Expressions over the Cookie header.
    pub(super) cookies: Vec<(Span, String, cookie::Reading)>,
    /// Conditions that a rule has no field for.
    pub(super) beyond: Vec<(Span, String)>,
    /// The names of the headers that it looks at.
    pub(super) headers: Vec<String>,
}

pub(super) struct Caller {
    pub(super) app: Option<String>,
    pub(super) version: String,
    pub(super) namespace: Option<String>,
}

/// What the routes are made to look at.
pub(super) struct Following<'a> {
    /// `x-release-track`
    pub(super) header: &'a str,
    pub(super) version_label: &'a str,
}

fn stays(name: &str) -> bool {
    name.starts_with(':') || ABOUT_THE_REQUEST.contains(&&*name.to_ascii_lowercase())
}

impl Following<'_> {
    pub(super) fn read(&self, entry: &Node) -> Kind {
        let members = |name| entry.get(name).into_iter().flat_map(Node::members);
        let is_ours = |name: &str| name.eq_ignore_ascii_case(self.header);
        if members("headers").chain(members("withoutHeaders")).any(|header| is_ours(&header.name)) {
            return Kind::Ours;
        }
        let caller = self.caller(entry);
        let headers: Vec<_> = members("headers").map(|header| header.name.to_lowercase()).collect();
        let is_who =
            headers.iter().any(|name| !stays(name)) || members("queryParams").next().is_some();
        if !is_who && caller.is_none() {
            return Kind::Plain;
        }
        let mut selector = Selector {
            caller,
            rules: Ok(Vec::new()),
            cookies: Vec::new(),
            beyond: Vec::new(),
            headers,
        };
        if is_who {
            selector.rules = selector.read_rules(entry);
        }
        Kind::Who(selector)
    }

    fn caller(&self, entry: &Node) -> Option<Caller> {
        let labels = entry.get("sourceLabels")?;
        let text = |node: &Node| node.text().map(str::to_owned);
        Some(Caller {
            version: labels.get(self.version_label).and_then(text)?,
            app: ["app", "app.kubernetes.io/name"].iter().find_map(|name| text(labels.get(name)?)),
            namespace: entry.get("sourceNamespace").and_then(text),
        })
    }

    /// The fields of an entry that a track takes the place of, and those of its headers.
    fn replaced(&self, entry: &Node) -> (Vec<usize>, Vec<usize>) {
        let gone = |name: &str| match name {
            "queryParams" | "withoutHeaders" => true,
            "sourceLabels" => self.caller(entry).is_some(),
            _ => false,
        };
        let fields = entry.members().iter().enumerate();
        let fields = fields.filter(|(_, member)| gone(&member.name)).map(|(index, _)| index);
        let headers = entry.get("headers").into_iter().flat_map(Node::members).enumerate();
        let headers = headers.filter(|(_, header)| !stays(&header.name)).map(|(index, _)| index);
        (fields.collect(), headers.collect())
    }

    pub(super) fn edits(&self, text: Text<'_>, entry: &Node, names: &[&str]) -> Vec<Edit> {
        let (fields, headers) = self.replaced(entry);
        let is_json = text.of(&entry.span).starts_with("{\"");
        let written = |value: &Json| if is_json { value.to_string() } else { flow(value) };
        let test = test(names);
        let mut edits = Vec::new();
        let place = entry.members().iter().position(|member| member.name == "headers");
        match (place.and_then(|place| entry.members().get(place)), headers.as_slice()) {
            (Some(map), [first, others @ ..]) => {
                let old = map.node.members().get(*first).map(|header| &header.node);
                let value = match old.and_then(|old| on_lines(text, &map.node, old)) {
                    Some(column) => lines(&test, column),
                    None => written(&test),
                };
                edits.push(text.replace_member(&map.node, *first, self.header, &value));
                edits.extend(text.remove_members(&map.node, others));
                edits.extend(text.remove_members(entry, &fields));
            }
            (Some(map), []) => {
                edits.push(text.insert_member(&map.node, self.header, &written(&test)));
                edits.extend(text.remove_members(entry, &fields));
            }
            (None, _) => {
                if let [first, others @ ..] = fields.as_slice() {
                    let old = entry.members().get(*first).map(|field| &field.node);
                    let value = match old.and_then(|old| on_lines(text, entry, old)) {
                        Some(column) => {
                            let white = " ".repeat(column);
                            let (header, inner) = (self.header, lines(&test, column + 2));
                            format!("\n{white}{header}:{inner}")
                        }
                        None => written(&json!({self.header: test})),
                    };
                    edits.push(text.replace_member(entry, *first, "headers", &value));
                    edits.extend(text.remove_members(entry, others));
                }
            }
        }
        edits
    }

    /// The same for an entry that looks at nothing of the kind.
    pub(super) fn added(&self, text: Text<'_>, entry: &Node, names: &[&str]) -> Edit {
        let is_json = text.of(&entry.span).starts_with("{\"");
        let headers = json!({self.header: test(names)});
        let value = if is_json { headers.to_string() } else { flow(&headers) };
        text.insert_member(entry, "headers", &value)
    }

    /// What the edited entry has to mean.
    pub(super) fn expected(&self, entry: &Node, names: &[&str]) -> Json {
        let (fields, headers) = self.replaced(entry);
        let mut kept = Map::new();
        let mut tests = Map::new();
        for (index, member) in entry.members().iter().enumerate() {
            if member.name == "headers" {
                let members = member.node.members().iter().enumerate();
                let stays = members.filter(|(index, _)| !headers.contains(index));
                tests.extend(stays.map(|(_, header)| (header.name.clone(), header.node.to_json())));
            } else if !fields.contains(&index) {
                kept.insert(member.name.clone(), member.node.to_json());
            }
        }
        tests.insert(self.header.to_owned(), test(names));
        kept.insert("headers".to_owned(), Json::Object(tests));
        Json::Object(kept)
    }

    /// An entry that asks for the calling version and nothing else.
    pub(super) fn is_only_caller(&self, entry: &Node) -> bool {
        let known = ["sourceLabels", "name", "statPrefix"];
        entry.members().iter().all(|member| known.contains(&&*member.name))
    }
}

/// One track by its name, several by an expression.
pub(super) fn test(names: &[&str]) -> Json {
    match names {
        [name] => json!({"exact": name}),
        names => {
            let names: Vec<_> = names.iter().map(|name| regex::escape(name)).collect();
            json!({"regex": names.join("|")})
        }
    }
}

/// The column of a value that has lines of its own.
fn on_lines(text: Text<'_>, around: &Node, value: &Node) -> Option<usize> {
    let is_flow = |node: &Node| text.of(&node.span).starts_with(['{', '[']);
    (!is_flow(around) && !is_flow(value)).then(|| text.column(value.span.start))
}

fn lines(test: &Json, column: usize) -> String {
    let fields = test.as_object().into_iter().flatten();
    let lines =
        fields.map(|(name, value)| format!("\n{}{name}: {}", " ".repeat(column), flow(value)));
    lines.collect()
}

impl Selector {
    fn read_rules(&mut self, entry: &Node) -> Result<Vec<Json>, (Span, String)> {
        let mut rule = Map::new();
        let mut alternatives: Vec<Map<String, Json>> = vec![Map::new()];
        let mut without = Map::new();
        let ignores_case = matches!(
            entry.get("ignoreUriCase").map(|node| &node.value),
            Some(crate::input::yaml::Value::Bool(true))
        );
        for member in entry.members() {
            let node = &member.node;
            match &*member.name {
                "headers" | "withoutHeaders" => {
                    let mut tests = Map::new();
                    for header in node.members() {
                        let name = header.name.to_lowercase();
                        let expression = expression(&header.node).filter(|_| name == "cookie");
                        let Some(expression) = expression else {
                            tests.insert(name, string_match(&header.node));
                            continue;
                        };
                        let at = &header.node.span;
                        let reading = cookie::read(&expression)
                            .map_err(|why| (at.clone(), format!("{expression}: {why}")))?;
                        let cookies = reading.alternatives.iter().map(|cookies| {
                            let tests =
                                cookies.iter().map(|(name, test)| (name.clone(), test.to_json()));
                            tests.collect::<Map<_, _>>()
                        });
                        if member.name == "headers" {
                            alternatives = cookies.collect();
                        } else {
                            for cookies in cookies {
                                if cookies.len() > 1
                                    || cookies.keys().any(|n| without.contains_key(n))
                                {
                                    let why = "several cookies at once cannot be excluded";
                                    return Err((at.clone(), format!("{expression}: {why}")));
                                }
                                without.extend(cookies);
                            }
                        }
                        self.cookies.push((at.clone(), expression, reading));
                    }
                    if !tests.is_empty() {
                        rule.insert(member.name.clone(), Json::Object(tests));
                    }
                }
                "queryParams" => {
                    let tests = node.members().iter();
                    let tests = tests.map(|one| (one.name.clone(), string_match(&one.node)));
                    rule.insert(member.name.clone(), Json::Object(tests.collect()));
                }
                "uri" if ignores_case => {
                    let test = match (node.get("exact"), node.get("prefix")) {
                        (Some(exact), _) => regex::escape(exact.text().unwrap_or_default()),
                        (_, Some(prefix)) => {
                            regex::escape(prefix.text().unwrap_or_default()) + ".*"
                        }
                        _ => {
                            rule.insert(member.name.clone(), string_match(node));
                            continue;
                        }
                    };
                    rule.insert(member.name.clone(), json!({"regex": format!("(?i){test}")}));
                }
                "uri" | "method" | "authority" if !is_everything(&member.name, node) => {
                    rule.insert(member.name.clone(), string_match(node));
                }
                "scheme" | "port" => self.beyond.push((
                    member.key.clone(),
                    format!("a rule has no {}: the track is decided for any", member.name),
                )),
                _ => {}
            }
        }
        if !without.is_empty() {
            rule.insert("withoutCookies".to_owned(), Json::Object(without));
        }
        let rules: Vec<_> = alternatives
            .into_iter()
            .map(|cookies| {
                let mut whole = Map::new();
                if !cookies.is_empty() {
                    whole.insert("cookies".to_owned(), Json::Object(cookies));
                }
                whole.extend(rule.clone());
                Json::Object(whole)
            })
            .collect();
        // What the filter would refuse is no rule.
        let config = json!({"tracks": [{"name": "track", "match": rules}]}).to_string();
        match Config::parse(config.as_bytes()) {
            Ok(_) => Ok(rules),
            Err(error) if error.path.contains("@request.auth.") => {
                Err((entry.span.clone(), CLAIMS.to_owned()))
            }
            Err(error) => Err((entry.span.clone(), format!("the filter refuses {error}"))),
        }
    }
}

/// What a match of the Gateway API comes to as a rule; `None` where it follows a track already.
pub(super) fn rule_of_route(entry: &Node, following: &Following<'_>) -> Option<Json> {
    let mut rule = Map::new();
    for field in ["headers", "queryParams"] {
        let mut tests = Map::new();
        for one in entry.get(field).into_iter().flat_map(Node::items) {
            let text = |name| one.get(name).and_then(Node::text).unwrap_or_default();
            let (name, value) = (text("name"), text("value"));
            let name = if field == "headers" { name.to_lowercase() } else { name.to_owned() };
            if name == following.header {
                return None;
            }
            let is_regex = text("type") == "RegularExpression";
            let expression = match is_regex {
                true => value.to_owned(),
                false => cookie::expression(value, false),
            };
            let cookies = match (field, &*name) {
                ("headers", "cookie") => cookie::read(&expression).ok(),
                _ => None,
            };
            match cookies.and_then(|reading| reading.alternatives.into_iter().next()) {
                Some(cookies) => {
                    let tests = cookies.into_iter().map(|(name, test)| (name, test.to_json()));
                    rule.insert("cookies".to_owned(), Json::Object(tests.collect()));
                }
                None => {
                    let kind = if is_regex { "regex" } else { "exact" };
                    tests.insert(name, json!({kind: value}));
                }
            }
        }
        if !tests.is_empty() {
            rule.insert(field.to_owned(), Json::Object(tests));
        }
    }
    Some(Json::Object(rule))
}

/// A path that every request has.
pub(super) fn is_everything(name: &str, node: &Node) -> bool {
    let text = |field| node.get(field).and_then(Node::text);
    name == "uri"
        && (text("prefix") == Some("/")
            || matches!(text("regex"), Some(".*" | "/.*" | "^/.*" | "*")))
}

/// The expression that a test of a whole header is; none for presence.
fn expression(node: &Node) -> Option<String> {
    let text = |field| node.get(field).and_then(Node::text);
    match (text("regex"), text("exact"), text("prefix")) {
        (Some("*"), ..) => None,
        (Some(regex), ..) => Some(regex.to_owned()),
        (_, Some(exact), _) => Some(cookie::expression(exact, false)),
        (_, _, Some(prefix)) => Some(cookie::expression(prefix, true)),
        _ => None,
    }
}

/// Istio reads the regex `*` as presence (pilot: isCatchAllStringMatch).
fn string_match(node: &Node) -> Json {
    match node.to_json() {
        Json::Object(test) if test.get("regex").is_some_and(|regex| regex == "*") => json!({}),
        Json::Object(test) => Json::Object(test),
        _ => json!({}),
    }
}
