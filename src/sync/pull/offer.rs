//! What the peer of a receiving connection offers, with what is here beside it: the look before pulling.
//!
//! Moves nothing, makes nothing, and never scans a table of this site.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::connection::Connection;
use crate::model::outcome::Outcome;
use crate::model::table::{Table, TableName};
use crate::remote::RemoteError;
use crate::sync::pull::Source;
use crate::sync::{Ctx, SyncError};
use crate::wire::messages::{Catalogue, ListedTable};

/// Schemas asked of the peer at a time.
const AT_ONCE: usize = 4;
/// Beyond this many tables their keys are left out rather than asked for one by one.
const MOST_SCHEMAS: usize = 50;

/// A table the peer offers.
#[derive(Clone, Debug)]
pub struct OfferedTable {
    /// As the peer lists it.
    pub listed: ListedTable,
    /// Its primary key there; `None` where the peer was not asked or does not say.
    pub primary_key: Option<Vec<String>>,
    /// The table of the same name here.
    pub here: Option<Table>,
    /// What the last run said about it; `None` before the first.
    pub outcome: Option<Outcome>,
}

/// The tables the peer offers. Without the site database they are still told, each as missing here.
///
/// # Errors
/// The peer's refusal, or why it could not be asked.
pub async fn offered_tables(
    ctx: &Ctx,
    connection: &Connection,
) -> Result<Vec<OfferedTable>, SyncError> {
    let here = ctx.driver.tables().await.unwrap_or_else(|err| {
        tracing::warn!(%err, "the site's own tables cannot be shown beside a peer's");
        Vec::new()
    });
    let mut here: BTreeMap<String, Table> = here
        .into_iter()
        .map(|table| (table.name.to_string(), table))
        .collect();
    let outcomes = ctx.store.outcomes(connection.id).await?;
    let mut outcomes: BTreeMap<String, Outcome> = outcomes
        .into_iter()
        .map(|outcome| (outcome.table.to_string(), outcome))
        .collect();
    let source = Source::open(ctx, connection).await?;
    let listed = source.peer.tables(&source.credentials).await?;
    let mut keys = primary_keys(&source, &listed).await;
    Ok(listed
        .into_iter()
        .map(|listed| OfferedTable {
            primary_key: keys.remove(&listed.name),
            here: here.remove(&listed.name),
            outcome: outcomes.remove(&listed.name),
            listed,
        })
        .collect())
}

/// The primary keys at the peer; a table whose schema it does not give is left out.
async fn primary_keys(source: &Source, listed: &[ListedTable]) -> BTreeMap<String, Vec<String>> {
    if listed.len() > MOST_SCHEMAS {
        return BTreeMap::new();
    }
    let names: Vec<String> = listed.iter().map(|table| table.name.clone()).collect();
    stream::iter(names)
        .map(|name| async move {
            let table: TableName = name.parse().ok()?;
            let asked = source.peer.schema(&source.credentials, &table).await;
            let (schema, catalogue) = asked.ok()?;
            let key = match catalogue {
                Some(catalogue) => catalogue.primary_key,
                None => serde_json::from_value(schema.get("primary_key")?.clone()).ok()?,
            };
            Some((name, key))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

/// A table's shape as the peer tells it.
#[derive(Clone, Debug)]
pub struct OfferedSchema {
    /// As the protocol publishes it; a peer may have sent anything.
    pub published: Value,
    /// From an Evenkeel.
    pub catalogue: Option<Catalogue>,
    /// The table of the same name here.
    pub here: Option<Table>,
}

/// The shape of one table the peer offers.
///
/// # Errors
/// When the peer does not know the table, refuses, or could not be asked; or the site database's.
pub async fn offered_schema(
    ctx: &Ctx,
    connection: &Connection,
    table: &TableName,
) -> Result<OfferedSchema, SyncError> {
    let source = Source::open(ctx, connection).await?;
    let asked = source.peer.schema(&source.credentials, table).await;
    let (published, catalogue) = asked.map_err(|err| unknown_there(table, err))?;
    Ok(OfferedSchema {
        published,
        catalogue,
        here: ctx.driver.table(table).await?,
    })
}

/// A few rows of one table the peer offers, as the peer renders them.
///
/// # Errors
/// When the peer does not know the table, refuses, or could not be asked.
pub async fn offered_records(
    ctx: &Ctx,
    connection: &Connection,
    table: &TableName,
    limit: u32,
    offset: u64,
) -> Result<Vec<Box<RawValue>>, SyncError> {
    let source = Source::open(ctx, connection).await?;
    source
        .peer
        .records(&source.credentials, table, limit, offset)
        .await
        .map_err(|err| unknown_there(table, err))
}

/// A table that the peer does not know is unknown, like one that this site does not know.
fn unknown_there(table: &TableName, err: RemoteError) -> SyncError {
    match err {
        RemoteError::Refused { status: 404, .. } => SyncError::Unknown {
            what: "table",
            name: format!("{table} at the peer"),
        },
        err => err.into(),
    }
}
