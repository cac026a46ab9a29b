//! Everything that the filter would refuse in a configuration. It names the first error alone: what
//! it names is taken out, and it is asked again.

use crate::input::manifest::Configuration;
use release_track::config::{Config, Error, field_path, item_path};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// More than anybody mends at once.
const MOST: usize = 50;

/// The first error, and those behind it.
pub(super) fn all(source: &Configuration<'_>, first: Error) -> Vec<Error> {
    let mut rest = Rest { value: source.node.to_json(), taken: BTreeMap::new(), named: 0 };
    let mut found: Vec<Error> = Vec::new();
    let mut next = Some(first);
    for _ in 0..MOST {
        let Some(error) = next.take() else { break };
        let steps = rest.steps(&error.path);
        let path = rest.whole(&steps);
        // What is left of an object may be wrong only for what was taken out of it.
        if !found.iter().any(|earlier| is_within(&earlier.path, &path)) {
            found.push(Error { path, ..error });
        }
        if rest.mend(&steps) {
            next = Config::parse(rest.value.to_string().as_bytes()).err();
        }
    }
    found
}

/// Whether a path is another one, or leads on from it.
fn is_within(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| other.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
}

enum Step {
    Field(String),
    Item(usize),
}

/// A configuration without what was wrong in it.
struct Rest {
    value: Value,
    /// By a list's path in the whole, which of its items are gone.
    taken: BTreeMap<String, BTreeSet<usize>>,
    /// How many tracks were given a name.
    named: usize,
}

impl Rest {
    /// The way to what is at a path, or to what is around it.
    fn steps(&self, path: &str) -> Vec<Step> {
        let (mut here, mut at, mut steps) = (String::new(), &self.value, Vec::new());
        loop {
            let next = match at {
                Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
                    let there = item_path(&here, index);
                    is_within(path, &there).then_some((there, item, Step::Item(index)))
                }),
                Value::Object(fields) => fields.iter().find_map(|(name, value)| {
                    let there = field_path(&here, name);
                    is_within(path, &there).then_some((there, value, Step::Field(name.clone())))
                }),
                _ => None,
            };
            let Some((there, value, step)) = next else { return steps };
            (here, at) = (there, value);
            steps.push(step);
        }
    }

    /// The path of these steps before anything was taken out.
    fn whole(&self, steps: &[Step]) -> String {
        steps.iter().fold(String::new(), |path, step| match step {
            Step::Field(name) => field_path(&path, name),
            Step::Item(index) => item_path(&path, self.place(&path, *index)),
        })
    }

    /// Where an item of a list was before anything was taken out.
    fn place(&self, list: &str, index: usize) -> usize {
        let taken = self.taken.get(list);
        let is_left = |place: &usize| taken.is_none_or(|taken| !taken.contains(place));
        (0..).filter(is_left).nth(index).unwrap_or(index)
    }

    /// Takes out what these steps lead to, if that leaves anything. A track without a good name is
    /// given one: what else is in it is of interest.
    fn mend(&mut self, steps: &[Step]) -> bool {
        if let [Step::Field(tracks), Step::Item(index), rest @ ..] = steps
            && tracks == "tracks"
            && let Value::Object(track) = &mut self.value["tracks"][index]
            && match rest {
                [] => !track.contains_key("name"),
                [Step::Field(name)] => name == "name",
                _ => false,
            }
        {
            self.named += 1;
            track.insert("name".to_owned(), format!("mended-{}", self.named).into());
            return true;
        }
        let Some((last, before)) = steps.split_last() else { return false };
        let path = self.whole(before);
        let parent = before.iter().fold(&mut self.value, |value, step| match step {
            Step::Field(name) => &mut value[name.as_str()],
            Step::Item(index) => &mut value[*index],
        });
        match (last, parent) {
            (Step::Field(name), Value::Object(fields)) => drop(fields.remove(name)),
            (Step::Item(index), Value::Array(items)) => {
                items.remove(*index);
                let place = self.place(&path, *index);
                self.taken.entry(path).or_default().insert(place);
            }
            _ => return false,
        }
        true
    }
}
