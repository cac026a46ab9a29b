//! Runs the cases (`tests/cases/*.yaml`) on the engines.
//!
//! `cargo test --test cases` runs all. Words after `--` choose: those that name engines
//! (`native`, `wasm`, `envoy`, `envoy-native`), and of the others one that the case or its file must contain:
//! `cargo test --test cases -- native wasm cookies`. The environment variable `ENGINES` names engines too.

// A test may panic.
#![allow(clippy::indexing_slicing)]

mod engines;

use cases::{Case, Engine};
use std::process::ExitCode;
use std::time::Instant;

/// At most this part of all cases may be left out by an engine.
const LEFT_OUT: f64 = 0.05;

fn main() -> ExitCode {
    let choice = Choice::read();
    let cases = match cases::load(cases::FOLDER) {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let chosen: Vec<_> = cases.iter().filter(|case| choice.wants(case)).collect();
    if choice.list {
        chosen.iter().for_each(|case| println!("{}: {}", case.file, case.name));
        return ExitCode::SUCCESS;
    }
    println!("{} cases in {}", chosen.len(), files(&chosen));
    let mut failed = 0;
    for engine in &choice.engines {
        failed += run(*engine, &chosen);
    }
    failed += check_left_out(&cases);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many failed.
fn run(engine: Engine, cases: &[&Case]) -> usize {
    let (left_out, run): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| case.left_out.contains_key(&engine));
    let began = Instant::now();
    let results = match engines::run(engine, &run) {
        Ok(results) => results,
        Err(error) => {
            println!("{}: cannot run: {error}", engine.name());
            return run.len().max(1);
        }
    };
    let mut failed = 0;
    for (case, wrong) in run.iter().zip(results) {
        if !wrong.is_empty() {
            failed += 1;
            println!("\n{}.yaml: {:?} on {}:", case.file, case.name, engine.name());
            wrong.iter().for_each(|line| println!("  {line}"));
        }
    }
    println!(
        "{:12} {} passed, {failed} failed, {} left out, {:.1} s",
        engine.name(),
        run.len() - failed,
        left_out.len(),
        began.elapsed().as_secs_f64()
    );
    for case in left_out {
        println!(
            "             left out: {}: {:?}: {}",
            case.file, case.name, case.left_out[&engine]
        );
    }
    failed
}

/// 1 if too many cases leave out an engine.
fn check_left_out(cases: &[Case]) -> usize {
    let left_out = cases.iter().filter(|case| !case.left_out.is_empty()).count();
    let too_many = left_out as f64 > cases.len() as f64 * LEFT_OUT;
    if too_many {
        println!("{left_out} of {} cases leave out an engine, which are too many", cases.len());
    }
    too_many.into()
}

fn files(cases: &[&Case]) -> String {
    let mut files: Vec<_> = cases.iter().map(|case| &case.file).collect();
    files.dedup();
    format!("{} files", files.len())
}

struct Choice {
    engines: Vec<Engine>,
    words: Vec<String>,
    list: bool,
}

impl Choice {
    fn read() -> Self {
        let named = |word: &str| Engine::ALL.into_iter().find(|engine| engine.name() == word);
        let variable = std::env::var("ENGINES").unwrap_or_default();
        let mut engines: Vec<_> = variable.split([',', ' ']).filter_map(named).collect();
        let mut words = Vec::new();
        let mut list = false;
        for word in std::env::args().skip(1) {
            match named(&word) {
                Some(engine) => engines.push(engine),
                None if word == "--list" => list = true,
                // What cargo passes on to the tests of every kind.
                None if word.starts_with('-') => {}
                None => words.push(word),
            }
        }
        if engines.is_empty() {
            engines = Engine::ALL.into();
        }
        Self { engines, words, list }
    }

    fn wants(&self, case: &Case) -> bool {
        self.words.is_empty()
            || self.words.iter().any(|w| case.file.contains(w) || case.name.contains(w))
    }
}
