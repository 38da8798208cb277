//! `pull-data` as JSON: a bounded answer in primary-key order, with a cursor where more rows exist.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::engine::driver::{KeyValue, RowFilter};
use crate::model::connection::Connection;
use crate::model::table::TableName;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_view};
use crate::sync::serve::cursor;
use crate::sync::serve::fault::{FilterFault, ServeError};
use crate::sync::serve::filter::KeyFilter;
use crate::sync::serve::history;
use crate::sync::serve::records::{JsonOrder, MAX_JSON_BYTES, form_for, read_json};
use crate::sync::serve::usage;
use crate::sync::serve::view::View;
use crate::wire::json::JsonForm;
use crate::wire::messages::StreamFaultCode;

/// Rows of one answer where the grant names no bound: their bytes are what bounds it.
const MOST_ROWS: u64 = 1_000_000;

/// Which rows to pull.
#[derive(Clone, Debug, Default)]
pub struct PullOrder {
    /// Only these.
    pub filter: Option<KeyFilter>,
    /// Where an earlier answer stopped.
    pub cursor: Option<String>,
}

/// What a JSON pull gives.
#[derive(Debug)]
pub struct PulledRows {
    /// In primary-key order.
    pub rows: Vec<Box<RawValue>>,
    /// A filter was applied.
    pub filtered: bool,
    /// More rows exist than one answer may hold.
    pub truncated: bool,
    /// Where to go on, where the key allows it.
    pub next_cursor: Option<String>,
}

/// Pulls up to `max_records_per_request` rows and writes the transfer down.
///
/// # Errors
/// When the connection does not see such a table, filter or cursor do not fit, or the site database fails.
pub async fn pull_rows(
    ctx: &Arc<Ctx>,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
    order: &PullOrder,
) -> Result<PulledRows, ServeError> {
    let view = granted_view(ctx, connection, client, name).await?;
    let rows = wanted(&view, order)?;
    let begun = history::begun(connection.id, view.table.name.clone(), Timestamp::now());
    let read = read(ctx, connection, &view, (rows, form_for(client)), order).await;
    let ended = match &read {
        Ok(pulled) => {
            let bytes: usize = pulled.rows.iter().map(|row| row.get().len() + 1).sum();
            let count = u64::try_from(pulled.rows.len()).unwrap_or(u64::MAX);
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            history::ended(begun.clone(), count, bytes, None)
        }
        Err(err) => {
            let code = StreamFaultCode::ReadFailed.as_str();
            history::ended(begun.clone(), 0, 0, Some((code, err.to_string())))
        }
    };
    history::record(ctx, begun, ended).await;
    read
}

async fn read(
    ctx: &Ctx,
    connection: &Connection,
    view: &View,
    (rows, form): (RowFilter, JsonForm),
    order: &PullOrder,
) -> Result<PulledRows, ServeError> {
    let limit = connection.grant.limits.max_records_per_request;
    let key = ctx.store.pseudonym_key(connection.id);
    let left = usage::left(ctx, connection, Timestamp::now()).await?;
    let most = limit.map_or(MOST_ROWS, u64::from).min(MOST_ROWS);
    let bytes = left.bytes.and_then(|bytes| usize::try_from(bytes).ok());
    let wanted = JsonOrder {
        rows,
        offset: 0,
        keep: most.min(left.rows.unwrap_or(MOST_ROWS)),
        bytes: MAX_JSON_BYTES.min(bytes.unwrap_or(MAX_JSON_BYTES)),
        form,
    };
    let found = read_json(ctx, view, &key, wanted).await?;
    usage::charge(ctx, connection, found.usage(), Timestamp::now()).await?;
    // Whoever names ids knows which it did not get; their order is not the key's.
    let is_by_ids = matches!(order.filter, Some(KeyFilter::Ids(_)));
    let goes_on = found.truncated && !is_by_ids && view.open_key().is_some();
    let next_cursor = if goes_on {
        cursor::after(&view.table, &view.sent_columns(), &found.last)?
    } else {
        None
    };
    Ok(PulledRows {
        rows: found.rows,
        filtered: order.filter.is_some(),
        truncated: found.truncated,
        next_cursor,
    })
}

/// The rows that filter and cursor mean together.
fn wanted(view: &View, order: &PullOrder) -> Result<RowFilter, FilterFault> {
    let filter = order
        .filter
        .as_ref()
        .map(|filter| filter.on(view))
        .transpose()?;
    let Some(cursor) = &order.cursor else {
        return Ok(filter.unwrap_or(RowFilter::All));
    };
    if view.open_key().is_none() {
        return Err(FilterFault::Invalid);
    }
    let behind = cursor::rows_after(&view.table, cursor)?;
    match (filter, behind) {
        (None, behind) => Ok(behind),
        (Some(RowFilter::Between { column, start, end }), RowFilter::After { values, .. }) => {
            // A range is over one integer key, so behind a cursor it is a shorter range.
            let [KeyValue::Integer(last)] = values.as_slice() else {
                return Err(FilterFault::Invalid);
            };
            let next = last.checked_add(1).ok_or(FilterFault::Invalid)?;
            Ok(RowFilter::Between {
                column,
                start: Some(start.map_or(next, |start| start.max(next))),
                end,
            })
        }
        _ => Err(FilterFault::Invalid),
    }
}
