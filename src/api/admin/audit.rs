//! `/audit`: who did what, from where.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;

use crate::api::admin::request::{List, PageParameters, Parameters};
use crate::api::problem::Problem;
use crate::store::AuditEntry;
use crate::sync::Ctx;

#[derive(Serialize)]
pub(super) struct EntryView {
    at: Timestamp,
    actor: String,
    address: Option<String>,
    action: String,
    subject: String,
    detail: Option<String>,
}

impl From<AuditEntry> for EntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            at: entry.at,
            actor: entry.actor,
            address: entry.address,
            action: entry.action,
            subject: entry.subject,
            detail: entry.detail,
        }
    }
}

/// GET: the newest entries, one page of them.
pub(super) async fn list(
    State(ctx): State<Arc<Ctx>>,
    Parameters(parameters): Parameters<PageParameters>,
) -> Result<Json<List<EntryView>>, Problem> {
    let page = parameters.page::<u64>()?;
    if page.before.is_some() {
        let message = "is not supported here by this version; ask for more with limit";
        return Err(Problem::invalid("cursor", message));
    }
    let entries = ctx.store.audit_entries(page.limit).await?;
    let items = entries.into_iter().map(EntryView::from).collect();
    Ok(Json(List::whole(items)))
}
