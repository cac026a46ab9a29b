//! The WasmPlugin that the tracks make.

use super::plan::{Plan, Track};
use super::routes::{Service, SetUp};
use crate::emit::{flow, text};
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the tracks decide already.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Carried,
    Decided,
}

/// A plugin of its own, as `wasmplugin/wasmplugin.yaml` has it.
pub(super) fn written(plan: &Plan<'_>, set_up: &SetUp<'_>, image: &str, stage: Stage) -> String {
    let url = text(&format!("oci://{image}"));
    let url = url.trim_matches('\'');
    let mut yaml = format!(
        "apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata:
  name: release-track
  namespace: istio-system
spec:
  url: {url}
  # Before everything that could read a header which a client forged.
  phase: AUTHN
  priority: 1000
  failStrategy: FAIL_RELOAD
  pluginConfig:
"
    );
    if set_up.version_label != "version" {
        yaml += &format!("    labels: {{version: {}}}\n", text(&set_up.version_label));
    }
    yaml += "    tracks:\n";
    yaml += &tracks(plan, set_up, stage, 4);
    yaml
}

/// The new tracks as items of a list.
pub(super) fn tracks(plan: &Plan<'_>, set_up: &SetUp<'_>, stage: Stage, column: usize) -> String {
    let white = " ".repeat(column);
    let ambiguous = ambiguous(plan, set_up);
    let mut yaml = String::new();
    for track in plan.tracks.iter().filter(|track| !track.is_given) {
        yaml += &format!("{white}- name: {}\n", text(&track.name));
        if stage == Stage::Decided && !track.rules.is_empty() {
            yaml += &format!("{white}  match:\n");
            for rule in &track.rules {
                let fields = rule.rule.as_object().into_iter().flatten();
                for (number, (name, value)) in fields.enumerate() {
                    let start = if number == 0 { "- " } else { "  " };
                    yaml += &format!("{white}  {start}{name}: {}\n", flow(value));
                }
            }
        }
        if let (Stage::Decided, Some(percent)) = (stage, track.share) {
            yaml += &format!("{white}  share: {{percent: {percent}}}\n");
        }
        yaml += &format!("{white}  workloads: {}\n", flow(&workloads(track, set_up, &ambiguous)));
    }
    yaml
}

/// Apps of the same name in several namespaces.
fn ambiguous(plan: &Plan<'_>, set_up: &SetUp<'_>) -> BTreeSet<String> {
    let mut namespaces: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    let routed = set_up.services.iter().flat_map(|service| &service.items);
    let routed = routed.flat_map(|item| &item.destinations).map(|one| &one.service);
    let listed = plan.tracks.iter().flat_map(|track| &track.workloads).map(|(known, _)| known);
    for service in routed.chain(listed).filter(|service| !service.namespace.is_empty()) {
        namespaces.entry(set_up.app(service)).or_default().insert(&service.namespace);
    }
    let several = namespaces.into_iter().filter(|(_, namespaces)| namespaces.len() > 1);
    several.map(|(app, _)| app).collect()
}

pub(super) fn workload(
    service: &Service,
    set_up: &SetUp<'_>,
    ambiguous: &BTreeSet<String>,
) -> String {
    let app = set_up.app(service);
    let is_whole = ambiguous.contains(&app) && !service.namespace.is_empty();
    if is_whole { format!("{}/{app}", service.namespace) } else { app }
}

fn workloads(track: &Track, set_up: &SetUp<'_>, ambiguous: &BTreeSet<String>) -> Json {
    let named = track.workloads.iter().filter(|(_, label)| !label.is_empty());
    let named = named.map(|(service, label)| (workload(service, set_up, ambiguous), json!(label)));
    Json::Object(named.collect::<Map<_, _>>())
}
