//! A scope as PostgreSQL evaluates it. Pure.
//!
//! Invariant: text is compared by its bytes, whatever the column's collation, and as it travels: without the padding of a
//! `char(n)`, and by the text of a type that has no neutral form.

use crate::engine::postgres::connect::sql;
use crate::engine::scope::push_rule;
use crate::engine::sql::Sql;
use crate::model::table::{Column, NeutralType, Table};
use crate::wire::scope::{Condition, Rule, Scalar};

/// Adds the conditions behind `glue`, or nothing where there are none.
pub(super) fn push_scope(
    statement: &mut Sql,
    glue: &'static str,
    conditions: &[Condition],
    table: &Table,
) {
    if conditions.is_empty() {
        return;
    }
    statement.push(glue);
    statement.list(conditions, " and ", |sql, condition| {
        let column = table.column(&condition.column);
        if condition.kind == NeutralType::Text && matches!(condition.rule, Rule::OneOf(_)) {
            // What is equal byte by byte is equal under every collation: this half can use the column's index.
            let text = |value: &Scalar<'_>| literal(value, None, condition.kind);
            push_rule(sql, &condition.rule, |sql| plain(sql, condition), text);
            sql.push(" and ");
        }
        let value = |value: &Scalar<'_>| literal(value, cast(condition.kind), condition.kind);
        push_rule(
            sql,
            &condition.rule,
            |sql| operand(sql, condition, column),
            value,
        );
    });
}

fn plain(sql: &mut Sql, condition: &Condition) {
    sql.ident(&condition.column);
}

fn operand(sql: &mut Sql, condition: &Condition, column: Option<&Column>) {
    let tests_null = matches!(condition.rule, Rule::IsNull(_));
    match condition.kind {
        // Not the value itself: a composite whose fields are all NULL counts as NULL.
        NeutralType::Other if tests_null => {
            sql.ident(&condition.column).push("::text");
        }
        _ if tests_null => plain(sql, condition),
        NeutralType::Text | NeutralType::Other => {
            let native = column.map_or("", |column| column.native.as_str());
            text_as_sent(sql, condition.kind, native, |sql| plain(sql, condition));
        }
        _ => plain(sql, condition),
    }
}

/// The text of a column as it travels, to be compared by its bytes. `native` is the column's type.
pub(super) fn text_as_sent(
    sql: &mut Sql,
    kind: NeutralType,
    native: &str,
    column: impl Fn(&mut Sql),
) {
    let of = |sql: &mut Sql, before, behind| {
        sql.push(before);
        column(sql);
        sql.push(behind).push(" collate \"C\"");
    };
    match TextKind::of(kind, native) {
        TextKind::Plain => of(sql, "", ""),
        TextKind::Padded | TextKind::Cast => of(sql, "", "::text"),
        // Its cast to text drops the spaces that it keeps.
        TextKind::Unpadded | TextKind::Domain => of(sql, "concat(", ")"),
    }
}

/// How a column that travels as text keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextKind {
    /// As it is.
    Plain,
    /// Filled with spaces that mean nothing.
    Padded,
    /// A char of no stated length.
    Unpadded,
    /// Perhaps as one of the others.
    Domain,
    /// As something else.
    Cast,
}

impl TextKind {
    /// Of a column of the type `native`.
    pub(super) fn of(kind: NeutralType, native: &str) -> Self {
        match native {
            _ if kind == NeutralType::Other => Self::Cast,
            "text" => Self::Plain,
            "bpchar" => Self::Unpadded,
            _ if native.starts_with("character varying") => Self::Plain,
            _ if native.starts_with("character(") => Self::Padded,
            _ => Self::Domain,
        }
    }
}

/// Values of every other type are read as that type, never as one that PostgreSQL would guess.
fn cast(kind: NeutralType) -> Option<&'static str> {
    match kind {
        NeutralType::Text | NeutralType::Other => None,
        // Wider than the column, so that a value beyond its range is a number like any other.
        NeutralType::Int2 | NeutralType::Int4 => Some(NeutralType::Int8.as_str()),
        kind => Some(kind.as_str()),
    }
}

fn literal(value: &Scalar<'_>, cast: Option<&'static str>, kind: NeutralType) -> Option<Sql> {
    // PostgreSQL holds no text with a NUL.
    let text = value.text(kind).ok().filter(|text| !text.contains('\0'))?;
    let mut literal = sql();
    literal.literal(&text);
    if let Some(cast) = cast {
        literal.push("::").push(cast);
    }
    Some(literal)
}

#[cfg(test)]
mod tests {
    use super::push_scope;
    use crate::engine::postgres::connect::sql;
    use crate::model::filter::Filter;
    use crate::model::fixture;
    use crate::model::table::{Column, NeutralType, Table};
    use crate::wire::scope::Scope;

    fn table(kind: NeutralType, native: &str) -> Table {
        let column = Column {
            native: native.into(),
            ..fixture::column("a\"b", kind)
        };
        fixture::table("t", vec![column], &[])
    }

    #[test]
    fn columns_are_compared_by_their_bytes_and_values_are_literals_of_their_types() {
        use NeutralType::{Bool, Bytea, Int8, Other, Text, Timestamptz};
        let cases = [
            (
                Int8,
                "bigint",
                r#""op":"<","value":5"#,
                r#""a""b" < '5'::int8"#,
            ),
            (
                Bool,
                "boolean",
                r#""op":"=","value":true"#,
                r#""a""b" in ('true'::bool)"#,
            ),
            (
                Text,
                "text",
                r#""op":"=","value":"it's \\""#,
                r#""a""b" in ('it''s \') and "a""b" collate "C" in ('it''s \')"#,
            ),
            (
                Text,
                "character(4)",
                r#""op":"=","value":"a""#,
                r#""a""b" in ('a') and "a""b"::text collate "C" in ('a')"#,
            ),
            (
                Text,
                "bpchar",
                r#""op":"=","value":"a""#,
                r#""a""b" in ('a') and concat("a""b") collate "C" in ('a')"#,
            ),
            (
                Text,
                "text",
                r#""op":"=","value":"\u0000""#,
                "false and false",
            ),
            (Text, "text", r#""op":"is_null""#, r#""a""b" is null"#),
            (
                Other,
                "mood",
                r#""op":"=","value":"sad""#,
                r#""a""b"::text collate "C" in ('sad')"#,
            ),
            (
                Other,
                "pair",
                r#""op":"is_null","value":false"#,
                r#""a""b"::text is not null"#,
            ),
            (
                Bytea,
                "bytea",
                r#""op":"in","value":["AP8="]"#,
                r#""a""b" in ('\x00ff'::bytea)"#,
            ),
            (
                Timestamptz,
                "timestamp with time zone",
                r#""op":">=","value":"2013-01-01 01:00:00+01""#,
                r#""a""b" >= '2013-01-01 00:00:00.000000Z'::timestamptz"#,
            ),
        ];
        for (kind, native, condition, expected) in cases {
            let json = format!(r#"{{"column":"a\"b",{condition}}}"#);
            let filter = Filter::from_json(&json).unwrap();
            let scope = Scope::new(&filter, |_| Some(kind)).unwrap();
            let mut statement = sql();
            let table = table(kind, native);
            push_scope(&mut statement, " where ", scope.conditions(), &table);
            assert_eq!(statement.text(), format!(" where {expected}"));
        }
    }
}
