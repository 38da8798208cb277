//! The login's own search path: in force while rows are written, and at no other time.
//!
//! Triggers, checks and domains may name what they need without its schema, as they may for any other client. Invariant: a
//! statement that runs under that path names nothing a schema in it could stand in for: tables, operators, functions and
//! types with their schemas. What undoes or ends a transaction also puts the path back.

use crate::engine::postgres::connect::{Session, sql};
use crate::engine::sql::Sql;

/// From here on the login's own path is in force.
const OWN: &str = "set local search_path to default";
/// From here on none is, as in every session.
const NONE: &str = "set local search_path to ''";

impl Session {
    /// Runs a statement that writes rows; how many it touched.
    pub(super) async fn write(&mut self, statement: &Sql) -> Result<u64, sqlx::Error> {
        let mut whole = sql();
        whole.push(OWN).push("; ").append(statement);
        whole.push("; ").push(NONE);
        self.execute(&whole).await
    }

    /// Until [`Self::leave_path`], or until what came before is gone back to, the login's own path is in force.
    pub(super) async fn enter_path(&mut self) -> Result<(), sqlx::Error> {
        self.run(OWN).await
    }

    /// Ends what [`Self::enter_path`] began.
    pub(super) async fn leave_path(&mut self) -> Result<(), sqlx::Error> {
        self.run(NONE).await
    }
}
