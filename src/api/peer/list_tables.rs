//! `POST list-tables`: the tables this connection may pull.

use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::{VisibleTable, visible_tables};
use crate::wire::messages::ListedTable;

const FAILED: &str = "Failed to list tables";

/// Answers `list-tables`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash] = form.required(["auth_token_hash"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit(ctx, hash, FAILED).await?;
    let connection = admitted.within_limits().map_err(refused)?;
    let tables = visible_tables(ctx, &connection, request.client())
        .await
        .map_err(refused)?;
    let tables: Vec<ListedTable> = tables.iter().map(listed).collect();
    Ok(ok(&json!({"success": true, "tables": tables})))
}

fn listed(table: &VisibleTable) -> ListedTable {
    ListedTable {
        name: table.name.to_string(),
        row_count: table.rows,
        size_bytes: table.size_bytes,
        checksum: None,
        depends_on: table.depends_on.iter().map(ToString::to_string).collect(),
    }
}
