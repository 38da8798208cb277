//! What `doctor` tells about tables, whatever the engine. Pure.

use crate::model::finding::{Finding, TablesInUse};
use crate::model::table::{Engine, Table, TableName};

/// So many tables are named in one finding.
const NAMED: usize = 10;

/// Tables that this site's account may not read or not write, of `tables` in all.
pub(super) fn about_rights(
    tables: usize,
    unreadable: &[TableName],
    unwritable: &[TableName],
    used: &TablesInUse,
) -> Vec<Finding> {
    let (missed, closed) = split(unreadable, |table| used.includes(table));
    let mut findings = Vec::new();
    if !missed.is_empty() {
        findings.push(Finding::bad(
            format!("no right to read {}", some_of(&missed)),
            "grant select on them, or leave them out",
        ));
    }
    findings.push(Finding::good(match closed.as_slice() {
        [] if missed.is_empty() => format!("{tables} tables, all readable"),
        [] => format!("{tables} tables"),
        closed => format!("{tables} tables, no right to read {}", some_of(closed)),
    }));
    let (missed, closed) = split(unwritable, |table| used.received.contains(table));
    if !missed.is_empty() {
        findings.push(Finding::bad(
            format!("no right to write {}, which receive rows", some_of(&missed)),
            "grant insert and update on them",
        ));
    }
    if !closed.is_empty() {
        findings.push(Finding::good(format!(
            "no right to write {}, which receive no rows",
            some_of(&closed)
        )));
    }
    findings
}

/// The names for which `needed` holds, and the others.
fn split(names: &[TableName], needed: impl Fn(&TableName) -> bool) -> (Vec<String>, Vec<String>) {
    let (missed, closed): (Vec<&TableName>, Vec<&TableName>) =
        names.iter().partition(|name| needed(name));
    let shown = |names: Vec<&TableName>| names.iter().map(ToString::to_string).collect();
    (shown(missed), shown(closed))
}

/// Tables without a usable key. Where rows have none, a mirror counts equal ones; MariaDB and MySQL cannot write them so.
pub(super) fn about_keyless(tables: &[Table], used: &TablesInUse, engine: Engine) -> Vec<Finding> {
    let is_keyless = |table: &&Table| table.usable_keys().next().is_none();
    let keyless = tables.iter().filter(is_keyless);
    let keyless: Vec<TableName> = keyless.map(|table| table.name.clone()).collect();
    let (used_ones, idle) = keyless
        .into_iter()
        .partition::<Vec<_>, _>(|table| used.includes(table));
    let is_refused = |table: &TableName| engine == Engine::Mysql && used.received.contains(table);
    let (refused, mirrored) = split(&used_ones, is_refused);
    let (idle, _) = split(&idle, |_| true);
    let mut findings = Vec::new();
    if !refused.is_empty() {
        findings.push(Finding::bad(
            format!("no usable key: {}", some_of(&refused)),
            "add a primary key, or an immediate unique index on columns that are not null",
        ));
    }
    for (names, what) in [
        (
            mirrored,
            "only a mirror keeps such tables, on PostgreSQL or SQLite",
        ),
        (idle, "neither given nor received"),
    ] {
        if !names.is_empty() {
            let names = some_of(&names);
            findings.push(Finding::good(format!("no usable key: {names}; {what}")));
        }
    }
    findings
}

/// Tables with triggers, or that take no rows, and those without a usable key.
pub(super) fn about_tables(tables: &[Table], used: &TablesInUse, engine: Engine) -> Vec<Finding> {
    let mut findings = about_keyless(tables, used, engine);
    for table in tables {
        if !table.triggers.is_empty() {
            let names = table.triggers.join(", ");
            findings.push(Finding::good(format!(
                "table {} has triggers that fire when rows arrive: {names}",
                table.name
            )));
        }
        if let Some(reason) = &table.not_writable {
            let what = format!("table {} cannot receive rows: {reason}", table.name);
            findings.push(if used.received.contains(&table.name) {
                Finding::bad(what, "leave it out as a destination")
            } else {
                Finding::good(what)
            });
        }
    }
    findings
}

/// The first of `names`, and how many more there are.
pub(super) fn some_of(names: &[String]) -> String {
    let shown = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::{TableName, TablesInUse, about_rights, some_of};

    #[test]
    fn only_a_right_that_somebody_needs_is_missed() {
        let names = |names: &[&str]| names.iter().copied().map(TableName::bare).collect();
        let closed: Vec<TableName> = names(&["a", "b"]);
        let bad = |unreadable: &[TableName], unwritable: &[TableName], used: &TablesInUse| {
            about_rights(3, unreadable, unwritable, used)
                .into_iter()
                .filter(|finding| !finding.ok)
                .map(|finding| finding.what)
                .collect::<Vec<_>>()
        };
        let idle = TablesInUse::default();
        assert_eq!(bad(&closed, &closed, &idle), [""; 0]);
        let gives = TablesInUse {
            given: names(&["a"]).into_iter().collect(),
            ..idle.clone()
        };
        assert_eq!(bad(&closed, &closed, &gives), ["no right to read a"]);
        let takes = TablesInUse {
            received: names(&["b"]).into_iter().collect(),
            ..idle
        };
        assert_eq!(
            bad(&[], &closed, &takes),
            ["no right to write b, which receive rows"]
        );
    }

    #[test]
    fn a_long_list_of_tables_is_shortened() {
        let names: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
        assert_eq!(some_of(&names[..2]), "t0, t1");
        assert!(some_of(&names).ends_with("t9 and 2 more"));
    }
}
