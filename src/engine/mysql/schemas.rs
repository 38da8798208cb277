//! Which databases of the server are looked at, and how their tables are called.
//!
//! MySQL calls a schema a database. Invariant: a table of the URL's database goes by its bare name and by no other.

use sqlx::mysql::MySqlPool;

use crate::engine::sql::{Quoting, Sql};
use crate::model::table::TableName;

/// The databases this site looks at.
#[derive(Clone, Debug)]
pub(super) struct Schemas {
    default: String,
    all: Vec<String>,
}

impl Schemas {
    /// `all`, or when that is empty the one of the pool's URL.
    pub(super) fn new(pool: &MySqlPool, all: &[String]) -> Self {
        let options = pool.connect_options();
        let default = options.get_database().unwrap_or_default().to_owned();
        Self {
            all: if all.is_empty() {
                vec![default.clone()]
            } else {
                all.to_vec()
            },
            default,
        }
    }

    /// One database and no server.
    #[cfg(test)]
    pub(super) fn of_default(name: &str) -> Self {
        Self {
            default: name.to_owned(),
            all: vec![name.to_owned()],
        }
    }

    /// Their names.
    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// An empty statement; bare tables in it are those of the URL's database.
    pub(super) fn sql(&self) -> Sql {
        Sql::new(Quoting::Backtick, Some(&self.default))
    }

    /// What the table `name` of `schema` is called.
    pub(super) fn table_name(&self, schema: &str, name: &str) -> TableName {
        TableName {
            schema: (schema != self.default).then(|| schema.to_owned()),
            name: name.to_owned(),
        }
    }

    /// The database `name` lies in; `None` when this site does not look at that one, or calls the table otherwise.
    pub(super) fn of<'a>(&'a self, name: &'a TableName) -> Option<&'a str> {
        let schema = match &name.schema {
            None => &self.default,
            Some(schema) if *schema == self.default => return None,
            Some(schema) => schema,
        };
        self.all.contains(schema).then_some(schema)
    }
}
