//! Which functions can still run.
//!
//! A function in a table runs only through a `call_indirect` of exactly its type (WebAssembly
//! Core 2.0, section 4.4.8: any other traps). A type that no running function calls keeps no
//! function alive: that is what frees most of the SDK's default methods, which every table of
//! virtual methods refers to.

use crate::survey::Survey;
use std::collections::HashSet;
use wasmparser::ExternalKind;

/// By function: whether it can run when these exports are all that a host can call.
pub(crate) fn functions(survey: &Survey, keep: &[String]) -> Vec<bool> {
    let mut runs = vec![false; survey.types.len()];
    let mut called_types = HashSet::new();
    let mut to_visit = survey.roots.clone();
    for (kind, index) in keep.iter().filter_map(|name| survey.exports.get(name)) {
        match kind {
            ExternalKind::Func => to_visit.push(*index),
            ExternalKind::Table => to_visit.extend(&survey.in_tables),
            _ => {}
        }
    }
    if survey.has_imported_table {
        to_visit.extend(&survey.in_tables);
    }
    while let Some(function) = to_visit.pop() {
        let function = function as usize;
        if std::mem::replace(&mut runs[function], true) || function < survey.imported {
            continue;
        }
        let calls = &survey.bodies[function - survey.imported];
        to_visit.extend(&calls.functions);
        for ty in &calls.types {
            if called_types.insert(*ty) {
                let of_type = |f: &&u32| survey.types[**f as usize] == *ty;
                to_visit.extend(survey.in_tables.iter().filter(of_type));
            }
        }
    }
    runs
}
