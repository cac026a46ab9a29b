//! The counts behind the graph, and the state that its page draws.

use super::accounts::Accounts;
use super::releases::{Releases, Workload};
use crate::call::Event;
use crate::control::Switches;
use release_track::config::Config;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// The service that the gateway leads to. Its events hold whole trees of calls.
const ENTRY: &str = "frontend";
/// Accounts call themselves what they like, and there may be many.
const MAX_SENTENCES: usize = 12;
const MAX_NAME: usize = 40;
const MAX_EARLIER: usize = 4;

/// What was seen since the last switch.
pub(super) struct Journeys {
    releases: Releases,
    accounts: Accounts,
    served: BTreeMap<Workload, u64>,
    calls: BTreeMap<Line, u64>,
    sentences: BTreeMap<Sentence, Said>,
    totals: Totals,
    earlier: VecDeque<Earlier>,
}

/// A line of the graph.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    from: Option<Workload>,
    to: Workload,
    release: Release,
}

/// In the order in which a person wants to read about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Release {
    Crossed,
    Track(String),
    Baseline,
}

/// What a request came to. In the same order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Crossed,
    /// A rule names its account, and it did not get that rule's track.
    Lost,
    Fine,
}

/// Who saw which way.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Sentence {
    outcome: Outcome,
    release: Release,
    user: Option<String>,
    words: String,
}

struct Said {
    count: u64,
    /// The request that was the last to say so.
    last: u64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Totals {
    requests: u64,
    crossed: u64,
    /// Requests of accounts that a rule names, which did not get its track.
    lost: u64,
    /// Requests that were not answered, or with an error.
    failed: u64,
    /// Calls of which the same holds.
    #[serde(rename = "failedCalls")]
    failed_calls: u64,
    /// Requests that came faster than they could be counted.
    missed: u64,
}

#[derive(Clone, Serialize)]
struct Earlier {
    switches: Switches,
    #[serde(flatten)]
    totals: Totals,
}

/// The part of the page's state that is counted here.
#[derive(Serialize)]
pub(super) struct Counts<'a> {
    tracks: Vec<&'a str>,
    workloads: Vec<Node<'a>>,
    calls: Vec<Edge<'a>>,
    words: Vec<Words<'a>>,
    #[serde(flatten)]
    totals: Totals,
    earlier: &'a VecDeque<Earlier>,
}

#[derive(Serialize)]
struct Node<'a> {
    name: String,
    service: &'a str,
    version: &'a str,
    track: Option<&'a str>,
    /// How far from the gateway it is drawn.
    step: u8,
    served: u64,
}

#[derive(Serialize)]
struct Edge<'a> {
    from: String,
    to: String,
    release: &'a str,
    count: u64,
}

#[derive(Serialize)]
struct Words<'a> {
    user: Option<&'a str>,
    path: &'a str,
    crossed: bool,
    lost: bool,
    count: u64,
}

impl Journeys {
    /// `workloads` are on the graph from the start, others once they have served a request.
    pub(super) fn new(config: Config, workloads: impl IntoIterator<Item = Workload>) -> Self {
        Journeys {
            releases: Releases::new(&config),
            accounts: Accounts::new(config),
            served: workloads.into_iter().map(|workload| (workload, 0)).collect(),
            calls: BTreeMap::new(),
            sentences: BTreeMap::new(),
            totals: Totals::default(),
            earlier: VecDeque::new(),
        }
    }

    /// Each process tells what it served. The calls are counted from the tree that the entry
    /// service got, in which every process named itself.
    pub(super) fn record(&mut self, event: &Event) {
        *self.served.entry(Workload::from(&event.served)).or_default() += 1;
        if event.served.service != ENTRY {
            return;
        }
        // Who has a preview has chosen it beside all rules.
        let user = event.user.as_ref().filter(|_| !event.preview);
        let due = user.and_then(|user| self.accounts.track_of(user));
        let journey = self.releases.follow(&event.served, due.as_deref());
        let release = match &journey.track {
            Some(track) => Release::Track(track.clone()),
            None => Release::Baseline,
        };
        let crossed = journey.hops.iter().filter(|hop| hop.crossed).count() as u64;
        self.totals.requests += 1;
        let outcome = match &due {
            _ if crossed > 0 => Outcome::Crossed,
            Some(due) if journey.track.as_ref() != Some(due) => Outcome::Lost,
            _ => Outcome::Fine,
        };
        self.totals.crossed += crossed;
        self.totals.lost += u64::from(outcome == Outcome::Lost);
        self.totals.failed_calls += journey.failed;
        for hop in journey.hops {
            let line = Line {
                from: hop.from,
                to: hop.to,
                release: if hop.crossed { Release::Crossed } else { release.clone() },
            };
            *self.calls.entry(line).or_default() += 1;
        }
        self.say(Sentence {
            outcome,
            release: if crossed > 0 { Release::Crossed } else { release },
            user: event.user.as_ref().map(|user| user.chars().take(MAX_NAME).collect()),
            words: journey.words,
        });
    }

