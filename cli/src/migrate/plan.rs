//! From who gets which version at each service to tracks, and what changes in each route.
//!
//! The edge comes first: what a gateway's routes look at becomes the tracks' rules. Routes inside
//! of the mesh then join the track that leads to the same version, or that has the same rule. At
//! last come routes by the version of the caller, until no further track is found by them.

use super::entry::{Caller, Following, Kind, Selector, is_everything, rule_of_route};
use super::routes::{Destination, Item, Service, SetUp, Version, VirtualService, alone};
use crate::emit::flow;
use crate::input::File;
use crate::input::yaml::Node;
use serde_json::{Value as Json, json};
use std::collections::{BTreeSet, HashSet};

pub(super) struct Track {
    pub(super) name: String,
    /// A given plugin has it already.
    pub(super) is_given: bool,
    pub(super) rules: Vec<Rule>,
    pub(super) share: Option<f64>,
    /// Services and version labels, those that a given plugin lists first.
    pub(super) workloads: Vec<(Service, String)>,
    given_workloads: usize,
    label: String,
}

pub(super) struct Rule {
    pub(super) rule: Json,
    /// It stands in a given plugin.
    is_given: bool,
    /// Of the gateway's routes that it comes from; none for what stands inside of the mesh.
    hosts: Vec<String>,
}

pub(super) enum Change {
    /// An entry of an item follows tracks.
    Follow { item: usize, entry: usize, tracks: Vec<usize> },
    /// Weights behind a condition become the share of a rule: the track's destination stays.
    Only { item: usize, destination: usize },
    /// Weights become routes of tracks: which destination is whose.
    Share { item: usize, parts: Vec<(usize, usize)>, is_routed: bool },
    /// Calls of baseline pods become the last route, for everybody.
    Last { item: usize },
}

/// Something that a person has to know.
pub(super) struct Told<'a> {
    pub(super) file: &'a File,
    pub(super) at: usize,
    pub(super) object: String,
    pub(super) message: String,
    /// It stays as it was.
    pub(super) is_left: bool,
}

pub(super) struct Plan<'a> {
    pub(super) tracks: Vec<Track>,
    /// For each VirtualService.
    pub(super) changes: Vec<Vec<Change>>,
    pub(super) told: Vec<Told<'a>>,
    set_up: &'a SetUp<'a>,
    following: &'a Following<'a>,
    expressions: HashSet<String>,
    assumed: BTreeSet<Service>,
    /// Entries that choose people for the baseline.
    pinned: Vec<(usize, &'a Node)>,
}

struct ByCaller<'a> {
    service: usize,
    item: usize,
    entry: usize,
    caller: Caller,
    at: &'a Node,
}

impl Track {
    fn version_of(&self, service: &Service) -> Option<&str> {
        let same = |known: &Service| {
            known.name == service.name
                && (known.namespace.is_empty() || known.namespace == service.namespace)
        };
        self.workloads.iter().find(|(known, _)| same(known)).map(|(_, label)| &**label)
    }

    fn has(&self, version: &Version) -> bool {
        self.version_of(&version.service) == Some(&version.label)
    }

    fn conflicts(&self, version: &Version) -> bool {
        self.version_of(&version.service).is_some_and(|label| label != version.label)
    }

    fn add(&mut self, version: &Version) {
        if !self.has(version) {
            self.workloads.push((version.service.clone(), version.label.clone()));
        }
    }

    fn is_in(&self, namespace: &str) -> bool {
        self.workloads.iter().any(|(s, _)| s.namespace == namespace || s.namespace.is_empty())
    }

    fn knows(&self, rule: &Json) -> bool {
        self.rules.iter().any(|known| known.rule == *rule)
    }
}

impl<'a> Plan<'a> {
    pub(super) fn of(set_up: &'a SetUp<'a>, following: &'a Following<'a>) -> Self {
        let mut plan = Self {
            tracks: Vec::new(),
            changes: set_up.services.iter().map(|_| Vec::new()).collect(),
            told: Vec::new(),
            set_up,
            following,
            expressions: HashSet::new(),
            assumed: BTreeSet::new(),
            pinned: Vec::new(),
        };
        plan.add_given();
        let indices = |at_gateway: bool| {
            let all = set_up.services.iter().enumerate();
            all.filter(move |(_, service)| {
                service.at_gateway == at_gateway && service.owner.is_none()
            })
        };
        for (index, service) in indices(true).chain(indices(false)) {
            for item in 0..service.items.len() {
                plan.add_item(index, item);
            }
        }
        plan.add_callers();
        for (index, service) in indices(true).chain(indices(false)) {
            for item in 0..service.items.len() {
                plan.add_weights(index, item);
            }
        }
        plan.tell_rest();
        plan.name();
        plan
    }

