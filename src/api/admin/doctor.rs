//! `/doctor`: every check of the set-up, with what to do. What is checked stands in `sync/doctor.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::model::finding::Finding;
use crate::sync::{Ctx, doctor};

#[derive(Serialize)]
pub(super) struct FindingView {
    ok: bool,
    what: String,
    hint: Option<String>,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            ok: finding.ok,
            what: finding.what,
            hint: finding.hint,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Findings {
    findings: Vec<FindingView>,
}

/// GET
pub(super) async fn show(State(ctx): State<Arc<Ctx>>) -> Json<Findings> {
    let findings = doctor::findings(&ctx).await;
    Json(Findings {
        findings: findings.into_iter().map(FindingView::from).collect(),
    })
}
