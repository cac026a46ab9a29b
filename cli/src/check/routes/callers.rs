use super::View;
use super::ways::Way;
use crate::report::Diagnostic;
use crate::routing::Table;

pub(super) fn check<'a>(
    _view: &View<'_, 'a>,
    _table: &Table<'a>,
    _ways: &[Way<'_, 'a>],
) -> Vec<Diagnostic<'a>> {
    Vec::new()
}