    fn tell(&mut self, service: usize, node: &Node, is_left: bool, message: impl Into<String>) {
        let Some(service) = self.set_up.services.get(service) else { return };
        self.told.push(Told {
            file: service.file,
            at: node.span.start,
            object: service.object(),
            message: message.into(),
            is_left,
        });
    }

    /// The tracks that there are already.
    fn add_given(&mut self) {
        for (_, plugin) in &self.set_up.plugins {
            let tracks = plugin.at(&["spec", "pluginConfig", "tracks"]);
            for track in tracks.into_iter().flat_map(Node::items) {
                let Some(name) = track.get("name").and_then(Node::text) else { continue };
                let service = |app: &str| {
                    let (namespace, name) = app.split_once('/').unwrap_or(("", app));
                    Service { namespace: namespace.to_owned(), name: name.to_owned() }
                };
                let mut workloads = Vec::new();
                if let Some(listed) = track.get("workloads") {
                    for member in listed.members() {
                        let one = member.node.text().into_iter();
                        let labels = one.chain(member.node.items().iter().filter_map(Node::text));
                        workloads
                            .extend(labels.map(|label| (service(&member.name), label.to_owned())));
                    }
                    let apps = listed.items().iter().filter_map(Node::text);
                    workloads.extend(apps.map(|app| (service(app), name.to_owned())));
                }
                let rules = track.get("match").into_iter().flat_map(Node::items);
                self.tracks.push(Track {
                    name: name.to_owned(),
                    is_given: true,
                    rules: rules
                        .map(|rule| Rule {
                            rule: rule.to_json(),
                            is_given: true,
                            hosts: Vec::new(),
                        })
                        .collect(),
                    share: largest_share(track),
                    given_workloads: workloads.len(),
                    workloads,
                    label: name.to_owned(),
                });
            }
        }
    }

    fn new_track(&mut self, version: &Version) -> usize {
        self.tracks.push(Track {
            name: String::new(),
            is_given: false,
            rules: Vec::new(),
            share: None,
            workloads: vec![(version.service.clone(), version.label.clone())],
            given_workloads: 0,
            label: version.label.clone(),
        });
        self.tracks.len() - 1
    }

    fn follow(&mut self, service: usize, item: usize, entry: usize, tracks: Vec<usize>) {
        if let Some(changes) = self.changes.get_mut(service) {
            changes.push(Change::Follow { item, entry, tracks });
        }
    }

    fn find(&self, is_it: impl Fn(&Track) -> bool) -> Option<usize> {
        self.tracks.iter().position(is_it)
    }

