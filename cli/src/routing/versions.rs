//! Which pods a destination leads to: by the subsets of DestinationRules, the selectors of Services,
//! and the labels of the workloads among the files.

use super::host::meet;
use super::{Destination, Host};
use crate::input::manifest::Object;
use crate::input::yaml::Node;
use std::collections::{BTreeMap, HashMap};

/// Labels by name, as pods have them.
pub(crate) type Labels<'a> = BTreeMap<&'a str, &'a str>;

#[derive(Default)]
pub(crate) struct Versions<'a> {
    /// By the host's name. An object may lie there in several forms.
    rules: HashMap<&'a str, Vec<Rule<'a>>>,
    services: HashMap<&'a str, Vec<Service<'a>>>,
    /// Services, with the namespace, that Argo Rollouts narrows to the pods of one version.
    narrowed: Vec<(Option<&'a str>, &'a str)>,
    /// Of pod templates, with the namespace.
    pub(crate) pods: Vec<(Option<&'a str>, Labels<'a>)>,
}

/// Where a Rollout names the Services that it narrows.
const NARROWED: [(&str, &str); 4] = [
    ("blueGreen", "activeService"),
    ("blueGreen", "previewService"),
    ("canary", "stableService"),
    ("canary", "canaryService"),
];

struct Rule<'a> {
    host: Host<'a>,
    subsets: Vec<Defined<'a>>,
}

struct Defined<'a> {
    name: &'a str,
    labels: Labels<'a>,
    /// `version=v2`: Envoy leads to other pods where none that has this label is healthy.
    preferred: Option<&'a str>,
}

struct Service<'a> {
    namespace: Option<&'a str>,
    selector: Labels<'a>,
}

/// What the files say of a subset.
pub(crate) enum Subset<'b, 'a> {
    /// In each form of its DestinationRule that has it.
    Labels(Vec<&'b Labels<'a>>),
    /// The host's rules have others.
    Missing(Vec<&'a str>),
    /// There is no DestinationRule for the host.
    Unknown,
}

impl<'a> Versions<'a> {
    pub(super) fn add(&mut self, object: &Object<'a>) {
        match (object.group, object.kind) {
            ("networking.istio.io", "DestinationRule") => {
                let Some(host) = object.text(&["spec", "host"]) else { return };
                let host = Host::of(host, object.namespace);
                let policy = object.node.at(&["spec", "trafficPolicy"]);
                let subsets = object.list(&["spec", "subsets"]).filter_map(|subset| {
                    let name = subset.get("name")?.text()?;
                    let labels = labels(subset.get("labels"));
                    let preferred = preferred(subset.get("trafficPolicy"), policy);
                    Some(Defined { name, labels, preferred })
                });
                let rule = Rule { host, subsets: subsets.collect() };
                self.rules.entry(host.name()).or_default().push(rule);
            }
            ("", "Service") => {
                let selector = labels(object.node.at(&["spec", "selector"]));
                if !selector.is_empty() {
                    let service = Service { namespace: object.namespace, selector };
                    self.services.entry(object.name).or_default().push(service);
                }
            }
            _ => {
                let template = ["spec", "template", "metadata", "labels"];
                let labels = match object.kind {
                    "Pod" => labels(object.node.at(&["metadata", "labels"])),
                    _ => labels(object.node.at(&template)),
                };
                if !labels.is_empty() {
                    self.pods.push((object.namespace, labels));
                }
                if (object.group, object.kind) == ("argoproj.io", "Rollout") {
                    let services = NARROWED.iter().filter_map(|(strategy, service)| {
                        object.text(&["spec", "strategy", strategy, service])
                    });
                    self.narrowed.extend(services.map(|service| (object.namespace, service)));
                }
            }
        }
    }

    /// Whether the files have any DestinationRule.
    pub(crate) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    pub(crate) fn subset(&self, host: Host<'_>, name: &str) -> Subset<'_, 'a> {
        let rules = self.rules.get(host.name()).into_iter().flatten();
        let rules: Vec<_> = rules.filter(|rule| rule.host.meets(host)).collect();
        if rules.is_empty() {
            return Subset::Unknown;
        }
        let subsets = rules.iter().flat_map(|rule| &rule.subsets);
        let same = subsets.clone().filter(|subset| subset.name == name);
        let same: Vec<_> = same.map(|subset| &subset.labels).collect();
        match same.is_empty() {
            true => Subset::Missing(subsets.map(|subset| subset.name).collect()),
            false => Subset::Labels(same),
        }
    }

    /// Whether a destination has other pods than those with this label only for when none of these
    /// is healthy.
    pub(crate) fn prefers(&self, to: &Destination<'_>, label: &str) -> bool {
        let rules = self.rules.get(to.host.name()).into_iter().flatten();
        let rules = rules.filter(|rule| rule.host.meets(to.host));
        let mut subsets = rules.flat_map(|rule| &rule.subsets);
        let name = to.subset.as_ref().map(|(name, _)| *name);
        subsets.any(|subset| Some(subset.name) == name && subset.preferred == Some(label))
    }

    /// The selectors of a Service, in each form that lies there.
    pub(crate) fn selectors(&self, host: Host<'_>) -> impl Iterator<Item = &Labels<'a>> {
        let (name, namespace) = match host {
            Host::Service { name, namespace } => (name, namespace),
            Host::Other(_) => ("", None),
        };
        let services = self.services.get(name).into_iter().flatten();
        let services = services.filter(move |service| meet(service.namespace, namespace));
        services.map(|service| &service.selector)
    }

    fn is_narrowed(&self, host: Host<'_>) -> bool {
        let Host::Service { name, namespace } = host else { return false };
        self.narrowed.iter().any(|(within, service)| *service == name && meet(*within, namespace))
    }

    /// What the pods of a destination have in common, in each form that lies there; none at all
    /// where the files do not say.
    pub(crate) fn labels(&self, destination: &Destination<'_>) -> Vec<Labels<'a>> {
        let selectors: Vec<_> = self.selectors(destination.host).collect();
        let subsets = match &destination.subset {
            Some((name, _)) => match self.subset(destination.host, name) {
                Subset::Labels(labels) => labels,
                Subset::Missing(_) | Subset::Unknown => return Vec::new(),
            },
            None if self.is_narrowed(destination.host) => return Vec::new(),
            None => Vec::new(),
        };
        let with = |subset: &Labels<'a>| -> Vec<Labels<'a>> {
            let both = selectors.iter().map(|selector| {
                let mut labels = (*selector).clone();
                labels.extend(subset);
                labels
            });
            both.collect()
        };
        match (subsets.is_empty(), selectors.is_empty()) {
            (true, _) => selectors.into_iter().cloned().collect(),
            (false, true) => subsets.into_iter().cloned().collect(),
            (false, false) => subsets.into_iter().flat_map(with).collect(),
        }
    }
}

/// The first label of `failoverPriority`, which Istio heeds beside `outlierDetection` only. A
/// subset's policy goes before its DestinationRule's, field by field.
fn preferred<'a>(subset: Option<&'a Node>, all: Option<&'a Node>) -> Option<&'a str> {
    let field = |name| [subset, all].into_iter().flatten().find_map(|policy| policy.get(name));
    field("outlierDetection")?;
    let labels = field("loadBalancer")?.at(&["localityLbSetting", "failoverPriority"])?;
    labels.items().first()?.text()
}

fn labels(node: Option<&Node>) -> Labels<'_> {
    let members = node.into_iter().flat_map(Node::members);
    members.filter_map(|label| Some((&*label.name, label.node.text()?))).collect()
}