    fn say(&mut self, sentence: Sentence) {
        let last = self.totals.requests;
        let said = self.sentences.entry(sentence).or_insert(Said { count: 0, last });
        said.count += 1;
        said.last = last;
        if self.sentences.len() > MAX_SENTENCES {
            // The one that was not heard for longest goes; those about what went wrong go last.
            let age = |(sentence, said): (&Sentence, &Said)| {
                (sentence.outcome != Outcome::Fine, said.last)
            };
            let oldest = self.sentences.iter().map(age).min();
            self.sentences.retain(|sentence, said| Some(age((sentence, said))) != oldest);
        }
    }

    /// Accounts of tracks beyond the first, as testers of the story call themselves: those that a rule
    /// names.
    pub(super) fn further_testers(&mut self) -> Vec<String> {
        let further =
            self.releases.tracks().skip(1).map(|track| (format!("tester-{track}"), track));
        let accounts = &mut self.accounts;
        let named =
            further.filter(|(user, track)| accounts.track_of(user).as_deref() == Some(track));
        named.map(|(user, _)| user).collect()
    }

    pub(super) fn request_failed(&mut self) {
        self.totals.failed += 1;
    }

    pub(super) fn missed(&mut self, requests: u64) {
        self.totals.missed += requests;
    }

    /// Starts from zero.
    pub(super) fn clear(&mut self) {
        self.served.values_mut().for_each(|count| *count = 0);
        self.calls.clear();
        self.sentences.clear();
        self.totals = Totals::default();
    }

    /// Starts from zero, and remembers what was counted while the switches stood so.
    pub(super) fn switched(&mut self, before: Switches) {
        if self.totals.requests > 0 {
            self.earlier.push_front(Earlier { switches: before, totals: self.totals });
            self.earlier.truncate(MAX_EARLIER);
        }
        self.clear();
    }

    /// How often any process has served a request.
    pub(super) fn served(&self) -> u64 {
        self.served.values().sum()
    }

    /// The one that is released.
    pub(super) fn track(&self) -> Option<&str> {
        self.releases.tracks().next()
    }

    pub(super) fn crossed(&self) -> u64 {
        self.totals.crossed
    }

    /// How many calls of each workload's were part of a request on a track, by what was served.
    pub(super) fn arrivals(&self) -> BTreeMap<&Workload, u64> {
        let mut arrivals = BTreeMap::new();
        for (line, count) in self.calls.iter().filter(|(line, _)| line.release != Release::Baseline)
        {
            *arrivals.entry(&line.to).or_default() += count;
        }
        arrivals
    }

    pub(super) fn counts(&self) -> Counts<'_> {
        let workloads = self.served.iter().map(|(workload, served)| Node {
            name: workload.to_string(),
            service: &workload.service,
            version: &workload.version,
            track: self.releases.track_of(workload),
            step: step(&workload.service),
            served: *served,
        });
        let calls = self.calls.iter().map(|(line, count)| Edge {
            from: line.from.as_ref().map_or("gateway".into(), Workload::to_string),
            to: line.to.to_string(),
            release: match &line.release {
                Release::Baseline => "baseline",
                Release::Track(name) => name,
                Release::Crossed => "crossed",
            },
            count: *count,
        });
        let words = self.sentences.iter().map(|(sentence, said)| Words {
            user: sentence.user.as_deref(),
            path: &sentence.words,
            crossed: sentence.outcome == Outcome::Crossed,
            lost: sentence.outcome == Outcome::Lost,
            count: said.count,
        });
        Counts {
            tracks: self.releases.tracks().collect(),
            workloads: workloads.collect(),
            calls: calls.collect(),
            words: words.collect(),
            totals: self.totals,
            earlier: &self.earlier,
        }
    }
}

