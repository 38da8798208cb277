//! `POST table-records`: a few rows, in primary-key order.

use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::sync::Ctx;
use crate::sync::serve::{KeyFilter, RecordsPage, given_records};

const FAILED: &str = "Failed to get records";
const LIMIT: u64 = 10;
const MAX_LIMIT: u64 = 100;
const MAX_OFFSET: u64 = 1_000_000_000;

#[derive(Serialize)]
struct Records {
    success: bool,
    records: Vec<Box<RawValue>>,
}

/// Answers `table-records`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let form = request.form(ctx).await?;
    let [hash, table] = form.required_in_words(["auth_token_hash", "table_name"])?;
    let refused = |err| Refusal::of_serving(&err, FAILED);
    let admitted = request.admit(ctx, hash, FAILED).await?;
    let client = request.client();
    let (connection, name) = admitted.table(ctx, client, table).map_err(refused)?;
    let filter = KeyFilter::from_json(
        form.value("ids"),
        form.value("id_start"),
        form.value("id_end"),
    )
    .map_err(|fault| refused(fault.into()))?;
    let page = RecordsPage {
        limit: form.clamped("limit", LIMIT, 1, MAX_LIMIT),
        offset: form.clamped("offset", 0, 0, MAX_OFFSET),
        filter,
    };
    let records = given_records(ctx, &connection, client, &name, &page)
        .await
        .map_err(refused)?;
    Ok(ok(&Records {
        success: true,
        records: records.rows,
    }))
}
