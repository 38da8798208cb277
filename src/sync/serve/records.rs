//! Rows as JSON, a bounded number of them: the look before pulling, and what a JSON pull is made of.

use serde_json::value::RawValue;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, Page, RowFilter, Selection};
use crate::model::connection::Connection;
use crate::model::table::{Table, TableName};
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_table, sent_columns};
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::filter::KeyFilter;
use crate::wire::json::{JsonForm, row_to_json};

/// JSON of one answer at most, in bytes: beyond it the answer stops after a whole row.
pub(super) const MAX_JSON_BYTES: usize = 32 << 20;

/// Which rows to show.
#[derive(Clone, Debug, Default)]
pub struct RecordsPage {
    /// Rows at most.
    pub limit: u64,
    /// Rows left out before.
    pub offset: u64,
    /// Only these.
    pub filter: Option<KeyFilter>,
}

/// Some rows of a table the connection sees, in the order of its primary key, as the peer would get them.
///
/// # Errors
/// When it does not see such a table, the filter does not fit, or the site database fails.
pub async fn visible_records(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
    page: &RecordsPage,
) -> Result<Vec<Box<RawValue>>, ServeError> {
    let table = granted_table(ctx, connection, client, name).await?;
    let rows = match &page.filter {
        Some(filter) => filter.on(&table)?,
        None => RowFilter::All,
    };
    let selection = selection(&table, rows, page.limit, page.offset);
    Ok(read_json(ctx, selection, page.limit, form_for(client))
        .await?
        .rows)
}

/// The forms of values that a client takes.
pub(super) fn form_for(client: ClientKind) -> JsonForm {
    match client {
        ClientKind::Any => JsonForm::Published,
        ClientKind::PhoenixKit => JsonForm::PhoenixKit,
    }
}

/// Rows as JSON, and where they stopped.
#[derive(Debug, Default)]
pub(super) struct JsonRows {
    pub(super) rows: Vec<Box<RawValue>>,
    /// The last of them in the row layout.
    pub(super) last: Vec<u8>,
    /// There were more.
    pub(super) truncated: bool,
}

/// A page of all that can be sent of `table`, in the order of its primary key.
pub(super) fn selection(table: &Table, rows: RowFilter, limit: u64, offset: u64) -> Selection {
    Selection {
        table: table.name.clone(),
        columns: sent_columns(table),
        rows,
        page: Some(Page {
            order_by: table
                .primary_key
                .as_ref()
                .map(|key| key.columns.clone())
                .unwrap_or_default(),
            limit,
            offset,
        }),
    }
}

/// Reads up to `keep` rows of `selection`, which may select more to tell whether there are.
///
/// # Errors
/// The site database's; a stream without its end is one.
pub(super) async fn read_json(
    ctx: &Ctx,
    selection: Selection,
    keep: u64,
    form: JsonForm,
) -> Result<JsonRows, ServeError> {
    let keep = usize::try_from(keep).unwrap_or(usize::MAX);
    let (table, columns) = (selection.table.clone(), selection.columns.clone());
    let mut stream = ctx.driver.read(selection).await?;
    let mut found = JsonRows::default();
    let mut bytes = 0;
    loop {
        let batch = match stream.recv().await {
            Some(Ok(Flow::Rows(batch))) => batch,
            Some(Ok(Flow::End)) => return Ok(found),
            Some(Err(err)) => return Err(err.into()),
            None => return Err(EngineError::Cut(table).into()),
        };
        for tuple in batch.tuples() {
            let tuple = tuple?;
            let row = row_to_json(form, &columns, tuple)?;
            bytes += row.get().len();
            let is_too_much = bytes > MAX_JSON_BYTES && !found.rows.is_empty();
            if found.rows.len() >= keep || is_too_much {
                found.truncated = true;
                return Ok(found);
            }
            found.rows.push(row);
            found.last.clear();
            found.last.extend_from_slice(tuple);
        }
    }
}
