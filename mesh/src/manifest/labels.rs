//! Labels, and whom a selector means by them.

use std::collections::BTreeMap;

/// Label names and values, of a pod or of a selector.
pub type Labels = BTreeMap<String, String>;

/// Whether a pod with these labels is meant.
pub fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(k, v)| labels.get(k) == Some(v))
}
