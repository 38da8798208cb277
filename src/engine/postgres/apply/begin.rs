//! How every applying transaction begins: its settings, a lock, the table as it is now, and the login's own search path.
//!
//! Triggers, checks and domains may name what they need without its schema, as they may for any other client. Invariant: a
//! statement that runs from then on names nothing a schema in that path could stand in for: tables, operators, functions
//! and types with their schemas. The end of the transaction puts the path back.

use sqlx::Row;

use crate::engine::error::EngineError;
use crate::engine::postgres::connect::{Session, sql};
use crate::engine::postgres::fault::fault;
use crate::engine::sql::Sql;
use crate::model::table::TableName;

/// Deferred constraints are checked at once, so that a row that breaks one can be told. Plans are made for the rows that
/// are given: one that was made for few would read a whole table for each of many.
pub(super) const SETTINGS: &str = "
begin isolation level read committed, read write;
set local lock_timeout = '10s';
set local random_page_cost = 1.1;
set local plan_cache_mode = force_custom_plan;
set constraints all immediate";

/// Begins one; tells the table's [`form`], which stays so until the end: a column narrowed meanwhile would round or cut
/// what is written.
pub(super) async fn begin(session: &mut Session, table: &TableName) -> Result<String, EngineError> {
    let mut whole = sql();
    whole.push(SETTINGS).push(";\nlock table ").table(table);
    whole.push(" in row exclusive mode;\n").append(&form(table));
    whole.push(";\nset local search_path to default");
    let row = session.one(&whole).await;
    let form = row.and_then(|row| row.try_get(0));
    form.map_err(|err| fault(err, table))
}

/// Asks for columns, unique keys, triggers and rules as one text, that is another when one of them changes.
pub(super) fn form(table: &TableName) -> Sql {
    let mut name = sql();
    name.table(table);
    let mut query = sql();
    query.push(
        "
select concat_ws(
  ';',
  t.relhasrules,
  (select string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated, a.attcollation), ',' order by a.attnum)
   from pg_attribute a
   where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped),
  (select string_agg(i.indkey::text, ',' order by i.indkey::text)
   from pg_index i
   where i.indrelid = t.oid and i.indisunique and i.indisvalid),
  (select string_agg(concat_ws(' ', g.oid, g.tgenabled), ',' order by g.oid)
   from pg_trigger g
   where not g.tgisinternal
     and (g.tgrelid = t.oid or g.tgrelid in (select relid from pg_partition_tree(t.oid)))))
from pg_class t
where t.oid = to_regclass(",
    );
    query.literal(name.text()).push(")");
    query
}
