//! `/runs/{id}/receipts` and `/connections/{id}/receipts`: what both sites signed, exactly as it was signed.
//!
//! A receiving site has runs; a giving one finds what it signed by connection.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use crate::api::admin::request::{List, PageParameters, Parameters, with_one_more};
use crate::api::admin::{connections, runs};
use crate::api::problem::Problem;
use crate::model::id::ReceiptId;
use crate::store::{KeptReceipt, ReceiptFilter};
use crate::sync::Ctx;
use crate::wire::receipt::Receipt;

type Answer = Result<Json<List<Receipt>>, Problem>;

/// GET /runs/{id}/receipts
pub(super) async fn of_run(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Answer {
    let filter = ReceiptFilter {
        run: Some(runs::find(&ctx, &text).await?.id),
        ..ReceiptFilter::default()
    };
    page_of(&ctx, &filter, &parameters).await
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Filters {
    table: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// GET /connections/{id}/receipts
pub(super) async fn of_connection(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    Parameters(filters): Parameters<Filters>,
) -> Answer {
    let table = filters.table.as_deref().map(str::parse).transpose();
    let filter = ReceiptFilter {
        connection: Some(connections::find(&ctx, &text).await?.id),
        run: None,
        table: table.map_err(|_| Problem::invalid("table", "is not the name of a table"))?,
    };
    let parameters = PageParameters {
        limit: filters.limit,
        cursor: filters.cursor,
    };
    page_of(&ctx, &filter, &parameters).await
}

async fn page_of(ctx: &Ctx, filter: &ReceiptFilter, parameters: &PageParameters) -> Answer {
    let page = parameters.page::<ReceiptId>()?;
    let found = ctx.store.receipts(filter, with_one_more(page)).await?;
    Ok(Json(List::page(
        found,
        page.limit,
        |kept| kept.id.to_string(),
        |KeptReceipt { receipt, .. }| receipt,
    )))
}
