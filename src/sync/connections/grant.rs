//! Whether a grant an administrator wrote can be kept: it names what exists, and each of its rules can be carried out.

use crate::model::grant::{
    ColumnPolicies, ColumnPolicy, Grant, GrantedTables, MAX_PSEUDONYM_BYTES, Withheld,
};
use crate::model::table::{Table, TableName};
use crate::sync::{Ctx, SyncError};
use crate::wire::scope::Scope;

/// A grant that names something, and only what exists here.
///
/// # Errors
/// [`SyncError::Invalid`] for the field at fault; [`SyncError::Engine`] when the site database cannot be asked.
pub(super) async fn checked_grant(ctx: &Ctx, grant: Grant) -> Result<Grant, SyncError> {
    if grant.is_empty() {
        let words = "a grant without tables gives nothing; name tables, or \"*\" for all";
        return Err(invalid("grant.tables", words.to_owned()));
    }
    check_limits(&grant)?;
    let names_nothing = matches!(grant.tables, GrantedTables::All(_))
        && grant.excluded_tables.is_empty()
        && grant.columns.is_empty()
        && grant.row_filter.is_empty();
    if !names_nothing {
        let tables = ctx.driver.tables().await?;
        check_names(&grant, &tables, &ctx.config.grants.withheld)?;
    }
    Ok(grant)
}

fn invalid(field: &'static str, message: String) -> SyncError {
    SyncError::Invalid { field, message }
}

fn check_limits(grant: &Grant) -> Result<(), SyncError> {
    let limits = &grant.limits;
    let at_least_one = [
        (
            "grant.limits.requests_per_minute",
            limits.requests_per_minute.map(u64::from),
        ),
        (
            "grant.limits.max_records_per_request",
            limits.max_records_per_request.map(u64::from),
        ),
        ("grant.limits.rows_per_day", limits.rows_per_day),
        ("grant.limits.bytes_per_day", limits.bytes_per_day),
    ];
    for (field, number) in at_least_one {
        if number == Some(0) {
            let words = "it must be at least 1; null is no limit, and a connection is halted with `evenkeel connections suspend`";
            return Err(invalid(field, words.to_owned()));
        }
        // The state keeps no larger number.
        if number.is_some_and(|number| i64::try_from(number).is_err()) {
            return Err(invalid(field, "it must be below 2^63".to_owned()));
        }
    }
    if limits.networks.as_ref().is_some_and(Vec::is_empty) {
        let words = "an empty list would let nobody in; null lets requests come from everywhere";
        return Err(invalid("grant.limits.networks", words.to_owned()));
    }
    Ok(())
}

fn check_names(grant: &Grant, tables: &[Table], withheld: &Withheld) -> Result<(), SyncError> {
    let find = |name: &TableName| tables.iter().find(|table| table.name == *name);
    let all_known = |field, names: &[TableName]| {
        let unknown: Vec<String> = names
            .iter()
            .filter(|name| find(name).is_none())
            .map(ToString::to_string)
            .collect();
        match unknown.is_empty() {
            true => Ok(()),
            false => Err(invalid(field, unknown_tables(&unknown))),
        }
    };
    if let GrantedTables::Named(names) = &grant.tables {
        all_known("grant.tables", names)?;
    }
    all_known("grant.excluded_tables", &grant.excluded_tables)?;
    let given = |field, name: &TableName| {
        let table =
            find(name).ok_or_else(|| invalid(field, unknown_tables(&[name.to_string()])))?;
        if grant.allows(name, withheld) {
            return Ok(table);
        }
        let words =
            format!("the grant does not give {name}; add it to the tables, or leave it out here");
        Err(invalid(field, words))
    };
    for (name, policies) in &grant.columns {
        check_columns(given("grant.columns", name)?, policies)?;
    }
    for (name, filter) in &grant.row_filter {
        let table = given("grant.row_filter", name)?;
        let kind = |column: &str| {
            let column = table.column(column).filter(|column| !column.generated);
            column.map(|column| column.kind)
        };
        Scope::new(filter, kind)
            .map_err(|err| invalid("grant.row_filter", format!("{name}: {err}")))?;
    }
    Ok(())
}

fn unknown_tables(names: &[String]) -> String {
    format!(
        "this site has no table {}; check the spelling, and that its schema is in site.schemas (empty: the default schema)",
        names.join(", ")
    )
}

