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
use crate::model::difference::KEPT;
use crate::model::order::TableOrder;
use crate::model::run::{Apply, ConflictStrategy, RunOrder, SyncMode};
use crate::sync::{Ctx, pull};

/// What a request may ask for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PullBody {
    tables: Vec<TableOrder>,
    #[serde(default)]
    sync_mode: SyncMode,
    #[serde(default)]
    conflict_strategy: ConflictStrategy,
    #[serde(default)]
    apply: Apply,
    #[serde(default)]
    create_missing: bool,
    #[serde(default)]
    shared: bool,
}

/// What to compare.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiffBody {
    tables: Vec<TableOrder>,
    rows: Option<u32>,
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

/// POST /connections/{id}/diff: what differs, and nothing is changed.
pub(super) async fn diff(
    State(ctx): State<Arc<Ctx>>,
    Extension(caller): Extension<Caller>,
    Path(text): Path<String>,
    JsonBody(body): JsonBody<DiffBody>,
) -> Result<Response, Problem> {
    let connection = id("connection", &text)?;
    let order = comparison_of(body)?;
    let run = pull::order(&ctx, connection, order, &caller.actor).await?;
    Ok(runs::made(run))
}

/// The refusal of a word that a later version knows.
pub(super) fn later(field: &str, word: &str) -> Problem {
    Problem::invalid(field, format!("`{word}` is not supported by this version"))
}

fn order_of(body: PullBody) -> Result<RunOrder, Problem> {
    if body.create_missing && body.apply != Apply::Yes {
        let message = "makes tables, and this run may not: ask `creation` what it would make";
        return Err(Problem::invalid("create_missing", message));
    }
    Ok(RunOrder {
        sync_mode: body.sync_mode,
        conflict_strategy: body.conflict_strategy,
        apply: body.apply,
        create_missing: body.create_missing,
        shared: body.shared,
        ..RunOrder::of(named(body.tables)?)
    })
}

/// Compared as a mirror would, so that what is only here is told, too.
fn comparison_of(body: DiffBody) -> Result<RunOrder, Problem> {
    let most = u32::try_from(KEPT).unwrap_or(u32::MAX);
    if body.rows.is_some_and(|rows| !(1..=most).contains(&rows)) {
        return Err(Problem::invalid(
            "rows",
            format!("must be a number from 1 to {most}"),
        ));
    }
    Ok(RunOrder {
        sync_mode: SyncMode::Mirror,
        apply: Apply::No,
        keep: body.rows,
        ..RunOrder::of(named(body.tables)?)
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
    use super::{DiffBody, PullBody, comparison_of, order_of};
    use crate::model::run::{Apply, ConflictStrategy, RunOrder, SyncMode};

    fn order(text: &str) -> Result<RunOrder, String> {
        let body: PullBody = serde_json::from_str(text).map_err(|err| err.to_string())?;
        order_of(body).map_err(|problem| problem.errors().first().unwrap().field.clone())
    }

    #[test]
    fn a_pull_inserts_and_updates_unless_it_says_otherwise() {
        let plain = order(r#"{"tables":["orders"]}"#).unwrap();
        assert_eq!(plain, RunOrder::of(plain.tables.clone()));
        assert_eq!(plain.apply, Apply::Yes);
        let text = r#"{"tables":["orders"],"sync_mode":"mirror","conflict_strategy":"newest","apply":"ask","shared":true}"#;
        let full = order(text).unwrap();
        let found = (full.sync_mode, full.conflict_strategy, full.apply);
        assert_eq!(
            found,
            (SyncMode::Mirror, ConflictStrategy::Newest, Apply::Ask)
        );
        assert!(full.shared);
    }

    #[test]
    fn what_cannot_be_ordered_is_refused_by_name() {
        for (text, field) in [
            (r#"{"tables":[]}"#, "tables"),
            (r#"{"tables":["a","b","a"]}"#, "tables[2]"),
            (
                r#"{"tables":["a"],"apply":"no","create_missing":true}"#,
                "create_missing",
            ),
        ] {
            assert_eq!(order(text), Err(field.to_owned()), "{text}");
        }
        let unknown = order(r#"{"tables":["a"],"apply":"maybe"}"#).unwrap_err();
        assert!(unknown.contains("maybe"), "{unknown}");
    }

    #[test]
    fn a_comparison_changes_nothing_and_tells_what_is_only_here() {
        let read = |text: &str| {
            let body: DiffBody = serde_json::from_str(text).unwrap();
            comparison_of(body)
        };
        let order = read(r#"{"tables":["orders"],"rows":20}"#).unwrap();
        assert_eq!(
            (order.apply, order.sync_mode),
            (Apply::No, SyncMode::Mirror)
        );
        assert_eq!(order.keep, Some(20));
        for rows in ["0", "10001"] {
            let text = format!(r#"{{"tables":["orders"],"rows":{rows}}}"#);
            let problem = read(&text).unwrap_err();
            assert_eq!(problem.errors()[0].field, "rows");
        }
    }
}
