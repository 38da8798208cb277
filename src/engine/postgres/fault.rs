//! What a fault of the database means: the row that is to blame, or the end of the work.
//!
//! Decides by SQLSTATE alone (PostgreSQL documentation, appendix A). Invariant: texts made here carry the database's
//! primary message only, never its detail, and no quoted value of a data exception.

use sqlx::postgres::PgDatabaseError;

use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Kind, Refusal, RefusalKind};
use crate::model::table::TableName;

/// What `err` means while `table` is written.
pub(super) fn writing(err: sqlx::Error, table: &TableName) -> Fault {
    match refusal(&err) {
        Some(refusal) => Fault::Row(refusal),
        None => Fault::Engine(fault(err, table)),
    }
}

/// What `err` means where no single row can be to blame.
#[expect(clippy::needless_pass_by_value, reason = "fits map_err")]
pub(super) fn fault(err: sqlx::Error, table: &TableName) -> EngineError {
    let Some(database) = database(&err) else {
        return EngineError::Lost(err.to_string());
    };
    kind(database.code()).at(table, words(database))
}

/// What it means when the server ends the reading of `table` with this code and primary message.
pub(super) fn refused(code: &str, message: &str, table: &TableName) -> EngineError {
    kind(code).at(table, describe(code, message, None))
}

/// What `err` means where no table is at hand.
pub(super) fn general(err: &sqlx::Error) -> EngineError {
    let Some(database) = database(err) else {
        return EngineError::Lost(err.to_string());
    };
    kind(database.code()).general(words(database))
}

/// What `err` means while connecting.
pub(super) fn unreachable(err: &sqlx::Error) -> EngineError {
    EngineError::Unreachable(database(err).map_or_else(|| err.to_string(), words))
}

/// Whether the table named in the statement does not exist.
pub(super) fn is_missing_table(err: &sqlx::Error) -> bool {
    database(err).is_some_and(|database| matches!(database.code(), "42P01" | "3F000"))
}

/// Whether a row cannot be deleted because others point to it.
pub(super) fn is_still_referenced(err: &sqlx::Error) -> bool {
    database(err).is_some_and(|database| matches!(database.code(), "23503" | "23001"))
}

fn kind(code: &str) -> Kind {
    match code {
        "53100" | "53400" => Kind::Full,
        "53300" | "57P03" => Kind::Unreachable,
        "42501" | "25006" => Kind::Denied,
        "55P03" => Kind::Locked,
        "42P01" | "42703" | "3F000" => Kind::Changed,
        _ => match code.get(..2) {
            Some("08" | "40" | "57" | "53" | "58") => Kind::Lost,
            Some("28" | "3D") => Kind::Unreachable,
            // Data exceptions, violated constraints, what triggers raise, and limits such as an index row's size.
            Some("22" | "23" | "44" | "27" | "09" | "P0" | "54") => Kind::Data,
            _ => match code {
                // Sessions that wait too long are ended with 25P03.
                "25P03" => Kind::Lost,
                _ => Kind::Other,
            },
        },
    }
}