    /// The version that everybody else gets.
    fn baseline(&self, service: &'a VirtualService<'a>, of: &Service) -> Option<&'a Version> {
        let is_plain = |entry: &&'a Node| matches!(self.following.read(entry), Kind::Plain);
        let of_item = |item: &'a Item<'a>| {
            let of_service = item.destinations.iter().filter(|one| one.service == *of);
            let heaviest = of_service.rev().max_by(|one, two| one.weight.total_cmp(&two.weight));
            heaviest.and_then(|one| one.version.as_ref())
        };
        let catch_all = service.items.iter().rev().filter(|item| item.is_catch_all());
        let plain = service.items.iter().filter(|item| item.entries.iter().any(is_plain));
        catch_all.chain(plain).find_map(of_item)
    }

    // === Who, by what a request has ===

    fn add_item(&mut self, index: usize, place: usize) {
        let Some(service) = self.set_up.services.get(index) else { return };
        let Some(item) = service.items.get(place) else { return };
        let mut selectors = Vec::new();
        for (entry, node) in item.entries.iter().enumerate() {
            if let Kind::Who(selector) = self.following.read(node)
                && selector.caller.is_none()
            {
                selectors.push((entry, *node, selector));
            }
        }
        let Some((_, first, _)) = selectors.first() else { return };
        let looks_at_cookies =
            selectors.iter().any(|(.., s)| s.headers.iter().any(|name| name == "cookie"));
        if let Some(delegate) = item.node.get("delegate") {
            let why = "whom it chooses is sent on to a delegate, which was not followed";
            return self.tell(index, delegate, true, why);
        }
        let part = self.part(service, item);
        let Some((only, destination)) = item.only().or(part.map(|part| part.0)) else {
            let versions = item.destinations.iter().filter(|one| one.version.is_some());
            if versions.count() > 1 {
                self.tell(index, first, true, WEIGHTS_IN_MATCH);
            }
            return;
        };
        let Some(version) = &destination.version else {
            if looks_at_cookies {
                self.tell(index, first, true, NO_VERSION);
            }
            return;
        };
        match self.baseline(service, &version.service) {
            None => return self.tell(index, first, true, NO_BASELINE),
            Some(baseline) if baseline.label == version.label => {
                return self.pinned.push((index, first));
            }
            Some(_) => {}
        }
        for (entry, node, selector) in selectors {
            self.tell_cookies(index, node, &selector);
            let rules = match selector.rules {
                Ok(rules) => match part {
                    Some((_, percent)) => of_share(rules, percent),
                    None => rules,
                },
                Err((at, why)) => {
                    let file = service.file;
                    let object = service.object();
                    let message = format!("stays as it is: {why}");
                    self.told.push(Told { file, at: at.start, object, message, is_left: true });
                    continue;
                }
            };
            for (at, message) in selector.beyond {
                let (file, object) = (service.file, service.object());
                self.told.push(Told { file, at: at.start, object, message, is_left: false });
            }
            let track = match service.at_gateway {
                true => self.at_gateway(service, version, rules),
                false => self.inside(index, node, version, rules, &selector.headers),
            };
            match track {
                Some(track) => {
                    self.assume(index, destination);
                    self.follow(index, place, entry, vec![track]);
                    if part.is_some() {
                        let changes = self.changes.get_mut(index);
                        changes.into_iter().for_each(|changes| {
                            changes.push(Change::Only { item: place, destination: only });
                        });
                        self.tell(index, node, false, STICKY);
                    }
                }
                None => self.tell(index, node, true, TWO_VERSIONS),
            }
        }
    }

    /// The version that a condition gives to a part of whom it chooses, and the percentage, where
    /// all others get what everybody gets.
    fn part(
        &self,
        service: &'a VirtualService<'a>,
        item: &'a Item<'a>,
    ) -> Option<((usize, &'a Destination<'a>), f64)> {
        let catch_all = service.items.iter().rev().find(|item| item.is_catch_all())?;
        let (everybodys, everybody) = catch_all.only()?;
        let weighted = || item.destinations.iter().enumerate().filter(|(_, one)| one.weight > 0.0);
        let is_baseline =
            |one: &Destination<'_>| one.version.is_some() && one.version == everybody.version;
        let (rest, _) = weighted().find(|(_, one)| is_baseline(one))?;
        let part = weighted().find(|(_, one)| !is_baseline(one))?;
        let is_whole = service.at_gateway
            && item.entries.len() == 1
            && weighted().count() == 2
            && item.destinations.len() == item.node.get("route").map_or(0, |all| all.items().len())
            && part.1.service == everybody.service
            && item.without_whom(rest) == catch_all.without_whom(everybodys);
        let total: f64 = weighted().map(|(_, one)| one.weight).sum();
        is_whole.then(|| (part, (part.1.weight / total * 10_000.0).round() / 100.0))
    }

    fn tell_cookies(&mut self, index: usize, node: &Node, selector: &Selector) {
        let Some(service) = self.set_up.services.get(index) else { return };
        for (at, expression, reading) in &selector.cookies {
            if !self.expressions.insert(expression.clone()) {
                continue;
            }
            let misses = reading.misses.as_ref().map(|header| {
                format!("misses a request with \"cookie: {header}\", which the rule takes")
            });
            let takes = reading.takes.as_ref().map(|header| {
                format!("takes a request with \"cookie: {header}\", which the rule does not")
            });
            let wrong: Vec<_> = misses.into_iter().chain(takes).collect();
            let wrong = match wrong.as_slice() {
                [] => "says the same as the rule, as far as was tried".to_owned(),
                wrong => wrong.join("; it "),
            };
            self.told.push(Told {
                file: service.file,
                at: at.start.max(node.span.start),
                object: service.object(),
                message: format!("the expression {expression} {wrong}"),
                is_left: false,
            });
        }
    }

    /// Says once for each service that a label was guessed.
    fn assume(&mut self, index: usize, destination: &Destination<'_>) {
        let Some(version) = &destination.version else { return };
        if !version.is_assumed || !self.assumed.insert(version.service.clone()) {
            return;
        }
        let key = &self.set_up.version_label;
        let message = format!(
            "no DestinationRule or Service among the files says which pods {} means: they are \
             taken to have the label {key}: {}",
            destination.host, version.label
        );
        self.tell(index, destination.node, false, message);
    }

    /// `None`: the same people would get two versions of a service.
    fn at_gateway(
        &mut self,
        service: &VirtualService<'_>,
        version: &Version,
        mut rules: Vec<Json>,
    ) -> Option<usize> {
        let same_rule = |track: &Track| rules.iter().any(|rule| track.knows(rule));
        let found = self
            .find(|track| track.has(version))
            .or_else(|| self.find(|track| same_rule(track) && !track.conflicts(version)));
        let apart = found.is_none() && self.tracks.iter().any(same_rule);
        if apart {
            // The hosts tell them apart, if they are others.
            let is_apart = |hosts: &[String]| {
                !hosts.is_empty()
                    && !hosts.iter().any(|host| host.contains('*') || service.hosts.contains(host))
            };
            let same = |known: &Rule| rules.contains(&known.rule);
            let mut known = self.tracks.iter_mut().flat_map(|track| &mut track.rules);
            if service.hosts.iter().any(|host| host.contains('*'))
                || !known.all(|known| !same(known) || is_apart(&known.hosts))
            {
                return None;
            }
            for known in self.tracks.iter_mut().flat_map(|track| &mut track.rules) {
                if rules.contains(&known.rule) {
                    let hosts = known.hosts.clone();
                    limit(&mut known.rule, &hosts);
                }
            }
            rules.iter_mut().for_each(|rule| limit(rule, &service.hosts));
        }
        let index = found.unwrap_or_else(|| self.new_track(version));
        let track = self.tracks.get_mut(index)?;
        track.add(version);
        for rule in rules {
            if !track.knows(&rule) {
                track.rules.push(Rule { rule, is_given: false, hosts: service.hosts.clone() });
            }
        }
        Some(index)
    }

    fn inside(
        &mut self,
        index: usize,
        node: &Node,
        version: &Version,
        rules: Vec<Json>,
        headers: &[String],
    ) -> Option<usize> {
        let same_rule = |track: &Track| rules.iter().all(|rule| track.knows(rule));
        if let Some(found) = self.find(|track| same_rule(track) && !track.conflicts(version)) {
            self.tracks.get_mut(found)?.add(version);
            return Some(found);
        }
        let namespace = &version.service.namespace;
        let of_label = |track: &Track| track.label == version.label && !track.conflicts(version);
        let found = self
            .find(|track| track.has(version))
            .or_else(|| self.find(|track| of_label(track) && track.is_in(namespace)));
        if let Some(found) = found {
            let track = self.tracks.get_mut(found)?;
            track.add(version);
            let by_edge = track.rules.iter().any(|rule| !rule.hosts.is_empty()) || track.is_given;
            if by_edge {
                let message = "the edge decides who follows the track: what is looked at here is \
                               no rule of it";
                self.tell(index, node, false, message);
                return Some(found);
            }
        }
        let found = found.unwrap_or_else(|| self.new_track(version));
        let track = self.tracks.get_mut(found)?;
        for rule in rules {
            if !track.knows(&rule) {
                track.rules.push(Rule { rule, is_given: false, hosts: Vec::new() });
            }
        }
        let what = if headers.is_empty() { "query".to_owned() } else { headers.join(", ") };
        let message = format!(
            "only routes inside of the mesh look at {what}, and a track is decided at the \
             gateways: the rule holds only if clients send it, and not if an application sets it"
        );
        self.tell(index, node, false, message);
        Some(found)
    }

    // === Who, by the calling pod ===

    fn add_callers(&mut self) {
        let mut waiting = Vec::new();
        for (service, virtual_service) in self.set_up.services.iter().enumerate() {
            if virtual_service.owner.is_some() {
                continue;
            }
            for (item, one) in virtual_service.items.iter().enumerate() {
                for (entry, node) in one.entries.iter().enumerate() {
                    if let Kind::Who(Selector { caller: Some(caller), .. }) =
                        self.following.read(node)
                    {
                        waiting.push(ByCaller { service, item, entry, caller, at: node });
                    }
                }
            }
        }
        loop {
            let before = waiting.len();
            waiting.retain(|one| !self.add_caller(one));
            if waiting.is_empty() {
                return;
            }
            if waiting.len() == before {
                // Nobody at the edge leads here: such a track is carried, but not decided.
                let Some(first) = waiting.iter().position(|one| self.starts_track(one)) else {
                    break;
                };
                waiting.remove(first);
            }
        }
        for one in waiting {
            self.add_rest(&one);
        }
    }

    /// Whether it is clear what comes of it.
    fn add_caller(&mut self, one: &ByCaller<'a>) -> bool {
        let Some(service) = self.set_up.services.get(one.service) else { return true };
        let Some(item) = service.items.get(one.item) else { return true };
        let calls = |track: &Track, namespace: Option<&str>| {
            track.workloads.iter().any(|(known, label)| {
                let app = one.caller.app.as_ref();
                *label == one.caller.version
                    && app.is_none_or(|app| *app == known.name || *app == self.set_up.app(known))
                    && namespace
                        .is_none_or(|name| known.namespace.is_empty() || known.namespace == name)
            })
        };
        let from = one.caller.namespace.as_deref();
        let near: Vec<_> =
            self.matching(|track| calls(track, Some(from.unwrap_or(&service.namespace))));
        let tracks = match (near.is_empty(), from) {
            (true, None) => self.matching(|track| calls(track, None)),
            _ => near,
        };
        if tracks.is_empty() {
            return false;
        }
        let Some(destination) = item.only_destination() else {
            self.tell(one.service, one.at, true, WEIGHTS_IN_MATCH);
            return true;
        };
        let Some(version) = &destination.version else {
            self.tell(one.service, one.at, true, NO_VERSION);
            return true;
        };
        if self.baseline(service, &version.service).is_some_and(|b| b.label == version.label) {
            return true;
        }
        let free =
            |index: &usize| self.tracks.get(*index).is_some_and(|track| !track.conflicts(version));
        let tracks: Vec<_> = tracks.into_iter().filter(free).collect();
        if tracks.is_empty() {
            self.tell(one.service, one.at, true, TWO_VERSIONS);
            return true;
        }
        for index in &tracks {
            if let Some(track) = self.tracks.get_mut(*index) {
                track.add(version);
            }
        }
        self.assume(one.service, destination);
        self.follow(one.service, one.item, one.entry, tracks);
        true
    }

    fn matching(&self, is_it: impl Fn(&Track) -> bool) -> Vec<usize> {
        let tracks = self.tracks.iter().enumerate();
        tracks.filter(|(_, track)| is_it(track)).map(|(index, _)| index).collect()
    }

    fn starts_track(&mut self, one: &ByCaller<'a>) -> bool {
        let Some(service) = self.set_up.services.get(one.service) else { return false };
        let destination = service.items.get(one.item).and_then(Item::only_destination);
        let Some((destination, version)) = destination.and_then(|d| Some((d, d.version.as_ref()?)))
        else {
            return false;
        };
        let is_other = self.baseline(service, &version.service).is_some_and(|baseline| {
            baseline.label != version.label && baseline.label != one.caller.version
        });
        if !is_other {
            return false;
        }
        let track = self.new_track(version);
        if let (Some(track), Some(app)) = (self.tracks.get_mut(track), &one.caller.app) {
            let namespace =
                one.caller.namespace.clone().unwrap_or_else(|| service.namespace.clone());
            let caller = Service { namespace, name: app.clone() };
            track.add(&Version {
                service: caller,
                label: one.caller.version.clone(),
                is_assumed: true,
            });
        }
        if let Some(track) = self.tracks.get_mut(track) {
            track.label.clone_from(&one.caller.version);
        }
        self.assume(one.service, destination);
        self.follow(one.service, one.item, one.entry, vec![track]);
        let message = format!(
            "nothing in the files says who gets version {} of the callers: the track has no rule. \
             Give the routes of the gateways as well, or write its match",
            one.caller.version
        );
        self.tell(one.service, one.at, false, message);
        true
    }

    /// Calls of pods that belong to no track.
    fn add_rest(&mut self, one: &ByCaller<'a>) {
        let Some(service) = self.set_up.services.get(one.service) else { return };
        let Some(item) = service.items.get(one.item) else { return };
        let version = item.only_destination().and_then(|one| one.version.as_ref());
        let baseline = version.and_then(|version| self.baseline(service, &version.service));
        let Some(changes) = self.changes.get_mut(one.service) else { return };
        let is_followed = changes.iter().any(|change| matches!(change, Change::Follow { .. }));
        let is_last = changes.iter().any(|change| matches!(change, Change::Last { .. }));
        let is_only = item.entries.len() == 1 && self.following.is_only_caller(one.at);
        match (version, baseline) {
            (Some(_), None) if is_followed && !is_last && is_only => {
                changes.push(Change::Last { item: one.item });
                let message = "calls of baseline pods become the last route, for every request \
                               that follows no track";
                self.tell(one.service, one.at, false, message);
            }
            (Some(version), Some(baseline)) if version.label == baseline.label => {}
            _ => {
                let message = format!(
                    "stays as it is: no track is known for callers of version {}",
                    one.caller.version
                );
                self.tell(one.service, one.at, true, message);
            }
        }
    }

    // === Weights ===

    fn add_weights(&mut self, index: usize, place: usize) {
        let Some(service) = self.set_up.services.get(index) else { return };
        let Some(item) = service.items.get(place) else { return };
        let weighted: Vec<_> =
            item.destinations.iter().enumerate().filter(|(_, one)| one.weight > 0.0).collect();
        let Some((_, first)) = weighted.first() else { return };
        let is_done =
            |change: &Change| matches!(change, Change::Only { item, .. } if *item == place);
        if self.changes.get(index).is_some_and(|changes| changes.iter().any(is_done)) {
            return;
        }
        let routes = item.node.get("route").map_or(0, |routes| routes.items().len());
        let is_split = weighted.len() > 1
            && item.destinations.len() == routes
            && weighted
                .iter()
                .all(|(_, one)| one.version.is_some() && one.service == first.service);
        let is_told = |told: &Told<'_>| {
            std::ptr::eq(told.file, service.file)
                && (item.node.span.start..item.node.span.end).contains(&told.at)
        };
        if !is_split || self.told.iter().any(|told| told.is_left && is_told(told)) {
            return;
        }
        if !item.is_catch_all() {
            return self.tell(index, first.node, true, WEIGHTS_IN_MATCH);
        }
        let total: f64 = weighted.iter().map(|(_, one)| one.weight).sum();
        let heaviest = weighted.iter().rev().max_by(|a, b| a.1.weight.total_cmp(&b.1.weight));
        let Some((keep, _)) = heaviest.copied() else { return };
        let mut parts = Vec::new();
        let mut fresh = Vec::new();
        for (number, destination) in weighted.iter().filter(|(number, _)| *number != keep) {
            let Some(version) = &destination.version else { return };
            let percent = (destination.weight / total * 10_000.0).round() / 100.0;
            let namespace = &version.service.namespace;
            let of_label = |t: &Track| t.label == version.label && t.is_in(namespace);
            let found = self.find(|track| track.has(version)).or_else(|| {
                self.find(|track| {
                    of_label(track) && !track.conflicts(version) && track.share == Some(percent)
                })
            });
            if let Some(track) = found.and_then(|found| self.tracks.get(found)) {
                let is_alone = track.workloads.iter().all(|(known, _)| *known == version.service);
                let may = match track.share {
                    Some(share) => share == percent,
                    None => service.at_gateway || track.rules.is_empty() && is_alone,
                };
                if track.is_given || !may {
                    return self.tell(index, destination.node, true, OTHER_SHARE);
                }
            }
            fresh.push((*number, found, version, percent));
        }
        let share = |index: usize| self.tracks.get(index).and_then(|track| track.share);
        let taken: f64 = self.tracks.iter().filter_map(|track| track.share).sum();
        let more = fresh.iter().filter(|(_, found, ..)| found.and_then(share).is_none());
        let more: f64 = more.map(|(.., percent)| percent).sum();
        if taken + more > WHOLE {
            return self.tell(index, item.node, true, MORE_THAN_ALL);
        }
        for (number, found, version, percent) in fresh {
            let track = found.unwrap_or_else(|| self.new_track(version));
            if let Some(track) = self.tracks.get_mut(track) {
                track.add(version);
                track.share = Some(percent);
            }
            parts.push((number, track));
        }
        for (number, _) in &parts {
            if let Some(destination) = item.destinations.get(*number) {
                self.assume(index, destination);
            }
        }
        let is_routed = |track: usize| {
            self.changes.get(index).into_iter().flatten().any(|change| match change {
                Change::Follow { item, entry, tracks } => {
                    let node = service.items.get(*item).and_then(|item| item.entries.get(*entry));
                    *tracks == [track]
                        && node.is_some_and(|node| {
                            self.following
                                .expected(node, &[""])
                                .as_object()
                                .is_some_and(|fields| fields.len() == 1)
                        })
                        && item < &place
                }
                _ => false,
            })
        };
        let is_routed = parts.iter().all(|(_, track)| is_routed(*track));
        if let Some(changes) = self.changes.get_mut(index) {
            changes.push(Change::Share { item: place, parts, is_routed });
        }
        let message = if service.at_gateway {
            "a weight is thrown anew for each request; the share is sticky: a person stays with it"
        } else {
            "a weight is thrown anew for each call; the share is decided once, at the gateways, for \
             all calls of a request"
        };
        self.tell(index, item.node, false, message);
    }

    fn tell_rest(&mut self) {
        for (index, entry) in std::mem::take(&mut self.pinned) {
            if self.changes.get(index).is_some_and(|changes| !changes.is_empty()) {
                self.tell(index, entry, true, PINNED);
            }
        }
        for (index, service) in self.set_up.services.iter().enumerate() {
            let Some(owner) = &service.owner else { continue };
            let is_who = |entry: &Node| matches!(self.following.read(entry), Kind::Who(_));
            let mut entries = service.items.iter().flat_map(|item| &item.entries);
            if entries.any(|entry| is_who(entry)) {
                let message = format!("stays as it is: {owner} makes it, and would undo a change");
                self.tell(index, service.document, true, message);
            }
        }
        for (file, object, node) in &self.set_up.http_routes {
            let what = match (node.get("weight"), rule_of_route(node, self.following)) {
                (Some(_), _) => "weights become the share of a track".to_owned(),
                (None, Some(rule)) => {
                    let header = self.following.header;
                    format!("this becomes the rule {}, and {header} stands here", flow(&rule))
                }
                (None, None) => continue,
            };
            self.told.push(Told {
                file,
                at: node.span.start,
                object: object.clone(),
                message: format!(
                    "stays as it is, since only VirtualServices are translated. By hand: {what} \
                     (examples/weather/gateway-api)"
                ),
                is_left: true,
            });
        }
        if self.set_up.plugins.len() > 1 {
            for (file, plugin) in &self.set_up.plugins {
                self.told.push(Told {
                    file,
                    at: plugin.span.start,
                    object: "WasmPlugin".to_owned(),
                    message: "there is more than one; the first one is changed".to_owned(),
                    is_left: true,
                });
            }
        }
    }

    /// What the tracks of a given plugin lack: their names, and the fields.
    pub(super) fn missing(&self, set_up: &SetUp<'_>) -> Vec<(String, String)> {
        let given = self.tracks.iter().filter(|track| track.is_given);
        let lacking = given.filter_map(|track| {
            let mut fields = Vec::new();
            let rules = track.rules.iter().filter(|rule| !rule.is_given);
            let rules: Vec<_> = rules.map(|rule| flow(&rule.rule)).collect();
            if !rules.is_empty() {
                fields.push(format!("match: [{}]", rules.join(", ")));
            }
            let workloads = track.workloads.iter().skip(track.given_workloads);
            let workloads: Vec<_> =
                workloads.map(|(known, label)| format!("{}: {label}", set_up.app(known))).collect();
            if !workloads.is_empty() {
                fields.push(format!("workloads: {{{}}}", workloads.join(", ")));
            }
            (!fields.is_empty()).then(|| (track.name.clone(), fields.join(", ")))
        });
        lacking.collect()
    }

    // === Names ===

    fn name(&mut self) {
        let mut names: HashSet<String> =
            self.tracks.iter().map(|track| track.name.clone()).collect();
        for track in &mut self.tracks {
            if track.is_given {
                continue;
            }
            let clean = |name: String| -> String {
                let chars = name.chars().map(|c| match c {
                    c if c.is_ascii_alphanumeric() || "._-".contains(c) => c,
                    _ => '-',
                });
                chars.take(63).collect()
            };
            let service = track.workloads.first().map(|(service, _)| service);
            let (namespace, name) =
                service.map_or(("", ""), |service| (&*service.namespace, &*service.name));
            let label = if track.label.is_empty() { "next" } else { &*track.label };
            let candidates = [
                label.to_owned(),
                format!("{name}-{label}"),
                format!("{namespace}-{name}-{label}"),
            ];
            let numbered = (2..).map(|number| format!("{label}-{number}"));
            let is_free = |name: &String| {
                !name.is_empty()
                    && !["off", "baseline", "none", "other"].contains(&&**name)
                    && !names.contains(name)
            };
            let chosen = candidates.into_iter().chain(numbered).map(clean).find(is_free);
            track.name = chosen.unwrap_or_default();
            names.insert(track.name.clone());
        }
    }
}

