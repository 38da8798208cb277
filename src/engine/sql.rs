//! The only builder of dynamic SQL.
//!
//! Invariant: a statement consists of text literals of this program, of quoted identifiers, of quoted literals,
//! and of type names that this site's own catalogue printed. Nothing a peer sent gets in by another way.

use std::fmt;

use crate::model::table::TableName;

/// How an engine quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// `"name"`, standard-conforming strings.
    Standard,
    /// `` `name` ``, backslashes in strings escape.
    Backtick,
}

/// A statement under construction.
#[derive(Clone, PartialEq, Eq)]
pub struct Sql {
    text: String,
    quoting: Quoting,
    default_schema: Option<String>,
}

impl Sql {
    /// An empty statement; bare table names are put into `default_schema` when there is one.
    #[must_use]
    pub fn new(quoting: Quoting, default_schema: Option<&str>) -> Self {
        Self {
            text: String::new(),
            quoting,
            default_schema: default_schema.map(str::to_owned),
        }
    }

    /// Adds text of this program.
    pub fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Adds a quoted identifier.
    pub fn ident(&mut self, name: &str) -> &mut Self {
        match self.quoting {
            Quoting::Standard => self.quoted('"', name),
            Quoting::Backtick => self.quoted('`', name),
        }
    }

    /// Adds a table with its schema.
    pub fn table(&mut self, table: &TableName) -> &mut Self {
        let schema = table.schema.clone().or_else(|| self.default_schema.clone());
        if let Some(schema) = schema {
            self.ident(&schema).push(".");
        }
        self.ident(&table.name)
    }

    /// Adds a number.
    pub fn number(&mut self, number: impl Into<i128>) -> &mut Self {
        self.text.push_str(&number.into().to_string());
        self
    }

    /// Adds a text literal. NUL cannot stand in SQL and is dropped.
    pub fn literal(&mut self, text: &str) -> &mut Self {
        let text = text.replace('\0', "");
        match self.quoting {
            Quoting::Standard => self.quoted('\'', &text),
            Quoting::Backtick => self.quoted('\'', &text.replace('\\', "\\\\")),
        }
    }

    /// Adds a type as this site's own catalogue prints it, never as a peer wrote it.
    pub fn native_type(&mut self, catalogue_text: &str) -> &mut Self {
        self.text.push_str(catalogue_text);
        self
    }

    /// Adds another statement's text.
    pub fn append(&mut self, other: &Self) -> &mut Self {
        self.text.push_str(&other.text);
        self
    }

    /// Adds one piece per item, separated by `separator`.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &'static str,
        mut each: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.push(separator);
            }
            each(self, item);
        }
        self
    }

    /// Adds quoted identifiers separated by commas.
    pub fn idents<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> &mut Self {
        self.list(names, ", ", |sql, name| {
            sql.ident(name);
        })
    }

    /// The statement's text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn quoted(&mut self, quote: char, text: &str) -> &mut Self {
        self.text.push(quote);
        for character in text.chars().filter(|character| *character != '\0') {
            if character == quote {
                self.text.push(quote);
            }
            self.text.push(character);
        }
        self.text.push(quote);
        self
    }
}

impl fmt::Debug for Sql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoting, Sql};
    use crate::model::table::TableName;

    #[test]
    fn names_and_literals_cannot_leave_their_quotes() {
        let mut sql = Sql::new(Quoting::Standard, Some("public"));
        let evil: TableName = "\"x\"\"; drop table y; --\"".parse().unwrap();
        sql.push("select ")
            .idents(["a\"b", "c"])
            .push(" from ")
            .table(&evil);
        sql.push(" where a = ").literal("it's \\ \0 fine");
        assert_eq!(
            sql.text(),
            "select \"a\"\"b\", \"c\" from \"public\".\"x\"\"; drop table y; --\" where a = 'it''s \\  fine'"
        );
        let mut sql = Sql::new(Quoting::Backtick, None);
        sql.ident("a`b").push(" = ").literal("\\'");
        assert_eq!(sql.text(), "`a``b` = '\\\\'''");
    }
}
