//! What was measured, for people: the part of docs/benchmarks.md between its two marks.

use crate::budget::Budget;
use crate::latency::{Measured, Time};
use crate::machine::Machine;
use crate::module::Module;
use crate::plan::{Goal, Run, STORY, Unit};
use crate::start::Starts;
use crate::statistics::Figure;
use crate::variant::Variant;
use anyhow::{Context as _, Result};
use std::path::Path;

const BEGIN: &str = "<!-- measured: written by `make bench` -->\n";
const END: &str = "<!-- /measured -->";

/// The verdict is by the undisturbed request; the median tells about the usual one.
pub(crate) const LOW: Time = |block| block.low;
const MEDIAN: Time = |block| block.median;

const NONE: &str = "–";

/// Everything that came of a run.
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) run: Run,
    /// As many as the plan has, if not fewer were asked for.
    pub(crate) planned_rounds: usize,
    pub(crate) measured: Vec<Measured>,
    /// With few workers, and with many.
    pub(crate) starts: [Starts; 2],
    pub(crate) modules: Vec<Module>,
    pub(crate) budget: Budget,
}

/// Puts the results between the marks of the file.
pub(crate) fn write(path: &Path, results: &Results, goals: &[Goal]) -> Result<()> {
    let file = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(file)?;
    let text = replaced(&text, &results.text(goals)?).with_context(file)?;
    std::fs::write(path, text).with_context(file)
}

fn replaced(text: &str, measured: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some([before, BEGIN, measured, END, after].concat())
}

impl Results {
    fn text(&self, goals: &[Goal]) -> Result<String> {
        let rows = goals.iter().map(|goal| self.rows(goal)).collect::<Result<Vec<_>>>()?.concat();
        let missed =
            rows.iter().filter(|row| row.last().is_some_and(|cell| cell == MISSED)).count();
        let head = ["figure", "at most", "measured", "90 % of the resamples", ""];
        Ok([
            "## The run\n",
            &self.circumstances(),
            "## Goals\n",
            &format!("{} of {} figures are as wanted.\n", rows.len() - missed, rows.len()),
            &table(&head, &rows),
            "## What a request costs\n",
            "Microseconds over no filter, and how many times that is what others cost; the fifth \
             percentile of a block.\n",
            &requests(&self.measured, LOW),
            "The same by the median of a block:\n",
            &requests(&self.measured, MEDIAN),
            "## Memory, and time until ready\n",
            &self.weights()?,
            "## The modules\n",
            &self.sizes(),
        ]
        .join("\n"))
    }

    fn circumstances(&self) -> String {
        let Machine { processor, cores, kernel, load, envoy } = &self.machine;
        let Run { rounds, warm_up, requests } = self.run;
        let shortened = if rounds < self.planned_rounds {
            format!(
                " **A shortened run, of {} rounds: its figures are rough.**",
                self.planned_rounds
            )
        } else {
            String::new()
        };
        let blocks: usize = self.measured.iter().map(|m| m.variants().count()).sum();
        format!(
            "Envoy {envoy} on {processor}, {cores} cores, Linux {kernel}; load average before the \
             run {load}. {rounds} rounds of {blocks} blocks of {requests} requests, after \
             {warm_up} that do not count.{shortened}\n"
        )
    }

    /// A goal, with what was measured; a line for each shape.
    fn rows(&self, goal: &Goal) -> Result<Vec<Vec<String>>> {
        let row = |of: &str, Figure { value, from, to }: Figure, digits: usize| {
            let spread = match from < to {
                true => format!("{from:.digits$} to {to:.digits$}"),
                false => String::new(),
            };
            vec![
                of.to_owned(),
                format!("{} {}", goal.at_most, goal.unit.label()),
                format!("{value:.digits$}"),
                spread,
                // NaN is not as wanted either.
                (if value <= goal.at_most { "met" } else { MISSED }).to_owned(),
            ]
        };
        let (ours, no_op) = match goal.native {
            true => (Variant::OursNative(STORY.into()), Variant::NoOpNative),
            false => (Variant::Ours(STORY.into()), Variant::NoOp),
        };
        let [few, many] = &self.starts;
        let native = if goal.native { "native: " } else { "" };
        let one = |figure, digits| Ok(vec![row(&format!("{native}{}", goal.of), figure, digits)]);
        match goal.unit {
            Unit::TimesLua => self.ratios(goal, ours.label(), "Lua", row),
            Unit::TimesNoOp => self.ratios(goal, ours.label(), no_op.label(), row),
            Unit::Hostcalls => one(Figure::exact(self.budget.hostcalls(&goal.of)? as f64), 0),
            Unit::Allocations => one(Figure::exact(self.budget.allocations(&goal.of)? as f64), 0),
            Unit::MemoryOfProcess => one(few.memory_over(&ours, &no_op), 1),
            Unit::MemoryInAll => one(few.memory_over(&ours, &Variant::None), 1),
            Unit::MemoryOfWorker => one(few.memory_per_worker(many, &ours), 2),
            Unit::Ready => one(few.ready_over(&ours, &no_op), 0),
            Unit::ReadyInAll => one(few.ready_over(&ours, &Variant::None), 0),
            Unit::Size => {
                let module = self.modules.iter().find(|module| module.variant == ours);
                one(Figure::exact(module.context("no module")?.bytes as f64 / 1000.0), 0)
            }
        }
    }

