//! What `doctor` tells about tables, whatever the engine. Pure.

use crate::model::finding::Finding;
use crate::model::table::Table;

/// So many tables are named in one finding.
const NAMED: usize = 10;

/// Tables without a usable key, with triggers, or that take no rows.
pub(super) fn about_tables(tables: &[Table]) -> Vec<Finding> {
    let named = |keep: fn(&Table) -> bool| {
        tables
            .iter()
            .filter(|table| keep(table))
            .map(|table| table.name.to_string())
            .collect::<Vec<_>>()
    };
    let mut findings = Vec::new();
    let keyless = named(|table| table.usable_keys().next().is_none());
    if !keyless.is_empty() {
        findings.push(Finding::bad(
            format!("no usable key: {}", some_of(&keyless)),
            "add a primary key, or an immediate unique index on columns that are not null",
        ));
    }
    for table in tables {
        if !table.triggers.is_empty() {
            let names = table.triggers.join(", ");
            findings.push(Finding::good(format!(
                "table {} has triggers that fire when rows arrive: {names}",
                table.name
            )));
        }
        if let Some(reason) = &table.not_writable {
            findings.push(Finding::bad(
                format!("table {} cannot receive rows: {reason}", table.name),
                "leave it out as a destination",
            ));
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
    use super::some_of;

    #[test]
    fn a_long_list_of_tables_is_shortened() {
        let names: Vec<String> = (0..12).map(|number| format!("t{number}")).collect();
        assert_eq!(some_of(&names[..2]), "t0, t1");
        assert!(some_of(&names).ends_with("t9 and 2 more"));
    }
}
