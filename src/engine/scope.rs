//! A condition of a scope in SQL: the part that is the same for every engine.
//!
//! How a column and a value are written is the engine's own business, so that its comparison means what
//! `Condition::holds` means. Invariant: NULL passes `is null` alone, as SQL has it.

use crate::engine::sql::Sql;
use crate::model::filter::Bound;
use crate::wire::scope::{Rule, Scalar};

/// Adds what `rule` says of `operand`. `literal` writes a value, or says `None` for one that no column of this engine
/// can hold, which then matches nothing.
pub(super) fn push_rule(
    sql: &mut Sql,
    rule: &Rule,
    operand: impl Fn(&mut Sql),
    mut literal: impl FnMut(&Scalar<'_>) -> Option<Sql>,
) {
    match rule {
        Rule::IsNull(wanted) => {
            operand(sql);
            sql.push(if *wanted { " is null" } else { " is not null" });
        }
        Rule::OneOf(values) => {
            let values: Vec<Sql> = values.iter().filter_map(literal).collect();
            if values.is_empty() {
                sql.push("false");
                return;
            }
            operand(sql);
            sql.push(" in (")
                .list(&values, ", ", |sql, value| {
                    sql.append(value);
                })
                .push(")");
        }
        Rule::Range(bound, value) => {
            let Some(value) = literal(value) else {
                sql.push("false");
                return;
            };
            operand(sql);
            sql.push(match bound {
                Bound::Below => " < ",
                Bound::AtMost => " <= ",
                Bound::Above => " > ",
                Bound::AtLeast => " >= ",
            })
            .append(&value);
        }
    }
}