fn step(service: &str) -> u8 {
    match service {
        ENTRY => 1,
        "advertisement" | "forecast" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Call, Served};
    use serde_json::{Value, json};

    fn served(service: &str, version: &str, calls: Vec<Call>) -> Served {
        Served {
            service: service.into(),
            version: version.into(),
            track: None,
            request_id: None,
            calls,
        }
    }

    /// What the processes tell about one request of `user` to frontend and forecast.
    fn events(user: Option<&str>, frontend: &str, forecast: &str) -> [Event; 2] {
        let forecast = served("forecast", forecast, vec![]);
        let frontend = served("frontend", frontend, vec![Call::Served(forecast.clone())]);
        let user = user.map(str::to_string);
        [(None, forecast), (user, frontend)].map(|(user, served)| Event {
            user,
            preview: false,
            served,
        })
    }

    fn journeys() -> Journeys {
        let config =
            br#"{"tracks": [{"name": "v2", "match": [{"cookies": {"user": {"exact": "tester"}}}],
            "workloads": ["frontend", "forecast"]}]}"#;
        let workloads = [("frontend", "v1"), ("frontend", "v2")];
        Journeys::new(
            Config::parse(config).unwrap(),
            workloads.map(|(service, version)| Workload {
                service: service.into(),
                version: version.into(),
            }),
        )
    }

    fn state(journeys: &Journeys) -> Value {
        serde_json::to_value(journeys.counts()).unwrap()
    }

    #[test]
    fn counts_what_each_process_saw() {
        let mut journeys = journeys();
        let requests = [
            (Some("tester"), "v2", "v2"),
            (Some("alice"), "v1", "v1"),
            (None, "v1", "v1"),
            (Some("mallory"), "v2", "v1"),
        ];
        for (user, frontend, forecast) in requests {
            for event in events(user, frontend, forecast) {
                journeys.record(&event);
            }
        }
        let edge = |from: &str, to: &str, release: &str, count: u64| json!({"from": from, "to": to, "release": release, "count": count});
        let node = |service: &str, version: &str, track: Option<&str>, step: u8, served: u64| {
            let name = format!("{service} {version}");
            json!({"name": name, "service": service, "version": version, "track": track, "step": step, "served": served})
        };
        let words = |user: Option<&str>, path: &str, crossed: bool| json!({"user": user, "path": path, "crossed": crossed, "lost": false, "count": 1});
        assert_eq!(
            state(&journeys),
            json!({
                "tracks": ["v2"],
                "workloads": [
                    node("forecast", "v1", None, 2, 3),
                    node("forecast", "v2", Some("v2"), 2, 1),
                    node("frontend", "v1", None, 1, 2),
                    node("frontend", "v2", Some("v2"), 1, 2),
                ],
                "calls": [
                    edge("gateway", "frontend v1", "baseline", 2),
                    edge("gateway", "frontend v2", "v2", 2),
                    edge("frontend v1", "forecast v1", "baseline", 2),
                    edge("frontend v2", "forecast v1", "crossed", 1),
                    edge("frontend v2", "forecast v2", "v2", 1),
                ],
                "words": [
                    words(Some("mallory"), "frontend v2 -> forecast v1", true),
                    words(Some("tester"), "frontend v2 -> forecast v2", false),
                    words(None, "frontend v1 -> forecast v1", false),
                    words(Some("alice"), "frontend v1 -> forecast v1", false),
                ],
                "requests": 4, "crossed": 1, "lost": 0, "failed": 0, "failedCalls": 0, "missed": 0,
                "earlier": [],
            })
        );
    }

    #[test]
    fn whom_a_rule_names_and_who_got_something_else_is_lost() {
        let mut journeys = journeys();
        for (user, version) in [("tester", "v1"), ("tester", "v2"), ("alice", "v1")] {
            for event in events(Some(user), version, version) {
                journeys.record(&event);
            }
        }
        let told = |journeys: &Journeys| {
            let state = state(journeys);
            (state["lost"].clone(), state["crossed"].clone(), state["words"][0].clone())
        };
        let words = json!({"user": "tester", "path": "frontend v1 -> forecast v1", "crossed": false, "lost": true, "count": 1});
        assert_eq!(told(&journeys), (json!(1), json!(0), words));
        // One that crossed is not told twice; and who has a preview has chosen it.
        for event in events(Some("tester"), "v2", "v1") {
            journeys.record(&event);
        }
        for event in events(Some("tester"), "v1", "v1") {
            journeys.record(&Event { preview: true, ..event });
        }
        let (lost, crossed, _) = told(&journeys);
        assert_eq!((lost, crossed), (json!(1), json!(1)));
    }

    #[test]
    fn many_accounts_do_not_push_out_a_crossed_call() {
        let mut journeys = journeys();
        for event in events(Some("mallory"), "v2", "v1") {
            journeys.record(&event);
        }
        for i in 0..100 {
            for event in events(Some(&format!("{i}{}", "x".repeat(100))), "v1", "v1") {
                journeys.record(&event);
            }
        }
        let counts = journeys.counts();
        assert_eq!(counts.words.len(), MAX_SENTENCES);
        assert!(counts.words[0].crossed);
        for word in counts.words {
            assert!(word.user.unwrap().len() <= MAX_NAME);
        }
    }

    #[test]
    fn a_switch_starts_from_zero_and_remembers() {
        let before = Switches { share: 30.try_into().unwrap(), ..Switches::STORY };
        let mut journeys = journeys();
        journeys.switched(before);
        assert_eq!(state(&journeys)["earlier"], json!([]), "nothing was counted");
        for event in events(None, "v2", "v1") {
            journeys.record(&event);
        }
        journeys.request_failed();
        journeys.missed(3);
        journeys.switched(before);
        let state = state(&journeys);
        assert_eq!(
            state["earlier"],
            json!([{
                "switches": {"filter": true, "routes": "story", "forward": "request-id", "share": 30},
                "requests": 1, "crossed": 1, "lost": 0, "failed": 1, "failedCalls": 0, "missed": 3,
            }])
        );
        assert_eq!(state["requests"], 0);
        assert_eq!(state["calls"], json!([]));
        assert_eq!(state["workloads"][0]["served"], 0, "but still there");
    }
}