const WEIGHTS_IN_MATCH: &str = "weights behind a condition stay as they are: they become the share of \
                                a rule only at a gateway, for one condition, where the rest of its \
                                requests gets what everybody gets";
const STICKY: &str = "a weight is thrown anew for each request; the share of the rule is sticky: a person \
                      stays with it";
const NO_VERSION: &str = "stays as it is: it leads to another service, and not to another version \
                          of the one that everybody gets";
const NO_BASELINE: &str = "stays as it is: no route without a condition says which version of this \
                           service everybody else gets";
const TWO_VERSIONS: &str = "stays as it is: the same people would get two versions of this service \
                            by it, and a track has one";
const PINNED: &str = "stays as it is: whom it sends to the baseline can still follow a track here, by \
                      another rule or a share: exclude them from the rules (withoutCookies, \
                      withoutHeaders), and take the route out";
const MORE_THAN_ALL: &str = "these weights stay as they are: the shares of all tracks together would \
                             exceed 100 percent";
/// All, and what is lost in adding decimal fractions.
const WHOLE: f64 = 100.000_001;
const OTHER_SHARE: &str = "these weights stay as they are: a share is of a whole track, and this \
                           one's is another";

/// The largest share that a given track ever has.
fn largest_share(track: &Node) -> Option<f64> {
    let places: [&[&str]; 3] = [&["percent"], &["ramp", "from"], &["ramp", "to"]];
    let share = track.get("share")?;
    places.iter().filter_map(|place| share.at(place)?.number()).max_by(f64::total_cmp)
}

