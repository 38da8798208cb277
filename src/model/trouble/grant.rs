//! What there is to tell of a grant that the tables have outgrown.

use crate::model::connection::Connection;
use crate::model::trouble::{Event, Gap, GrantGap, Trouble, shell_word};

/// What of a table a connection does not get until somebody changes its grant.
pub(super) fn trouble(gap: &GrantGap, connection: &Connection) -> Trouble {
    let (table, name) = (&gap.table, shell_word(&connection.name));
    let (event, message) = match &gap.gap {
        Gap::Unclassified(columns) => {
            let (noun, verb) = match columns.as_slice() {
                [_] => ("column", "is"),
                _ => ("columns", "are"),
            };
            let columns = columns.join(", ");
            let words =
                format!("{noun} {columns} of {table} {verb} new since the grant, and withheld");
            (Event::ColumnsUnclassified, words)
        }
        Gap::Misfit(reason) => {
            let words =
                format!("nothing of {table} is given: the row filter fits no more ({reason})");
            (Event::GrantMisfit, words)
        }
    };
    Trouble {
        cause: format!("{event}:{}:{table}", connection.id),
        event,
        what: format!("connection {}", connection.name),
        since: None,
        next_attempt_at: None,
        message,
        hint: format!("classify what is new: evenkeel connections edit {name} --grant FILE"),
        follows: None,
    }
}
