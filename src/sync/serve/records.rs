//! Rows as JSON, a bounded number of them: the look before pulling, and what a JSON pull is made of.

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::engine::EngineError;
use crate::engine::driver::{Flow, Page, RowFilter, RowOrder, RowStream, Selection};
use crate::model::connection::Connection;
use crate::model::table::{NeutralType, TableName};
use crate::store::Usage;
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, granted_view};
use crate::sync::serve::fault::{FilterFault, ServeError};
use crate::sync::serve::filter::KeyFilter;
use crate::sync::serve::sorted::Smallest;
use crate::sync::serve::usage;
use crate::sync::serve::view::View;
use crate::wire::json::{JsonForm, row_to_json};
use crate::wire::mask::{Mask, PseudonymKey};
use crate::wire::row::RowWriter;

/// JSON of one answer at most, in bytes: beyond it the answer stops after a whole row.
pub(super) const MAX_JSON_BYTES: usize = 32 << 20;
/// Where the rows of a table whose order is hidden are put in order here, none beyond this can be paged to.
const SORTED_TO: u64 = 100_000;

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
) -> Result<JsonRows, ServeError> {
    let view = granted_view(ctx, connection, client, name).await?;
    let rows = match &page.filter {
        Some(filter) => filter.on(&view)?,
        None => RowFilter::All,
    };
    let order = JsonOrder {
        rows,
        offset: page.offset,
        keep: page.limit,
        bytes: MAX_JSON_BYTES,
        form: form_for(client),
    };
    let key = ctx.store.pseudonym_key(connection.id);
    read_json(ctx, &view, &key, order).await
}

/// The forms of values that a client takes.
pub(super) fn form_for(client: ClientKind) -> JsonForm {
    match client {
        ClientKind::Any => JsonForm::Published,
        ClientKind::PhoenixKit => JsonForm::PhoenixKit,
    }
}

/// Which rows to read as JSON, and how many.
#[derive(Debug)]
pub(super) struct JsonOrder {
    pub(super) rows: RowFilter,
    /// Rows left out before.
    pub(super) offset: u64,
    /// Rows at most.
    pub(super) keep: u64,
    /// Bytes of all rows at most; the first row is always there.
    pub(super) bytes: usize,
    /// How values are written.
    pub(super) form: JsonForm,
}

/// Rows as JSON, and where they stopped.
#[derive(Debug, Default)]
pub struct JsonRows {
    /// In the order of the primary key, where the peer sees it.
    pub rows: Vec<Box<RawValue>>,
    /// What they take.
    pub bytes: usize,
    /// The last of them in the row layout, as the peer sees it.
    pub(super) last: Vec<u8>,
    /// There were more.
    pub(super) truncated: bool,
}

