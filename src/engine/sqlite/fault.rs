//! SQLite's result codes in this crate's words.
//!
//! Invariant: no message carries a value of a row or the text of a statement.

use rusqlite::{Error, ErrorCode, ffi};

use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Kind, Refusal, RefusalKind};
use crate::model::table::TableName;

/// The fault behind `err`, met while working on `table`.
pub(super) fn engine_error(err: &Error, table: &TableName) -> EngineError {
    kind(err).at(table, message(err))
}

fn kind(err: &Error) -> Kind {
    match err.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Kind::Full,
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::FileLockingProtocolFailed,
        ) => Kind::Locked,
        Some(
            ErrorCode::ReadOnly
            | ErrorCode::PermissionDenied
            | ErrorCode::AuthorizationForStatementDenied,
        ) => Kind::Denied,
        Some(ErrorCode::CannotOpen | ErrorCode::NotADatabase) => Kind::Unreachable,
        Some(
            ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::OperationInterrupted,
        ) => Kind::Lost,
        Some(ErrorCode::SchemaChanged) => Kind::Changed,
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig) => {
            Kind::Data
        }
        _ => Kind::Other,
    }
}

/// The same for work on no table in particular.
pub(super) fn database_error(err: &Error) -> EngineError {
    match kind(err) {
        // The file as a whole is at fault: locked, changed underneath, or no database.
        Kind::Locked | Kind::Changed | Kind::Data | Kind::Other => {
            EngineError::Unreachable(message(err))
        }
        kind => kind.general(message(err)),
    }
}

/// Whether one row or the whole work failed with `err`.
pub(super) fn row_fault(err: &Error, table: &TableName) -> Fault {
    let Error::SqliteFailure(code, _) = err else {
        return Fault::Engine(engine_error(err, table));
    };
    let may_fit_later = matches!(
        code.extended_code,
        ffi::SQLITE_CONSTRAINT_UNIQUE
            | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
            | ffi::SQLITE_CONSTRAINT_ROWID
            | ffi::SQLITE_CONSTRAINT_FOREIGNKEY
            | ffi::SQLITE_CONSTRAINT_TRIGGER
    );
    let reason = match code.code {
        // A trigger's author writes its message and may put values into it.
        _ if code.extended_code == ffi::SQLITE_CONSTRAINT_TRIGGER => {
            "a trigger of the table refuses it".to_owned()
        }
        ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch | ErrorCode::TooBig => {
            message(err)
        }
        _ => return Fault::Engine(engine_error(err, table)),
    };
    Fault::Row(Refusal {
        column: one_column(&reason, table),
        reason,
        kind: RefusalKind::of(may_fit_later),
    })
}

/// Whether `err` says that a row of this key is there already.
pub(super) fn is_unique_violation(refusal: &Refusal) -> bool {
    refusal.may_fit_later() && refusal.reason.starts_with("UNIQUE constraint failed")
}

/// SQLite's own words; statement texts, which rusqlite adds to syntax errors, are left out.
fn message(err: &Error) -> String {
    match err {
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        Error::SqliteFailure(code, None) => code.to_string(),
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::InvalidColumnType(..) | Error::FromSqlConversionFailure(..) => {
            "the catalogue holds a value of an unexpected type".to_owned()
        }
        other => other.to_string(),
    }
}

/// `NOT NULL constraint failed: orders.note` is about one column; a message about several is about none.
fn one_column(reason: &str, table: &TableName) -> Option<String> {
    let (_, place) = reason.rsplit_once(": ")?;
    let column = place.strip_prefix(&table.name)?.strip_prefix('.')?;
    (!column.contains(", ")).then(|| column.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Fault, engine_error, is_unique_violation, row_fault};
    use crate::engine::error::EngineError;
    use crate::model::table::TableName;
    use rusqlite::Error;
    use rusqlite::ffi;

    fn failure(extended: i32, message: &str) -> Error {
        Error::SqliteFailure(ffi::Error::new(extended), Some(message.to_owned()))
    }

    #[test]
    fn result_codes_keep_their_meaning() {
        let table = TableName::bare("orders");
        let of = |code| engine_error(&failure(code, "words"), &table);
        assert!(matches!(of(ffi::SQLITE_FULL), EngineError::Full(_)));
        assert!(matches!(of(ffi::SQLITE_BUSY), EngineError::Locked { .. }));
        assert!(matches!(of(ffi::SQLITE_READONLY), EngineError::Denied(_)));
        assert!(matches!(
            of(ffi::SQLITE_CANTOPEN),
            EngineError::Unreachable(_)
        ));
        assert!(matches!(of(ffi::SQLITE_IOERR_WRITE), EngineError::Lost(_)));
        assert!(matches!(of(ffi::SQLITE_CORRUPT), EngineError::Lost(_)));
        assert!(matches!(
            of(ffi::SQLITE_ERROR),
            EngineError::Statement { .. }
        ));
    }

    #[test]
    fn a_refused_row_names_its_one_column() {
        let table = TableName::bare("orders");
        let Fault::Row(refusal) = row_fault(
            &failure(
                ffi::SQLITE_CONSTRAINT_NOTNULL,
                "NOT NULL constraint failed: orders.note",
            ),
            &table,
        ) else {
            panic!("a constraint concerns the row")
        };
        assert_eq!(refusal.column.as_deref(), Some("note"));
        assert!(!refusal.may_fit_later());
        let text = "UNIQUE constraint failed: orders.a, orders.b";
        let Fault::Row(refusal) = row_fault(&failure(ffi::SQLITE_CONSTRAINT_UNIQUE, text), &table)
        else {
            panic!("a constraint concerns the row")
        };
        assert!(
            refusal.column.is_none() && refusal.may_fit_later() && is_unique_violation(&refusal)
        );
    }
}
