//! Unique values that are emptied, so that they can change places.
//!
//! Invariant: only columns are emptied whose values the rows that follow bring again.

use bytes::Bytes;

use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::mysql::apply::writer::Writer;
use crate::engine::mysql::fault::fault;
use crate::model::run::ConflictStrategy;

impl Writer {
    /// Empties `columns` of the row that has this row's key; how many there are.
    pub(super) async fn park(&mut self, row: &Bytes, columns: &[String]) -> Result<u64, Fault> {
        let statement = self.destination.statements.park(columns);
        let values = self.keys(std::slice::from_ref(row))?;
        self.execute(&statement, values).await
    }

    /// Nullable unique columns outside the key that no foreign key points to: emptying one cannot reach another table.
    pub(super) async fn parkable(&mut self) -> Result<Vec<String>, EngineError> {
        let table = &self.job.table;
        if self.job.conflict == ConflictStrategy::Merge || !self.destination.rules.update() {
            return Ok(Vec::new());
        }
        let mut query = self.schemas.sql();
        query.push(
            "
select distinct cast(referenced_column_name as char)
from information_schema.key_column_usage
where referenced_table_schema = ",
        );
        query.literal(self.schemas.of(&table.name).unwrap_or_default());
        query
            .push(" and referenced_table_name = ")
            .literal(&table.name.name);
        let pointed_to: Vec<(String,)> = self
            .session
            .all(&query)
            .await
            .map_err(|err| fault(err, &table.name))?;
        let is_free = |name: &String| {
            let mut pointed_to = pointed_to.iter();
            !pointed_to.any(|(column,)| column.eq_ignore_ascii_case(name))
        };
        let mut parkable = self.job.parkable(table);
        parkable.retain(is_free);
        Ok(parkable)
    }
}
