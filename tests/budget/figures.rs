//! What the paths may cost: the figures of budget.yaml, and how others compare with them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// This much more or less, in percent, is no difference for instructions. Hostcalls and
/// allocations are compared exactly.
const TOLERANCE: u64 = 2;

/// By path.
pub(crate) type Budget = BTreeMap<String, Figures>;

/// What a request on one path costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figures {
    /// WebAssembly instructions of the module, about: the interpreter's fuel.
    pub(crate) instructions: u64,
    /// By the core itself.
    pub(crate) allocations: u64,
    /// Hostcalls by name, without `proxy_`.
    pub(crate) calls: BTreeMap<String, u64>,
}

impl Figures {
    pub(crate) fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }
}

/// How figures differ from a budget, a line for each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Differences {
    pub(crate) worse: Vec<String>,
    pub(crate) better: Vec<String>,
}

impl Differences {
    pub(crate) fn of(budget: &Budget, measured: &Budget) -> Self {
        let mut differences = Self::default();
        for (path, is) in measured {
            match budget.get(path) {
                Some(was) => differences.add(path, was, is),
                None => differences.worse.push(format!("{path}: it has no budget")),
            }
        }
        let gone = budget.keys().filter(|path| !measured.contains_key(*path));
        differences.worse.extend(gone.map(|path| format!("{path}: there is no such path")));
        differences
    }

    fn add(&mut self, path: &str, was: &Figures, is: &Figures) {
        self.compare(path, "instructions", TOLERANCE, was.instructions, is.instructions);
        self.compare(path, "allocations", 0, was.allocations, is.allocations);
        let count = |figures: &Figures, call| figures.calls.get(call).copied().unwrap_or_default();
        let mut calls: Vec<_> = was.calls.keys().chain(is.calls.keys()).collect();
        calls.sort();
        calls.dedup();
        for call in calls {
            self.compare(path, call, 0, count(was, call), count(is, call));
        }
    }

    fn compare(&mut self, path: &str, what: &str, tolerance: u64, was: u64, is: u64) {
        let line = || format!("{path}: {what}: {was} in the budget, now {is}");
        if is * 100 > was * (100 + tolerance) {
            self.worse.push(line());
        } else if is * 100 < was * (100 - tolerance) {
            self.better.push(line());
        }
    }
}

/// For people: a line for every path.
pub(crate) fn table(budget: &Budget) -> String {
    let width = budget.keys().map(String::len).max().unwrap_or_default();
    let mut table = format!("{:width$}  instructions  allocations  hostcalls\n", "");
    for (path, figures) in budget {
        let Figures { instructions, allocations, calls } = figures;
        let calls: Vec<_> = calls
            .iter()
            .map(|(name, n)| if *n == 1 { name.clone() } else { format!("{n} {name}") })
            .collect();
        let _ = writeln!(
            table,
            "{path:width$}  {instructions:12}  {allocations:11}  {:2}: {}",
            figures.all_calls(),
            calls.join(", ")
        );
    }
    table
}

mod tests {
    use super::*;

    fn one(instructions: u64, allocations: u64, calls: &[(&str, u64)]) -> Budget {
        let calls = calls.iter().map(|(name, n)| ((*name).into(), *n)).collect();
        [("path".into(), Figures { instructions, allocations, calls })].into()
    }

    fn differences(measured: &Budget) -> (Vec<String>, Vec<String>) {
        let budget = one(1000, 1, &[("log", 2)]);
        let Differences { worse, better } = Differences::of(&budget, measured);
        (worse, better)
    }

    #[test]
    fn two_percent_of_the_instructions_are_no_difference_and_more_are() {
        for same in [980, 1000, 1020] {
            assert_eq!(differences(&one(same, 1, &[("log", 2)])), (vec![], vec![]));
        }
        let line = |n| vec![format!("path: instructions: 1000 in the budget, now {n}")];
        assert_eq!(differences(&one(1021, 1, &[("log", 2)])), (line(1021), vec![]));
        assert_eq!(differences(&one(979, 1, &[("log", 2)])), (vec![], line(979)));
    }

    #[test]
    fn one_allocation_or_hostcall_more_is_worse() {
        let (worse, better) = differences(&one(1000, 2, &[("done", 1), ("log", 1)]));
        let allocations = "path: allocations: 1 in the budget, now 2";
        assert_eq!(worse, [allocations, "path: done: 0 in the budget, now 1"]);
        assert_eq!(better, ["path: log: 2 in the budget, now 1"]);
    }

    #[test]
    fn every_path_has_a_budget_and_every_budget_a_path() {
        let (worse, _) = differences(&[].into());
        assert_eq!(worse, ["path: there is no such path"]);
        let Differences { worse, .. } = Differences::of(&[].into(), &one(1, 1, &[]));
        assert_eq!(worse, ["path: it has no budget"]);
    }
}