impl JsonRows {
    /// What they take of a day's bounds.
    pub(super) fn usage(&self) -> Usage {
        Usage {
            rows: u64::try_from(self.rows.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(self.bytes).unwrap_or(u64::MAX),
        }
    }
}

/// Some rows of a table, for the peer itself: they count against its day.
///
/// # Errors
/// See [`visible_records`]; [`ServeError::Limit`] when the day has no room for them.
pub async fn given_records(
    ctx: &Ctx,
    connection: &Connection,
    client: ClientKind,
    name: &TableName,
    page: &RecordsPage,
) -> Result<JsonRows, ServeError> {
    let found = visible_records(ctx, connection, client, name, page).await?;
    usage::charge(ctx, connection, found.usage(), Timestamp::now()).await?;
    Ok(found)
}

/// Reads what `order` says of `view`, in the order of its primary key. Where the peer sees none, or one of pseudonyms,
/// the order is that of the rows as it sees them, and no other: that of the real key would tell what is hidden.
///
/// # Errors
/// The site database's; a stream without its end is one. [`FilterFault::Invalid`] for a page too far behind.
pub(super) async fn read_json(
    ctx: &Ctx,
    view: &View,
    key: &PseudonymKey,
    mut order: JsonOrder,
) -> Result<JsonRows, ServeError> {
    let columns = view.sent_columns();
    let reading = view.reading(&columns, key);
    let by_sight = view.order() == RowOrder::Shuffled;
    if by_sight {
        let room = SORTED_TO.checked_sub(order.offset).filter(|room| *room > 0);
        order.keep = order.keep.min(room.ok_or(FilterFault::TooFar)?);
    }
    let page = Page {
        order_by: match &view.table.primary_key {
            Some(key) => key.columns.clone(),
            None => Vec::new(),
        },
        // One more than is sent tells whether there are more.
        limit: order.keep.saturating_add(1),
        offset: order.offset,
    };
    let selection = Selection {
        table: view.table.name.clone(),
        columns: reading.columns,
        rows: order.rows,
        scope: view.scope.clone(),
        order: RowOrder::Found,
        page: Some(page).filter(|_| !by_sight),
    };
    let rows = Rows {
        table: view.table.name.clone(),
        stream: ctx.driver.read(selection).await?,
        mask: reading.mask,
    };
    let keep = usize::try_from(order.keep).unwrap_or(usize::MAX);
    let mut found = Gathered {
        columns,
        keep,
        most_bytes: order.bytes,
        form: order.form,
        rows: JsonRows::default(),
    };
    if by_sight {
        let skip = usize::try_from(order.offset).unwrap_or(usize::MAX);
        let mut smallest =
            Smallest::new(skip.saturating_add(keep).saturating_add(1), MAX_JSON_BYTES);
        rows.each(|tuple| {
            smallest.offer(tuple);
            Ok(true)
        })
        .await?;
        found.rows.truncated = smallest.is_short();
        for tuple in smallest.into_sorted().iter().skip(skip) {
            if !found.add(tuple)? {
                break;
            }
        }
    } else {
        rows.each(|tuple| found.add(tuple)).await?;
    }
    Ok(found.rows)
}

/// Rows as the peer sees them.
struct Rows {
    table: TableName,
    stream: RowStream,
    mask: Option<Mask>,
}

impl Rows {
    /// Hands over row by row until there are no more, or no more are wanted.
    async fn each(
        mut self,
        mut take: impl FnMut(&[u8]) -> Result<bool, ServeError>,
    ) -> Result<(), ServeError> {
        loop {
            let batch = match self.stream.recv().await {
                Some(Ok(Flow::Rows(batch))) => batch,
                Some(Ok(Flow::End)) => return Ok(()),
                Some(Err(err)) => return Err(err.into()),
                None => return Err(EngineError::Cut(self.table).into()),
            };
            for tuple in batch.tuples() {
                let goes_on = match &self.mask {
                    None => take(tuple?)?,
                    Some(mask) => {
                        let mut row = RowWriter::default();
                        mask.write(tuple?, &mut row)?;
                        take(&row.take().data)?
                    }
                };
                if !goes_on {
                    return Ok(());
                }
            }
        }
    }
}

/// Rows of an answer so far.
struct Gathered {
    columns: Vec<(String, NeutralType)>,
    keep: usize,
    most_bytes: usize,
    form: JsonForm,
    rows: JsonRows,
}

impl Gathered {
    /// Adds a row; false when the answer is full, and there was this row more.
    fn add(&mut self, tuple: &[u8]) -> Result<bool, ServeError> {
        let row = row_to_json(self.form, &self.columns, tuple)?;
        let bytes = self.rows.bytes + row.get().len() + 1;
        let is_too_much = bytes > self.most_bytes && !self.rows.rows.is_empty();
        if self.rows.rows.len() >= self.keep || is_too_much {
            self.rows.truncated = true;
            return Ok(false);
        }
        self.rows.bytes = bytes;
        self.rows.rows.push(row);
        self.rows.last.clear();
        self.rows.last.extend_from_slice(tuple);
        Ok(true)
    }
}
