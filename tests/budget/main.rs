//! What a request costs, so that it cannot creep up: instructions and hostcalls of the compiled
//! module, and allocations of the core, on every path of `tests/cases/cost.yaml`. None of them
//! depends on the machine, nor on how busy it is.
//!
//! budget.yaml has the figures that are allowed. `make budget` measures them, shows them and
//! writes them there.

// A test may panic.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod core;
mod figures;
mod guest;

use cases::{Act, Bindings, Step};
use exchange::case;
use figures::{Budget, Differences, Figures};
use release_track::exchange::Request;
use std::io::Write;
use std::sync::LazyLock;
use std::{env, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/budget/budget.yaml");

const HEAD: &str =
    "# What a request may cost; `make budget` writes this file, tests/budget reads it.\n\n";

/// From one request to the next in milliseconds, so that what is remembered has to be renewed.
const BETWEEN: u64 = 10;

fn request(step: &Step) -> Request {
    Request { after_ms: BETWEEN, ..case::request(step, &Bindings::default()) }
}

static MEASURED: LazyLock<Budget> = LazyLock::new(|| {
    let module = exchange::module().unwrap();
    let cases = cases::load(cases::FOLDER).unwrap();
    let paths = cases.iter().filter(|case| case.file == "cost").map(|case| {
        let Act::Requests(steps) = &case.act else { panic!("{}: it has no requests", case.name) };
        let guest::Cost { instructions, calls } = guest::cost(&module, case, steps);
        let allocations = core::allocations(case, steps);
        (case.name.clone(), Figures { instructions, allocations, calls })
    });
    paths.collect()
});

fn path(name: &str) -> &'static Figures {
    MEASURED.get(name).unwrap_or_else(|| panic!("tests/cases/cost.yaml has no case {name:?}"))
}

/// Past the capture of a test's output.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

#[test]
fn no_path_costs_more_than_its_budget() {
    if env::var_os("UPDATE_BUDGET").is_some() {
        fs::write(FILE, format!("{HEAD}{}", serde_saphyr::to_string(&*MEASURED).unwrap())).unwrap();
        say(&figures::table(&MEASURED));
        return;
    }
    let text = fs::read_to_string(FILE).unwrap();
    let budget: Budget = serde_saphyr::from_str(&text).unwrap();
    let Differences { worse, better } = Differences::of(&budget, &MEASURED);
    if !better.is_empty() {
        let better = better.join("\n  ");
        say(&format!("better than the budget:\n  {better}\n`make budget` writes it down\n"));
    }
    assert!(
        worse.is_empty(),
        "over the budget:\n  {}\nFind out why. Where it is worth it, `make budget` writes the new \
         figures into tests/budget/budget.yaml, to be committed with what they are for.",
        worse.join("\n  ")
    );
}

#[test]
fn baseline_costs_one_hostcall_and_one_more_to_count_it_or_for_a_trace_id_or_a_caller() {
    assert_eq!(path("edge baseline").all_calls(), 2);
    for place in ["inbound", "outbound"] {
        assert_eq!(path(&format!("{place} baseline")).all_calls(), 1, "{place}");
        assert_eq!(path(&format!("{place} baseline, with a trace id")).all_calls(), 2, "{place}");
    }
    assert_eq!(path("waypoint baseline").all_calls(), 1);
    assert_eq!(path("waypoint baseline, where pods are of a track").all_calls(), 2);
}

#[test]
fn baseline_allocates_nothing() {
    for (name, figures) in &*MEASURED {
        assert!(!name.contains("baseline") || figures.allocations == 0, "{name}: {figures:?}");
    }
}

#[test]
fn neither_lists_nor_rules_nor_tracks_show_in_the_cost_of_a_request() {
    for (name, like, percent) in [
        ("edge baseline, list of 10,000 accounts", "edge baseline", 110),
        ("edge tester, list of 10,000 accounts", "edge tester", 110),
        ("edge baseline, 64 tracks", "edge baseline", 120),
        ("edge baseline, 1,000 rules and 64 tracks", "edge baseline", 120),
    ] {
        let (many, one) = (path(name).instructions, path(like).instructions);
        assert!(many * 100 <= one * percent, "{name}: {many} instructions, {like}: {one}");
    }
}
