//! Before any row moves: both catalogues, missing tables made, a contract for each table, parents first.

use crate::engine::driver::NewTable;
use crate::model::run::Run;
use crate::model::table::{ForeignKey, Table, TableName, UniqueKey, parents_first};
use crate::remote::RemoteError;
use crate::sync::contract::{Contract, agree, refuse_keyless, source_column};
use crate::sync::pull::{Source, is_done};
use crate::sync::{Ctx, SyncError};
use crate::wire::messages::Catalogue;

/// One table to pull.
pub(super) struct TablePull {
    pub(super) target: Table,
    pub(super) contract: Contract,
    pub(super) rows_estimate: Option<u64>,
}

/// A table as both sides know it.
pub(super) struct Sides {
    name: TableName,
    there: Catalogue,
    here: Option<Table>,
}

/// Decides everything that can be decided before rows move. Tables that earlier attempts finished are left out.
pub(super) async fn make(
    ctx: &Ctx,
    run: &mut Run,
    source: &Source,
) -> Result<Vec<TablePull>, SyncError> {
    let waiting: Vec<TableName> = run
        .tables
        .iter()
        .filter(|table| !is_done(table.status))
        .map(|table| table.table.clone())
        .collect();
    let mut sides = look(ctx, &waiting, source).await?;
    if run.order.create_missing {
        refuse_before_making(ctx, run, &sides)?;
        create(ctx, &mut sides).await?;
    }
    let mut pulls = Vec::with_capacity(sides.len());
    for side in sides {
        let target = side.here.ok_or_else(|| missing_here(&side.name))?;
        let contract = agree(
            &side.there,
            &target,
            ctx.driver.engine(),
            run.order.sync_mode,
        )?;
        pulls.push(TablePull {
            target,
            contract,
            rows_estimate: side.there.row_estimate,
        });
    }
    // A peer may estimate anything, so that the sum may be beyond all numbers.
    run.progress.rows_total = pulls.iter().try_fold(run.progress.rows, |total, pull| {
        pull.rows_estimate.map(|rows| total.saturating_add(rows))
    });
    let targets: Vec<Table> = pulls.iter().map(|pull| pull.target.clone()).collect();
    let mut pulls: Vec<Option<TablePull>> = pulls.into_iter().map(Some).collect();
    Ok(parents_first(&targets)
        .into_iter()
        .filter_map(|at| pulls.get_mut(at)?.take())
        .collect())
}

/// Asks both sides for each table.
pub(super) async fn look(
    ctx: &Ctx,
    tables: &[TableName],
    source: &Source,
) -> Result<Vec<Sides>, SyncError> {
    let mut sides = Vec::with_capacity(tables.len());
    for name in tables {
        let (_, catalogue) = source
            .peer
            .schema(&source.token_hash, name)
            .await
            .map_err(|err| refused(name, err))?;
        let there = catalogue.ok_or_else(|| {
            source.host_error("it describes its tables without the `evenkeel` object; pulling from other software comes later")
        })?;
        sides.push(Sides {
            name: name.clone(),
            there,
            here: ctx.driver.table(name).await?,
        });
    }
    Ok(sides)
}

/// A refusal that is about one table names it.
fn refused(table: &TableName, err: RemoteError) -> SyncError {
    let (code, message, hint) = match &err {
        RemoteError::Refused {
            status: 404, host, ..
        } => (
            "unknown_table",
            format!("{host} has no table of this name"),
            "see what it offers: evenkeel tables",
        ),
        RemoteError::Refused {
            status: 403,
            host,
            message,
            ..
        } if message.contains("authorised") => (
            "not_granted",
            format!("{host} does not grant it to this site"),
            "check the spelling (`evenkeel tables CONNECTION` lists what is granted), or ask its administrator: there, `evenkeel connections edit CONNECTION --tables` and the whole new list",
        ),
        _ => return err.into(),
    };
    SyncError::Contract {
        table: table.clone(),
        code,
        message,
        hint: hint.to_owned(),
    }
}

/// No table is made for a run that cannot be done as a whole.
fn refuse_before_making(ctx: &Ctx, run: &Run, sides: &[Sides]) -> Result<(), SyncError> {
    for side in sides {
        match &side.here {
            Some(target) => {
                let engine = ctx.driver.engine();
                agree(&side.there, target, engine, run.order.sync_mode).map(drop)?;
            }
            None => refuse_keyless(&side.there, &described(&side.name, &side.there))?,
        }
    }
    Ok(())
}

async fn create(ctx: &Ctx, sides: &mut [Sides]) -> Result<(), SyncError> {
    let new = missing(sides);
    if new.is_empty() {
        return Ok(());
    }
    ctx.driver.create(&new).await?;
    for side in sides.iter_mut().filter(|side| side.here.is_none()) {
        tracing::info!(table = %side.name, "made a table that was missing");
        side.here = ctx.driver.table(&side.name).await?;
    }
    Ok(())
}

/// The tables that are missing here, parents first.
pub(super) fn missing(sides: &[Sides]) -> Vec<NewTable> {
    let new: Vec<NewTable> = sides
        .iter()
        .filter(|side| side.here.is_none())
        .map(|side| NewTable {
            table: described(&side.name, &side.there),
            source: side.there.engine,
        })
        .collect();
    let tables: Vec<Table> = new.iter().map(|new| new.table.clone()).collect();
    parents_first(&tables)
        .into_iter()
        .filter_map(|at| new.get(at).cloned())
        .collect()
}

/// A peer's table in our words. Nothing of it is trusted: `create` takes only names, neutral types and keys.
fn described(name: &TableName, there: &Catalogue) -> Table {
    let key = |columns: &Vec<String>| UniqueKey {
        columns: columns.clone(),
        folded: false,
    };
    Table {
        name: name.clone(),
        columns: there.columns.iter().map(source_column).collect(),
        primary_key: Some(&there.primary_key)
            .filter(|columns| !columns.is_empty())
            .map(key),
        unique: there
            .unique
            .iter()
            .filter(|columns| **columns != there.primary_key)
            .map(key)
            .collect(),
        foreign_keys: there
            .foreign_keys
            .iter()
            .map(|foreign| ForeignKey {
                columns: foreign.columns.clone(),
                table: foreign.table.clone(),
                foreign_columns: foreign.foreign_columns.clone(),
                on_delete: foreign.on_delete.clone(),
            })
            .collect(),
        triggers: Vec::new(),
        row_estimate: None,
        size_bytes: None,
        not_writable: None,
    }
}

fn missing_here(table: &TableName) -> SyncError {
    SyncError::Contract {
        table: table.clone(),
        code: "missing_here",
        message: "this site's database has no such table".to_owned(),
        hint: "make it, or let --create make it".to_owned(),
    }
}