/// Of whom they fit, only this part.
fn of_share(mut rules: Vec<Json>, percent: f64) -> Vec<Json> {
    let is_whole = percent.fract() == 0.0;
    let percent = if is_whole { json!(percent as u64) } else { json!(percent) };
    for fields in rules.iter_mut().filter_map(Json::as_object_mut) {
        fields.insert("share".to_owned(), json!({"percent": percent}));
    }
    rules
}

/// Only on these hosts, with or without a port.
fn limit(rule: &mut Json, hosts: &[String]) {
    let Some(fields) = rule.as_object_mut() else { return };
    if fields.contains_key("authority") || hosts.is_empty() {
        return;
    }
    let hosts: Vec<_> = hosts.iter().map(|host| regex::escape(host)).collect();
    let hosts = match hosts.as_slice() {
        [host] => host.clone(),
        hosts => format!("({})", hosts.join("|")),
    };
    fields.insert("authority".to_owned(), json!({"regex": format!("{hosts}(:[0-9]+)?")}));
}

impl<'a> Item<'a> {
    /// Where it leads to, if it does not divide requests.
    fn only_destination(&self) -> Option<&Destination<'a>> {
        self.only().map(|(_, one)| one)
    }

    /// The same with its place.
    fn only(&self) -> Option<(usize, &Destination<'a>)> {
        match self.destinations.as_slice() {
            [one] => Some((0, one)),
            several => {
                let all = several.iter().enumerate();
                let mut weighted = all.filter(|(_, one)| one.weight > 0.0);
                let first = weighted.next();
                first.filter(|_| weighted.next().is_none())
            }
        }
    }

    /// What it does with requests that it sends to one of its destinations, whoever's they are.
    fn without_whom(&self, destination: usize) -> Json {
        let mut json = self.node.to_json();
        alone(&mut json, destination);
        if let Some(fields) = json.as_object_mut() {
            fields.retain(|name, _| !matches!(name.as_str(), "match" | "name"));
        }
        json
    }

    fn is_catch_all(&self) -> bool {
        self.entries.iter().all(|entry| {
            let mut members = entry.members().iter();
            members.all(|member| {
                matches!(&*member.name, "name" | "statPrefix")
                    || is_everything(&member.name, &member.node)
            })
        })
    }
}

impl VirtualService<'_> {
    pub(super) fn object(&self) -> String {
        format!("VirtualService {}/{}", self.namespace, self.name)
    }
}
