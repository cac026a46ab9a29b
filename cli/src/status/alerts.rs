//! What the alert rules say of our counters: the one place that knows what is wrong, and what to do.

use super::finding::Severity;
use crate::input::yaml;
use regex::Regex;
use release_track::vocabulary::Family;
use std::sync::LazyLock;

/// `increase(release_track_FAMILY{LABEL="VALUE"}[5m]) > MORE_THAN`
pub(super) struct Alert {
    pub(super) family: Family,
    pub(super) value: String,
    pub(super) more_than: u64,
    pub(super) severity: Severity,
    pub(super) summary: String,
    pub(super) action: String,
}

impl Alert {
    /// What a finding by it is called: `guard-stopped`.
    pub(super) fn code(&self) -> String {
        self.value.replace('_', "-")
    }

    /// The alert about a word of a family.
    pub(super) fn about(family: Family, value: &str) -> Option<&'static Self> {
        ALERTS.iter().find(|alert| alert.family == family && alert.value == value)
    }
}

pub(super) static ALERTS: LazyLock<Vec<Alert>> = LazyLock::new(|| {
    let rules = include_str!("../../../wasmplugin/monitoring/alerts.yaml");
    let [rules] = &yaml::documents(rules).expect("alerts.yaml is YAML")[..] else {
        panic!("alerts.yaml is one document");
    };
    let groups = rules.at(&["groups"]).into_iter().flat_map(yaml::Node::items);
    let rules = groups.filter_map(|group| group.get("rules")).flat_map(yaml::Node::items);
    rules.filter_map(alert).collect()
});

/// `None`: it is about something else than our counters.
fn alert(rule: &yaml::Node) -> Option<Alert> {
    static EXPRESSION: LazyLock<Regex> = LazyLock::new(|| {
        let expression = r#"^increase\(release_track_(\w+)\{\w+="(\w+)"\}\[\w+\]\) > (\d+)$"#;
        Regex::new(expression).expect("it compiles")
    });
    let text = |way: &[&str]| rule.at(way).and_then(yaml::Node::text);
    let found = EXPRESSION.captures(text(&["expr"])?)?;
    let said = |name| Some(text(&["annotations", name])?.trim().to_owned());
    Some(Alert {
        family: Family::of_label(&found[1])?,
        value: found[2].to_owned(),
        more_than: found[3].parse().ok()?,
        severity: match text(&["labels", "severity"])? {
            "critical" => Severity::Critical,
            "warning" => Severity::Warning,
            _ => Severity::Info,
        },
        summary: said("summary")?,
        action: said("action")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Those about istiod and about the module have another form.
    #[test]
    fn the_rules_about_our_counters_are_read() {
        let rules = include_str!("../../../wasmplugin/monitoring/alerts.yaml");
        assert_eq!(ALERTS.len(), rules.matches("expr: increase(release_track_").count());
        let crossed = Alert::about(Family::Arrivals, "crossed").unwrap();
        assert_eq!((crossed.severity, crossed.more_than), (Severity::Critical, 0));
        assert!(!crossed.summary.is_empty() && !crossed.action.is_empty());
    }
}
