//! `POST table-schema`: a table's shape.

use axum::response::Response;
use serde_json::json;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::visible_schema;

const FAILED: &str = "Failed to get schema";

/// Answers `table-schema`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash, table] = form.required_in_words(["auth_token_hash", "table_name"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit(ctx, hash, FAILED).await?;
    let client = request.client();
    let (connection, name) = admitted.table(ctx, client, table).map_err(refused)?;
    let shape = visible_schema(ctx, &connection, client, &name)
        .await
        .map_err(refused)?;
    Ok(ok(&json!({
        "success": true,
        "schema": shape.schema,
        "evenkeel": shape.evenkeel,
    })))
}