fn check_columns(table: &Table, policies: &ColumnPolicies) -> Result<(), SyncError> {
    let name = &table.name;
    let fault = |words: String| invalid("grant.columns", words);
    for (column, policy) in &policies.0 {
        let known = table
            .column(column)
            .ok_or_else(|| fault(format!("{name} has no column {column}")))?;
        if known.generated && !matches!(policy, ColumnPolicy::Allow | ColumnPolicy::Drop) {
            let words = "is computed by the database and never sent; leave it out";
            return Err(fault(format!("{name}.{column} {words}")));
        }
        let ColumnPolicy::Pseudonym(pseudonym) = policy else {
            continue;
        };
        if !(1..=MAX_PSEUDONYM_BYTES).contains(&pseudonym.len())
            || pseudonym.contains(char::is_control)
        {
            let words =
                format!("a pseudonym's name has 1 to {MAX_PSEUDONYM_BYTES} bytes of plain text");
            return Err(fault(format!("{name}.{column}: {words}")));
        }
        if !ColumnPolicy::can_stand_for(known.kind) {
            let words = "a pseudonym stands for numbers without a fraction, decimals, text, bytes and uuids; give it, drop it or make it null";
            return Err(fault(format!("{name}.{column} is {}: {words}", known.kind)));
        }
    }
    let is_sent = |(column, policy): (&String, &ColumnPolicy)| {
        *policy != ColumnPolicy::Drop && table.column(column).is_some_and(|known| !known.generated)
    };
    match policies.0.iter().any(is_sent) {
        true => Ok(()),
        false => Err(fault(format!(
            "nothing would be left of {name}: columns that are not listed are not given; list those that are, or leave the table out of the grant"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_limits, check_names};
    use crate::model::fixture::{self, column, required};
    use crate::model::grant::{Grant, Withheld};
    use crate::model::table::NeutralType;
    use crate::sync::SyncError;

    #[test]
    fn a_grant_is_kept_only_when_each_of_its_rules_can_be_carried_out() {
        let mut twice = column("twice", NeutralType::Int8);
        twice.generated = true;
        let columns = vec![
            required("id", NeutralType::Int4),
            column("born", NeutralType::Date),
            twice,
        ];
        let tables = [
            fixture::table("people", columns, &["id"]),
            fixture::table("sessions", vec![column("id", NeutralType::Text)], &[]),
        ];
        let long = "x".repeat(64);
        for (grant, fault) in [
            (
                r#"{"tables":["people"],"columns":{"people":{"id":{"pseudonym":"p"},"born":"null","twice":"allow"}},
                "row_filter":{"people":{"column":"born","op":"<","value":"2000-01-01"}}}"#,
                None,
            ),
            (r#"{"tables":["sessions"]}"#, None),
            (
                r#"{"tables":["persons"]}"#,
                Some("grant.tables: this site has no table persons"),
            ),
            (
                r#"{"tables":"*","excluded_tables":["persons"]}"#,
                Some("grant.excluded_tables: this site has no"),
            ),
            (
                r#"{"tables":"*","columns":{"persons":{"id":"allow"}}}"#,
                Some("grant.columns: this site has no table"),
            ),
            (
                r#"{"tables":["people"],"columns":{"sessions":{"id":"allow"}}}"#,
                Some("grant.columns: the grant does not give sessions"),
            ),
            (
                r#"{"tables":"*","row_filter":{"sessions":{"column":"id","op":"=","value":"x"}}}"#,
                Some("grant.row_filter: the grant does not give sessions"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"name":"allow"}}}"#,
                Some("people has no column name"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"id":"drop"}}}"#,
                Some("nothing would be left of people"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"twice":"allow"}}}"#,
                Some("nothing would be left of people"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"twice":"null"}}}"#,
                Some("people.twice is computed"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"born":{"pseudonym":"b"}}}}"#,
                Some("people.born is date"),
            ),
            (
                r#"{"tables":"*","columns":{"people":{"id":{"pseudonym":""}}}}"#,
                Some("1 to 63 bytes"),
            ),
            (
                &format!(
                    r#"{{"tables":"*","columns":{{"people":{{"id":{{"pseudonym":"{long}"}}}}}}}}"#
                ),
                Some("1 to 63 bytes"),
            ),
            (
                r#"{"tables":"*","row_filter":{"people":{"column":"name","op":"=","value":"x"}}}"#,
                Some("grant.row_filter: people: column name"),
            ),
            (
                r#"{"tables":"*","row_filter":{"people":{"column":"id","op":"=","value":"x"}}}"#,
                Some("a whole number"),
            ),
            (
                r#"{"tables":"*","row_filter":{"people":{"column":"twice","op":"=","value":1}}}"#,
                Some("column twice"),
            ),
            (
                r#"{"tables":"*","limits":{"requests_per_minute":0}}"#,
                Some("grant.limits.requests_per_minute: it must be at least 1"),
            ),
            (
                r#"{"tables":"*","limits":{"bytes_per_day":9300000000000000000}}"#,
                Some("below 2^63"),
            ),
            (
                r#"{"tables":"*","limits":{"networks":[]}}"#,
                Some("grant.limits.networks: an empty list"),
            ),
        ] {
            let read: Grant = serde_json::from_str(grant).unwrap();
            let withheld = Withheld::new(&["sessions".to_owned()]);
            let checked = check_limits(&read).and_then(|()| check_names(&read, &tables, &withheld));
            let found = match checked {
                Err(SyncError::Invalid { field, message }) => Some(format!("{field}: {message}")),
                Ok(()) => None,
                Err(other) => panic!("{other}"),
            };
            match (found, fault) {
                (None, None) => {}
                (Some(found), Some(fault)) if found.contains(fault) => {}
                (found, _) => panic!("{grant}: {found:?}"),
            }
        }
    }
}