fn refusal(err: &sqlx::Error) -> Option<Refusal> {
    let database = database(err)?;
    let context = ours_left_out(database.r#where().unwrap_or_default());
    let mut reason = words(database);
    // `raise` takes any code.
    let is_raised = database.routine() == Some("exec_stmt_raise");
    match kind(database.code()) {
        Kind::Data => {}
        // Not this program's statement, but one of a function that the row fires.
        Kind::Changed | Kind::Other if is_raised || is_within_function(context) => {
            reason.push_str(&place(context));
        }
        _ if is_raised => {}
        _ => return None,
    }
    Some(Refusal {
        column: database
            .column()
            .map(str::to_owned)
            .or_else(|| copy_column(context)),
        reason,
        kind: RefusalKind::of(may_fit_later(database.code())),
    })
}

/// What stands around a fault, without the values that a statement of this program was given, which come last.
fn ours_left_out(context: &str) -> &str {
    context.split("unnamed portal").next().unwrap_or_default()
}

/// Statements of this program stand in no context but that of a COPY.
fn is_within_function(context: &str) -> bool {
    context.lines().any(|line| !line.starts_with("COPY "))
}

/// The function that failed, as far as that is told without a statement of it, which may hold values.
fn place(context: &str) -> String {
    let mut lines = context.lines();
    let line = lines.find(|line| line.starts_with("PL/pgSQL "));
    line.map(|line| format!(" ({line})")).unwrap_or_default()
}

/// All but values that fit no column, what a constraint says of a row alone, and functions that cannot run.
fn may_fit_later(code: &str) -> bool {
    !(code.starts_with("22") || code.starts_with("42") || matches!(code, "23502" | "23514"))
}

fn database(err: &sqlx::Error) -> Option<&PgDatabaseError> {
    err.as_database_error()?.try_downcast_ref()
}

fn words(database: &PgDatabaseError) -> String {
    describe(database.code(), database.message(), database.constraint())
}

/// The primary message; values that data exceptions quote are left out, a constraint's name is added where missing.
fn describe(code: &str, message: &str, constraint: Option<&str>) -> String {
    let mut text = if code.starts_with("22") {
        without_quoted(message)
    } else {
        message.to_owned()
    };
    if let Some(constraint) = constraint.filter(|constraint| !message.contains(constraint)) {
        text.push_str(" (constraint ");
        text.push_str(constraint);
        text.push(')');
    }
    text
}

fn without_quoted(message: &str) -> String {
    let Some((before, rest)) = message.split_once('"') else {
        return message.to_owned();
    };
    // A value may contain quotes itself: everything up to the last one goes.
    let after = rest.rsplit_once('"').map_or("", |(_, after)| after);
    format!("{}{after}", before.trim_end().trim_end_matches(':'))
}

/// `COPY stage, line 3, column total: ...` names the column.
fn copy_column(context: &str) -> Option<String> {
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    let (_, column) = line.split_once(", column ")?;
    Some(
        column
            .split_once(": ")
            .map_or(column, |(name, _)| name)
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Kind, copy_column, describe, is_within_function, kind, ours_left_out, place};

    #[test]
    fn a_reason_names_the_constraint_but_no_value() {
        for (code, message, constraint, told) in [
            (
                "22P02",
                "invalid input value for enum mood: \"sad\"",
                None,
                "invalid input value for enum mood",
            ),
            (
                "22003",
                "value \"9\" is out of range for type smallint",
                None,
                "value is out of range for type smallint",
            ),
            (
                "22P02",
                "invalid input syntax for type inet: \"a\"b\"",
                None,
                "invalid input syntax for type inet",
            ),
            (
                "22001",
                "value too long for type character varying(3)",
                None,
                "value too long for type character varying(3)",
            ),
            (
                "23505",
                "duplicate key value violates unique constraint \"u\"",
                Some("u"),
                "duplicate key value violates unique constraint \"u\"",
            ),
            (
                "23514",
                "new row breaks a rule",
                Some("positive"),
                "new row breaks a rule (constraint positive)",
            ),
        ] {
            assert_eq!(describe(code, message, constraint), told);
        }
    }

    #[test]
    fn the_column_is_read_from_the_context_of_copy() {
        assert_eq!(
            copy_column("COPY s, line 3, column total").as_deref(),
            Some("total")
        );
        assert_eq!(
            copy_column("COPY s, line 3, column a: \"x\"").as_deref(),
            Some("a")
        );
        assert_eq!(copy_column("PL/pgSQL function f() line 3"), None);
    }

    #[test]
    fn a_function_is_told_from_a_statement_of_ours_and_named_without_its_statements() {
        let trigger = "SQL statement \"insert into gone values ('secret')\"\nPL/pgSQL function note_it() line 2 at SQL statement";
        for (context, within, named) in [
            ("", false, ""),
            (
                "unnamed portal with parameters: $1 = '{\nPL/pgSQL secret}'",
                false,
                "",
            ),
            ("COPY t, line 3, column a: \"x\"", false, ""),
            (
                trigger,
                true,
                " (PL/pgSQL function note_it() line 2 at SQL statement)",
            ),
            ("SQL function \"f\" statement 1\nCOPY t, line 3", true, ""),
        ] {
            let context = ours_left_out(context);
            assert_eq!(is_within_function(context), within, "{context}");
            assert_eq!(place(context), named, "{context}");
        }
    }

    #[test]
    fn only_faults_of_data_are_blamed_on_rows() {
        for (code, expected) in [
            ("23505", Kind::Data),
            ("22001", Kind::Data),
            ("P0001", Kind::Data),
            ("54000", Kind::Data),
            ("53100", Kind::Full),
            ("42501", Kind::Denied),
            ("42703", Kind::Changed),
            ("55P03", Kind::Locked),
            ("40P01", Kind::Lost),
            ("57P01", Kind::Lost),
            ("08006", Kind::Lost),
            ("25P03", Kind::Lost),
            ("28P01", Kind::Unreachable),
            ("42846", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(kind(code), expected, "{code}");
        }
    }
}
