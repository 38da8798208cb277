//! What a fault of the database means: the row that is to blame, or the end of the work.
//!
//! Decides by error number (MariaDB "Error Codes", MySQL "Server Error Message Reference"); MySQL's SQLSTATE is too
//! coarse. Invariant: texts made here quote no value of a row.

use sqlx::mysql::MySqlDatabaseError;

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
    kind_of(database).at(table, words(database))
}

/// What `err` means where no table is at hand.
pub(super) fn general(err: &sqlx::Error) -> EngineError {
    let Some(database) = database(err) else {
        return EngineError::Lost(err.to_string());
    };
    kind_of(database).general(words(database))
}

/// What `err` means while connecting.
pub(super) fn unreachable(err: &sqlx::Error) -> EngineError {
    EngineError::Unreachable(database(err).map_or_else(|| err.to_string(), words))
}

/// Whether the table named in the statement, or its database, does not exist.
pub(super) fn is_missing_table(err: &sqlx::Error) -> bool {
    database(err).is_some_and(|database| matches!(database.number(), 1049 | 1146))
}

/// Whether a lock was waited for in vain: until the end of patience, or because others wait for each other.
pub(super) fn is_wait(err: &sqlx::Error) -> bool {
    database(err).is_some_and(|database| matches!(database.number(), 1205 | 1213))
}

fn kind_of(database: &MySqlDatabaseError) -> Kind {
    kind(
        database.number(),
        database.code().unwrap_or_default(),
        database.message(),
    )
}

fn kind(number: u16, state: &str, message: &str) -> Kind {
    match number {
        1021 | 1114 => Kind::Full,
        // Errors of the file system come under many numbers.
        _ if message.contains("No space left on device") => Kind::Full,
        // Too many connections, refused logins and hosts, an account that is locked or used up, a cluster node that
        // is not ready, no such database.
        1040
        | 1042..=1043
        | 1045
        | 1047
        | 1049
        | 1129..=1130
        | 1203
        | 1226
        | 1251
        | 1698
        | 1820
        | 1862
        | 3118
        | 4151 => Kind::Unreachable,
        // Rights, and servers or transactions that take no writes.
        1044 | 1142..=1143 | 1227 | 1290 | 1370 | 1419 | 1792 | 1836 => Kind::Denied,
        1205 | 3572 => Kind::Locked,
        // The table is gone or another one than when the snapshot or the statement was made.
        1054 | 1146 | 1412 | 1615 => Kind::Changed,
        // Shutdown, killed, memory, network, deadlock, time limits, a row changed since the snapshot.
        1020
        | 1037..=1038
        | 1041
        | 1053
        | 1077
        | 1079..=1080
        | 1152..=1161
        | 1184
        | 1213
        | 1317
        | 1614
        | 1927
        | 1969
        | 3024
        | 3058
        | 3169
        | 4031 => Kind::Lost,
        // No default, a value without a partition, a row too long for its page or the undo log, checks, JSON texts,
        // geometries, cascades that collide, a text compared with a column whose character set lacks its characters.
        1118
        | 1267
        | 1270..=1271
        | 1364
        | 1366..=1367
        | 1411
        | 1416
        | 1526
        | 1557
        | 1713
        | 1748
        | 1761..=1762
        | 3140
        | 3143
        | 3156
        | 3819
        | 4025
        | 4078
        | 4079 => Kind::Data,
        _ => match state.get(..2) {
            // Data exceptions, violated constraints, what triggers raise.
            Some("22" | "23" | "45") => Kind::Data,
            Some("08" | "40" | "70") => Kind::Lost,
            Some("28") => Kind::Unreachable,
            _ => Kind::Other,
        },
    }
}

fn refusal(err: &sqlx::Error) -> Option<Refusal> {
    let database = database(err)?;
    (kind_of(database) == Kind::Data).then(|| Refusal {
        column: column(database.message()),
        reason: words(database),
        kind: kind_of_refusal(database.number(), database.code().unwrap_or_default()),
    })
}

/// Unique values that are taken, parents that are missing or still pointed to, and what triggers refuse.
fn kind_of_refusal(number: u16, state: &str) -> RefusalKind {
    let is_passing = matches!(number, 1062 | 1216..=1217 | 1451..=1452 | 1586 | 1761..=1762);
    RefusalKind::of(is_passing || state == "45000")
}

fn database(err: &sqlx::Error) -> Option<&MySqlDatabaseError> {
    err.as_database_error()?.try_downcast_ref()
}

fn words(database: &MySqlDatabaseError) -> String {
    describe(
        database.number(),
        database.code().unwrap_or_default(),
        database.message(),
    )
}

/// The message without the values that faults of data quote, and without the number of a row in a statement.
fn describe(number: u16, state: &str, message: &str) -> String {
    let (message, _) = message.rsplit_once(" at row ").unwrap_or((message, ""));
    if number == 1526 {
        return "Table has no partition for a value of the row".to_owned();
    }
    if matches!(number, 1267 | 1270..=1271) {
        return "the key has characters that the column's character set lacks".to_owned();
    }
    // What a trigger raises are its author's words.
    if kind(number, state, message) != Kind::Data || state.starts_with("45") {
        return message.to_owned();
    }
    // A value may contain anything, so the last mark counts; what follows it are names.
    let (rest, names) = [" for key ", " for column ", " for function "]
        .into_iter()
        .find_map(|mark| {
            message
                .rsplit_once(mark)
                .map(|(rest, name)| (rest, format!("{mark}{name}")))
        })
        .unwrap_or((message, String::new()));
    let quotes_a_value = matches!(number, 1062 | 1292 | 1366 | 1367 | 1411 | 1586 | 1690);
    let told = if quotes_a_value {
        let end = rest.find([':', '\'', '"']).unwrap_or(rest.len());
        rest.get(..end).unwrap_or(rest).trim_end()
    } else {
        rest
    };
    format!("{told}{names}")
}

/// The column a message names: `Column 'a' cannot be null`, `... for column 'a' at row 1`,
/// ``... for column `db`.`t`.`a` at row 1``, `Field 'a' doesn't have a default value`.
fn column(message: &str) -> Option<String> {
    let (message, _) = message.rsplit_once(" at row ").unwrap_or((message, ""));
    let between = |before, after| message.strip_prefix(before)?.strip_suffix(after);
    let named = message
        .rsplit_once(" for column ")
        .map(|(_, name)| name)
        .or_else(|| between("Column ", " cannot be null"))
        .or_else(|| between("Field ", " doesn't have a default value"))?;
    let quoted = |quote| named.strip_prefix(quote)?.strip_suffix(quote);
    let name = quoted('\'').or_else(|| {
        let path = quoted('`')?;
        Some(path.rsplit_once("`.`").map_or(path, |(_, name)| name))
    })?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests;
