//! What a peer is told when reading for it fails: never the database's own words, which may quote statements, and of a
//! row's key and columns only where all of them are its to see.

use crate::engine::EngineError;
use crate::wire::messages::StreamFaultCode;

/// The code and words for a fault of the site database; `is_whole` where the peer sees all of the table.
pub(super) fn told(err: &EngineError, is_whole: bool) -> (StreamFaultCode, String) {
    let named = |words: &str| match is_whole {
        true => err.to_string(),
        false => format!("{words}; the sender's log says which"),
    };
    match err {
        EngineError::RowTooLarge { .. } => (
            StreamFaultCode::RowTooLarge,
            named("a row of the table is larger than a row may be"),
        ),
        EngineError::Unreadable { .. } => (
            StreamFaultCode::UnreadableValue,
            named("a value of the table is none of its column's type"),
        ),
        EngineError::SchemaChanged(_) | EngineError::NoTable(_) => (
            StreamFaultCode::TableChanged,
            "the table was changed while it was being read".to_owned(),
        ),
        EngineError::Locked { .. } => (
            StreamFaultCode::TableLocked,
            "the table is locked by another session of the site database".to_owned(),
        ),
        EngineError::Yielded => (
            StreamFaultCode::TableLocked,
            "another session of the site database waited for the table".to_owned(),
        ),
        EngineError::Unreachable(_) | EngineError::Lost(_) => (
            StreamFaultCode::DatabaseLost,
            "the site database broke off while reading".to_owned(),
        ),
        EngineError::Denied(_) => (
            StreamFaultCode::ReadDenied,
            "the sender's database does not let it read the table; the sender's log says why"
                .to_owned(),
        ),
        EngineError::Url(_)
        | EngineError::Full(_)
        | EngineError::CopyTooLarge { .. }
        | EngineError::Cut(_)
        | EngineError::TooManyRejected { .. }
        | EngineError::Statement { .. } => (StreamFaultCode::ReadFailed, read_failed()),
    }
}

/// The words for a fault of which a peer can make nothing.
pub(super) fn read_failed() -> String {
    "the site database failed while reading; the sender's log says why".to_owned()
}

#[cfg(test)]
mod tests {
    use super::told;
    use crate::engine::EngineError;
    use crate::model::table::TableName;
    use crate::wire::messages::StreamFaultCode;

    #[test]
    fn a_peer_never_hears_the_databases_own_words() {
        let fault = EngineError::Statement {
            table: "orders".to_owned(),
            message: "syntax error at \"select secret\"".to_owned(),
        };
        let (code, words) = told(&fault, true);
        assert_eq!(code, StreamFaultCode::ReadFailed);
        assert!(!words.contains("secret"));
    }

    #[test]
    fn a_peer_that_does_not_see_all_of_a_table_hears_no_key_and_no_column() {
        let faults = [
            EngineError::Unreadable {
                table: TableName::bare("orders"),
                key: "id=4711".to_owned(),
                column: "salary".to_owned(),
                reason: "it is no date".to_owned(),
            },
            EngineError::RowTooLarge {
                table: TableName::bare("orders"),
                key: "id=4711".to_owned(),
                bytes: 1,
                limit: 0,
            },
        ];
        for fault in faults {
            assert!(told(&fault, true).1.contains("4711"));
            let words = told(&fault, false).1;
            assert!(
                !words.contains("4711") && !words.contains("salary"),
                "{words}"
            );
        }
    }
}
