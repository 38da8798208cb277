//! Where a grant and the tables no longer fit together: columns that nobody has classified, filters that fit no more.

use crate::model::connection::{Connection, Direction, Status};
use crate::model::table::Table;
use crate::model::trouble::{Gap, GrantGap};
use crate::sync::Ctx;
use crate::sync::serve::access::{ClientKind, is_visible};
use crate::sync::serve::view::View;

/// The gaps of these connections. Asks the site database only where some grant has rules for columns or rows, and says
/// nothing where it does not answer: that is told elsewhere.
pub async fn gaps(ctx: &Ctx, connections: &[Connection]) -> Vec<GrantGap> {
    let ruled: Vec<&Connection> = connections.iter().filter(|row| has_rules(row)).collect();
    if ruled.is_empty() {
        return Vec::new();
    }
    let tables = match ctx.driver.tables().await {
        Ok(tables) => tables,
        Err(err) => {
            tracing::debug!(%err, "grants were not held against the tables");
            return Vec::new();
        }
    };
    let of_one = |connection: &&Connection| gaps_of(ctx, connection, &tables);
    ruled.iter().flat_map(of_one).collect()
}

fn has_rules(connection: &Connection) -> bool {
    let grant = &connection.grant;
    connection.direction == Direction::Sender
        && connection.status() < Status::Expired
        && !(grant.columns.is_empty() && grant.row_filter.is_empty())
}

fn gaps_of(ctx: &Ctx, connection: &Connection, tables: &[Table]) -> Vec<GrantGap> {
    let grant = &connection.grant;
    let seen = tables.iter().filter(|table| {
        let is_ruled =
            grant.columns.contains_key(&table.name) || grant.row_filter.contains_key(&table.name);
        is_ruled && is_visible(ctx, connection, ClientKind::Any, &table.name)
    });
    let gap = |table: &Table| {
        let gap = match View::of(table.clone(), grant, |_| true) {
            Err(err) => Gap::Misfit(err.to_string()),
            Ok(view) if view.unclassified.is_empty() => return None,
            Ok(view) => Gap::Unclassified(view.unclassified),
        };
        Some(GrantGap {
            connection: connection.id,
            table: table.name.clone(),
            gap,
        })
    };
    seen.filter_map(gap).collect()
}
