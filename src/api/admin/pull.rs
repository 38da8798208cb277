//! `/connections/{id}/pull`: ordering a run, and what it would have to make first.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use crate::api::admin::request::{JsonBody, id};
use crate::api::admin::runs;
use crate::api::auth::Caller;
use crate::api::problem::Problem;
use crate::model::order::TableOrder;
use crate::model::run::{ConflictStrategy, RunOrder, SyncMode};
use crate::sync::{Ctx, pull};

/// What a request may ask for; some of it comes in a later version and is refused by name until then.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullBody {
    tables: Vec<TableOrder>,
    #[serde(default)]
    sync_mode: AskedMode,
    #[serde(default)]
    conflict_strategy: AskedStrategy,
    #[serde(default)]
    apply: AskedApply,
    #[serde(default)]
    create_missing: bool,
    #[serde(default)]
    shared: bool,
}

/// A mode by its word, also one that comes in a later version.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AskedMode {
    #[default]
    Upsert,
    Insert,
    Update,
    Mirror,
}

/// A strategy by its word, also one that comes in a later version.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AskedStrategy {
    #[default]
    Overwrite,
    Skip,
    Merge,
    Newest,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AskedApply {
    #[default]
    Yes,
    Ask,
    No,
}

/// POST /connections/{id}/pull
pub(super) async fn order(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<PullBody>,
) -> Result<Response, Problem> {
    let connection = id("connection", &text)?;
    let order = order_of(body)?;
    let run = pull::order(&ctx, connection, order, &caller.actor).await?;
    Ok(runs::made(run))
}

impl AskedMode {
    /// The mode, unless it comes later.
    pub(super) fn known(self) -> Result<SyncMode, Problem> {
        match self {
            Self::Upsert => Ok(SyncMode::Upsert),
            Self::Insert => Ok(SyncMode::Insert),
            Self::Update => Ok(SyncMode::Update),
            Self::Mirror => Err(later("sync_mode", "mirror")),
        }
    }
}

impl AskedStrategy {
    /// The strategy, unless it comes later.
    pub(super) fn known(self) -> Result<ConflictStrategy, Problem> {
        match self {
            Self::Overwrite => Ok(ConflictStrategy::Overwrite),
            Self::Skip => Ok(ConflictStrategy::Skip),
            Self::Merge => Ok(ConflictStrategy::Merge),
            Self::Newest => Err(later("conflict_strategy", "newest")),
        }
    }
}

/// The refusal of a word that a later version knows.
pub(super) fn later(field: &str, word: &str) -> Problem {
    Problem::invalid(field, format!("`{word}` is not supported by this version"))
}

fn order_of(body: PullBody) -> Result<RunOrder, Problem> {
    let sync_mode = body.sync_mode.known()?;
    let conflict_strategy = body.conflict_strategy.known()?;
    match body.apply {
        AskedApply::Yes => {}
        AskedApply::Ask => return Err(later("apply", "ask")),
        AskedApply::No => return Err(later("apply", "no")),
    }
    Ok(RunOrder {
        tables: named(body.tables)?,
        sync_mode,
        conflict_strategy,
        apply: Default::default(),
        create_missing: body.create_missing,
        shared: body.shared,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CreationBody {
    tables: Vec<TableOrder>,
}

#[derive(Serialize)]
pub(super) struct CreationView {
    statements: Vec<String>,
    left_out: Vec<String>,
}

/// POST /connections/{id}/creation: what `create_missing` would make; makes nothing.
pub(super) async fn creation(
    State(ctx): State<Arc<Ctx>>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<CreationBody>,
) -> Result<Json<CreationView>, Problem> {
    let tables = named(body.tables)?;
    let plan = pull::plan_creation(&ctx, id("connection", &text)?, &tables).await?;
    Ok(Json(CreationView {
        statements: plan.statements,
        left_out: plan.left_out,
    }))
}

/// At least one table, and none of this site twice.
pub(super) fn named(tables: Vec<TableOrder>) -> Result<Vec<TableOrder>, Problem> {
    if tables.is_empty() {
        return Err(Problem::invalid("tables", "must name at least one table"));
    }
    for (at, table) in tables.iter().enumerate() {
        let written = table.destination();
        if tables
            .iter()
            .take(at)
            .any(|earlier| earlier.destination() == written)
        {
            let message = format!("{written} would be written twice");
            return Err(Problem::invalid(format!("tables[{at}]"), message));
        }
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::{PullBody, order_of};
    use crate::model::run::{ConflictStrategy, SyncMode};

    fn order(text: &str) -> Result<(SyncMode, ConflictStrategy), String> {
        let body: PullBody = serde_json::from_str(text).map_err(|err| err.to_string())?;
        order_of(body)
            .map(|order| (order.sync_mode, order.conflict_strategy))
            .map_err(|problem| problem.errors().first().unwrap().field.clone())
    }

    #[test]
    fn a_pull_inserts_and_updates_unless_it_says_otherwise() {
        let expected = Ok((SyncMode::Upsert, ConflictStrategy::Overwrite));
        assert_eq!(order(r#"{"tables":["orders"]}"#), expected);
    }

    #[test]
    fn what_a_later_version_can_do_is_refused_by_name() {
        for (field, word) in [
            ("sync_mode", "mirror"),
            ("conflict_strategy", "newest"),
            ("apply", "ask"),
            ("apply", "no"),
        ] {
            let text = format!(r#"{{"tables":["orders"],"{field}":"{word}"}}"#);
            assert_eq!(order(&text), Err(field.to_owned()), "{word}");
        }
        assert_eq!(order(r#"{"tables":[]}"#), Err("tables".to_owned()));
        let twice = r#"{"tables":["a","b","a"]}"#;
        assert_eq!(order(twice), Err("tables[2]".to_owned()));
    }
}
