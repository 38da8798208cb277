//! Rows that have no key: all are inserted, for none can be equal to one that is there already by its key.
//!
//! Invariant: as many are added as were staged, or nothing is.

use crate::engine::fault::Fault;
use crate::engine::postgres::apply::write::{Writer, left_out};
use crate::model::run::Changes;

impl Writer {
    /// Inserts the `staged` rows.
    pub(super) async fn insert_staged(&mut self, staged: u64) -> Result<Changes, Fault> {
        let insert = self.destination.statements.insert();
        let added = self.touch(&insert).await?;
        if added != staged {
            return Err(left_out());
        }
        self.clear_stage().await?;
        Ok(Changes {
            added,
            ..Changes::default()
        })
    }
}
