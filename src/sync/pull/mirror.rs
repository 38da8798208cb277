//! Who may write beside a mirror: it deletes what its source lacks, so also what another sync wrote.
//!
//! Invariant: the rows of a table that a mirror covers have no other writer among the syncs, shared or not, unless both
//! take the same table of the same peer.

use crate::model::id::{ConnectionId, SyncId};
use crate::model::order::TableOrder;
use crate::model::run::{Apply, RunOrder, SyncMode};
use crate::model::sync::SyncDefinition;
use crate::sync::status::all_syncs;
use crate::sync::{Ctx, SyncError};

/// Refuses a mirror of rows that another sync than `own` writes, and a writer of rows that one mirrors.
pub(in crate::sync) async fn refuse_beside_mirror(
    ctx: &Ctx,
    connection: ConnectionId,
    asked: &RunOrder,
    own: Option<SyncId>,
) -> Result<(), SyncError> {
    if asked.apply == Apply::No {
        return Ok(());
    }
    let syncs = all_syncs(ctx).await?;
    for sync in syncs.iter().filter(|sync| Some(sync.id) != own) {
        let Some(message) = clash(connection, asked, sync) else {
            continue;
        };
        return Err(SyncError::Invalid {
            field: "tables",
            message,
        });
    }
    Ok(())
}

/// Of two connections, tables that nobody shares are kept apart already.
fn clash(connection: ConnectionId, asked: &RunOrder, sync: &SyncDefinition) -> Option<String> {
    let order = &sync.order;
    let one_peer = sync.connection_id == connection;
    if !one_peer && !asked.shared {
        return None;
    }
    for ours in &asked.tables {
        let table = ours.destination();
        let Some(theirs) = order.tables.iter().find(|it| it.destination() == table) else {
            continue;
        };
        let source = &theirs.source_table;
        if one_peer && *source == ours.source_table {
            continue;
        }
        let from = if one_peer {
            format!("the peer's {source}")
        } else {
            "another connection".to_owned()
        };
        let name = &sync.name;
        let filter = "give each a row_filter for its own rows";
        if order.sync_mode == SyncMode::Mirror && covers(theirs, ours) {
            return Some(format!(
                "{table} is a mirror of {from} (sync {name}), whose next run would delete these rows; {filter}"
            ));
        }
        if asked.sync_mode == SyncMode::Mirror && covers(ours, theirs) {
            return Some(format!(
                "a mirror of {table} would delete the rows that sync {name} writes into it from {from}; {filter}"
            ));
        }
    }
    None
}

/// Whether a mirror of `one` is sure to be of the rows of `other`, too: it is of all rows, or of the very same.
fn covers(one: &TableOrder, other: &TableOrder) -> bool {
    one.row_filter.is_none() || one.row_filter == other.row_filter
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::clash;
    use crate::model::fixture;
    use crate::model::id::ConnectionId;
    use crate::model::order::TableOrder;
    use crate::model::run::{RunOrder, SyncMode};

    #[test]
    fn nobody_writes_what_a_mirror_covers() {
        use SyncMode::{Mirror, Upsert};
        let table = |shop: Option<u32>| -> TableOrder {
            let filter = shop.map(|shop| json!({"column": "shop", "op": "=", "value": shop}));
            serde_json::from_value(json!({"source_table": "orders", "row_filter": filter})).unwrap()
        };
        for (name, (mode, ours), (known, theirs), refused) in [
            ("two writers", (Upsert, None), (Upsert, None), false),
            (
                "beside a mirror of all",
                (Upsert, Some(7)),
                (Mirror, None),
                true,
            ),
            ("a mirror of all", (Mirror, None), (Upsert, Some(7)), true),
            (
                "mirrors of two shops",
                (Mirror, Some(7)),
                (Mirror, Some(8)),
                false,
            ),
            (
                "mirrors of one shop",
                (Mirror, Some(7)),
                (Mirror, Some(7)),
                true,
            ),
            (
                "beside a mirror of a shop",
                (Upsert, Some(8)),
                (Mirror, Some(7)),
                false,
            ),
        ] {
            let mut sync = fixture::sync(&fixture::active(), &["items"]);
            sync.order.tables.push(table(theirs));
            sync.order.sync_mode = known;
            let asked = RunOrder {
                sync_mode: mode,
                shared: true,
                ..RunOrder::of(vec![table(ours)])
            };
            let told = clash(ConnectionId::generate(), &asked, &sync);
            assert_eq!(told.is_some(), refused, "{name}");
            let of_one_table = clash(sync.connection_id, &asked, &sync);
            assert_eq!(of_one_table, None, "{name}, of one table of one peer");
            sync.order.tables[1].source_table = "archive".parse().unwrap();
            sync.order.tables[1].destination_table = Some("orders".parse().unwrap());
            let told = clash(sync.connection_id, &asked, &sync);
            assert_eq!(told.is_some(), refused, "{name}, of two tables of one peer");
        }
    }
}