    fn ratios(
        &self,
        goal: &Goal,
        ours: &str,
        other: &str,
        row: impl Fn(&str, Figure, usize) -> Vec<String>,
    ) -> Result<Vec<Vec<String>>> {
        let shapes: Vec<_> = self.measured.iter().filter(|m| m.situation.name == goal.of).collect();
        anyhow::ensure!(!shapes.is_empty(), "a goal for {:?}, which is no situation", goal.of);
        shapes
            .into_iter()
            .map(|measured| {
                let what = || format!("{} is not compared with {other}", goal.of);
                let ratio = ratio(measured, ours, other, LOW).with_context(what)?;
                let native = if goal.native { "native: " } else { "" };
                let of = format!("{native}{}; {}", goal.of, measured.situation.shape);
                Ok(row(&of, ratio, 2))
            })
            .collect()
    }

    fn weights(&self) -> Result<String> {
        let [few, many] = &self.starts;
        let head = [
            "",
            &format!("MiB over no filter, {}", workers(few)),
            &workers(many),
            "each further worker",
            "ms until ready over no-op",
        ];
        let variants = few.variants().filter(|variant| **variant != Variant::None);
        let rows: Vec<_> = variants
            .map(|variant| {
                let ready = match variant {
                    Variant::NoOp => NONE.to_owned(),
                    _ => spread(few.ready_over(variant, &Variant::NoOp), 0),
                };
                vec![
                    variant.name(),
                    spread(few.memory_over(variant, &Variant::None), 1),
                    spread(many.memory_over(variant, &Variant::None), 1),
                    spread(few.memory_per_worker(many, variant), 2),
                    ready,
                ]
            })
            .collect();
        Ok(table(&head, &rows))
    }

    fn sizes(&self) -> String {
        let rows: Vec<_> = self
            .modules
            .iter()
            .map(|Module { variant, bytes, gzipped, sha256 }| {
                let (bytes, gzipped) = (bytes.to_string(), gzipped.to_string());
                vec![variant.name(), bytes, gzipped, format!("`{sha256}`")]
            })
            .collect();
        table(&["", "bytes", "gzipped", "SHA-256"], &rows)
    }
}

const MISSED: &str = "**missed**";

fn workers(starts: &Starts) -> String {
    format!("{} worker{}", starts.workers, if starts.workers == 1 { "" } else { "s" })
}

/// A line for each situation and shape: of the module in WebAssembly, and of the dynamic module.
pub(crate) fn requests(measured: &[Measured], time: Time) -> String {
    let wasm = costs(measured, "release-track", &["no-op", "reader", "Lua", "peer"], time);
    let others = ["no-op, native", "Lua", "release-track"];
    let native = costs(measured, "release-track, native", &others, time);
    format!("{wasm}\n{native}")
}

fn costs(measured: &[Measured], ours: &str, others: &[&str], time: Time) -> String {
    let others: Vec<_> =
        others.iter().filter(|label| measured.iter().any(|m| m.find(label).is_some())).collect();
    let mut head: Vec<String> = ["situation", "shape", ours].map(str::to_owned).into();
    head.extend(others.iter().map(|label| (**label).to_owned()));
    head.extend(others.iter().map(|label| format!("times {label}")));
    let rows: Vec<_> = measured
        .iter()
        .map(|m| {
            let cost = |label| match m.find(label) {
                Some(variant) => format!("{:.1}", m.cost(variant, time).value),
                None => NONE.to_owned(),
            };
            let ratio = |label| match ratio(m, ours, label, time) {
                Some(figure) => spread(figure, 2),
                None => NONE.to_owned(),
            };
            let mut row = vec![m.situation.name.clone(), m.situation.shape.clone(), cost(ours)];
            row.extend(others.iter().map(|label| cost(label)));
            row.extend(others.iter().map(|label| ratio(label)));
            row
        })
        .collect();
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

fn ratio(measured: &Measured, ours: &str, other: &str, time: Time) -> Option<Figure> {
    Some(measured.ratio(measured.find(ours)?, measured.find(other)?, time))
}

fn spread(Figure { value, from, to }: Figure, digits: usize) -> String {
    format!("{value:.digits$} ({from:.digits$} to {to:.digits$})")
}

fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let rows = rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    line(head) + &line(&vec!["---"; head.len()]) + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_written() {
        let text = format!("method\n{BEGIN}old\n{END}\nnotes\n");
        let wanted = format!("method\n{BEGIN}new\n{END}\nnotes\n");
        assert_eq!(replaced(&text, "new\n"), Some(wanted));
        assert_eq!(replaced("method\n", "new\n"), None);
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let rows = [vec!["1".to_owned(), "2".to_owned()]];
        assert_eq!(table(&["a", "b"], &rows), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }
}
