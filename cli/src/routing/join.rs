//! Objects that a proxy sees as one table.

use super::Host;
use super::host::meet;
use super::table::{Action, Callers, Delegate, Match, Route, Table};
use std::collections::{BTreeSet, HashMap};

/// A delegate's match is joined with its root's; more pairs than this are left to the root alone.
const MOST_MATCHES: usize = 4096;

/// Delegates go into their roots. At a gateway, those of the same host are one table, with the
/// routes for every request last (Istio: `SortVHostRoutes`); in the mesh each stands by itself.
pub(super) fn virtual_services(tables: Vec<Table<'_>>) -> Vec<Table<'_>> {
    let mut delegates: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, table) in tables.iter().enumerate() {
        if table.hosts.is_empty() {
            delegates.entry(table.object.name).or_default().push(index);
        }
    }
    let find = |delegate: &Delegate<'_>| {
        let named = delegates.get(delegate.name)?;
        named.iter().copied().find(|index| {
            tables.get(*index).is_some_and(|t| meet(t.object.namespace, delegate.namespace))
        })
    };
    let mut is_used = vec![false; tables.len()];
    let mut whole = Vec::new();
    for table in &tables {
        let mut routes = Vec::new();
        for route in &table.routes {
            let index = match &route.action {
                Action::Delegate(delegate) => find(delegate),
                _ => None,
            };
            match index.and_then(|index| Some((index, tables.get(index)?))) {
                // A delegate's own delegates are not followed: Istio takes one level.
                Some((index, delegate)) if !table.hosts.is_empty() => {
                    is_used[index] = true;
                    routes.extend(delegate.routes.iter().map(|inner| within(route, inner)));
                }
                _ => routes.push(route.clone()),
            }
        }
        whole.push(Table { routes, ..table.clone() });
    }
    let rest = whole.into_iter().zip(is_used).filter(|(_, is_used)| !is_used);
    join(rest.map(|(table, _)| table), |table| !table.callers.mesh && !table.hosts.is_empty())
}

fn within<'a>(root: &Route<'a>, inner: &Route<'a>) -> Route<'a> {
    let mut matches = Vec::new();
    if root.matches.len().saturating_mul(inner.matches.len()) > MOST_MATCHES {
        matches.clone_from(&root.matches);
    } else {
        for one in &root.matches {
            for other in &inner.matches {
                let mut conditions = one.conditions.clone();
                conditions.extend(other.conditions.iter().cloned());
                matches.push(Match { conditions });
            }
        }
    }
    let mut edits = root.edits.clone();
    edits.extend(inner.edits.iter().cloned());
    Route { matches, edits, ..inner.clone() }
}

/// Routes with the same parent and host are one table.
pub(super) fn http_routes(objects: Vec<Vec<Table<'_>>>) -> Vec<Table<'_>> {
    join(objects.into_iter().flatten(), |table| table.callers != Callers::default())
}

/// Two forms of one object, which lie in different folders, do not meet.
fn join<'a>(
    tables: impl Iterator<Item = Table<'a>>,
    joins: impl Fn(&Table<'a>) -> bool,
) -> Vec<Table<'a>> {
    type Way<'a> = (Callers<'a>, Vec<Host<'a>>, usize);
    let mut places: HashMap<Way<'a>, usize> = HashMap::new();
    let mut seen = HashMap::new();
    let mut merged = BTreeSet::new();
    let mut joined: Vec<Table<'a>> = Vec::new();
    for table in tables {
        if !joins(&table) {
            joined.push(table);
            continue;
        }
        let mut hosts = table.hosts.clone();
        hosts.sort_unstable();
        let object = (table.object.kind, table.object.namespace, table.object.name);
        let form = seen.entry((object, table.callers.clone(), hosts.clone())).or_insert(0);
        let way = (table.callers.clone(), hosts, *form);
        *form += 1;
        match places.get(&way).and_then(|place| Some((*place, joined.get_mut(*place)?))) {
            Some((place, first)) => {
                first.routes.extend(table.routes);
                merged.insert(place);
            }
            None => {
                places.insert(way, joined.len());
                joined.push(table);
            }
        }
    }
    for place in merged {
        if let Some(table) = joined.get_mut(place).filter(|table| table.ordered) {
            table.routes.sort_by_key(Route::takes_all);
        }
    }
    joined
}
