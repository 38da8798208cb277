//! Rows that point to others, and would be deleted or emptied with them.
//!
//! What only refuses a deletion is left to the database. Invariant: what is found stays so until the transaction ends.

use bytes::Bytes;
use sqlx::AssertSqlSafe;

use crate::engine::enact::target::{Local, Pointer};
use crate::engine::error::EngineError;
use crate::engine::fault::Fault;
use crate::engine::mysql::apply::statements::Pointing;
use crate::engine::mysql::apply::writer::Writer;
use crate::engine::mysql::fault::{fault, writing};

impl Writer {
    /// The foreign keys by which a deletion here would delete or empty rows that point to it.
    pub(super) async fn pointing(&mut self) -> Result<Vec<Pointing>, EngineError> {
        let name = self.table().clone();
        let mut query = self.schemas.sql();
        query.push(
            "
select cast(k.constraint_schema as char),
       cast(k.constraint_name as char),
       cast(k.table_name as char),
       cast(k.referenced_column_name as char),
       cast(k.column_name as char)
from information_schema.key_column_usage k
join information_schema.referential_constraints r
  on r.constraint_schema = k.constraint_schema
  and r.constraint_name = k.constraint_name
  and r.table_name = k.table_name
where r.delete_rule in ('CASCADE', 'SET NULL', 'SET DEFAULT')
  and k.referenced_table_schema = ",
        );
        query.literal(self.schemas.of(&name).unwrap_or_default());
        query
            .push(" and k.referenced_table_name = ")
            .literal(&name.name);
        query.push(
            " order by k.constraint_schema, k.table_name, k.constraint_name, k.ordinal_position",
        );
        let rows: Vec<(String, String, String, String, String)> = self
            .session
            .all(&query)
            .await
            .map_err(|err| fault(err, &name))?;
        let mut found: Vec<(String, Pointing)> = Vec::new();
        for (schema, constraint, table, here, there) in rows {
            let table = self.schemas.table_name(&schema, &table);
            match found.last_mut() {
                Some((last, pointing)) if *last == constraint && pointing.table == table => {
                    pointing.pairs.push((here, there));
                }
                _ => found.push((
                    constraint,
                    Pointing {
                        table,
                        pairs: vec![(here, there)],
                    },
                )),
            }
        }
        Ok(found.into_iter().map(|(_, pointing)| pointing).collect())
    }

    /// What points by `by` to the row that has this row's key; of the table's own rows up to `most`.
    pub(super) async fn pointers(
        &mut self,
        row: &Bytes,
        by: &Pointing,
        most: usize,
    ) -> Result<Vec<Pointer>, Fault> {
        let statement = self.destination.statements.pointing(by, most);
        let key = std::slice::from_ref(row);
        if by.table == *self.table() {
            let images = self.images(&statement, key).await?;
            let rows = images.into_iter().map(Local::from);
            return Ok(rows.map(|local| Pointer::Own(local.tuple)).collect());
        }
        let arguments = self.arguments(&statement, self.keys(key)?)?;
        let table = self.job.table.name.clone();
        let connection = self.session.raw().map_err(|err| fault(err, &table))?;
        let query = sqlx::query_with(AssertSqlSafe(statement.text().to_owned()), arguments);
        let found = query.fetch_optional(connection).await;
        let found = found.map_err(|err| writing(err, &table))?;
        Ok(found
            .map(|_| Pointer::Other(by.table.to_string()))
            .into_iter()
            .collect())
    }

    /// Deletes the rows that have the keys of `piece`.
    pub(super) async fn delete(&mut self, piece: &[Bytes]) -> Result<(), Fault> {
        let statement = self.destination.statements.delete(piece.len());
        let values = self.keys(piece)?;
        self.execute(&statement, values).await.map(drop)
    }
}
