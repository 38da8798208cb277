//! Before any row moves: both catalogues, missing tables made, a contract for each table, parents first.

use crate::engine::driver::NewTable;
use crate::model::fault::FaultCode;
use crate::model::filter::Filter;
use crate::model::order::TableOrder;
use crate::model::run::{Apply, ConflictStrategy, Run, SyncMode};
use crate::model::table::{Engine, Table, TableName, parents_first};
use crate::remote::RemoteError;
use crate::sync::contract::{Contract, refuse};
use crate::sync::mapping::MappedSource;
use crate::sync::pull::given::GivenRows;
use crate::sync::pull::published::{Counts, Sends, catalogue_of};
use crate::sync::pull::session::Session;
use crate::sync::pull::{Source, is_done};
use crate::sync::{Ctx, SyncError};
use crate::wire::messages::{Catalogue, PublishedRefusal};
use crate::wire::scope::Condition;

/// One table to pull.
pub(super) struct TablePull {
    /// Its name at the source.
    pub(super) source: TableName,
    /// The rows that travel; `None`: all.
    pub(super) filter: Option<Filter>,
    /// What must hold of the field at each of these places of a row that comes.
    pub(super) checks: Vec<(usize, Condition)>,
    pub(super) target: Table,
    pub(super) contract: Contract,
    pub(super) rows_estimate: Option<u64>,
    pub(super) sends: Sends,
    /// The source's.
    pub(super) engine: Engine,
    /// Which of its rows there are for this site, as a session tells.
    pub(super) given: GivenRows,
}

impl TablePull {
    /// What a refusal of the contract means. Peers of earlier versions know of no table without a key.
    pub(super) fn refused_contract(&self, err: SyncError) -> SyncError {
        let is_about_the_key = matches!(
            &err,
            SyncError::Remote(RemoteError::Refused { status: 400, code: Some(code), .. }) if code == "invalid_agreed"
        );
        match is_about_the_key && self.contract.is_keyless() {
            false => err,
            true => refuse(
                &self.target.name,
                FaultCode::NoKey,
                "both sides have no key in common, and the peer's version compares no table without one".to_owned(),
                "update Evenkeel on the peer, or add the same primary key on both sides",
            ),
        }
    }
}

/// Who says what the source's tables are like.
#[derive(Clone, Copy)]
pub(super) enum Told<'a> {
    /// The peer, asked for each.
    Peer(&'a Source),
    /// A session, at its moment.
    Session(&'a Session<'a>),
}

/// A table as both sides know it.
pub(super) struct Sides<'a> {
    order: &'a TableOrder,
    there: MappedSource,
    here: Option<Table>,
    sends: Sends,
    given: GivenRows,
}

/// Decides everything that can be decided before the rows of `orders`, which are of `run`, move.
pub(super) async fn make(
    ctx: &Ctx,
    run: &mut Run,
    orders: &[TableOrder],
    told: Told<'_>,
) -> Result<Vec<TablePull>, SyncError> {
    let tables = &run.order.tables;
    let mut sides = look(ctx, orders.iter(), tables, told).await?;
    if run.order.create_missing && run.order.apply == Apply::Yes {
        refuse_before_making(ctx, run, &sides)?;
        create(ctx, &mut sides).await?;
    }
    let mut pulls = Vec::with_capacity(sides.len());
    for side in sides {
        let target = side
            .here
            .ok_or_else(|| missing_here(side.order.destination()))?;
        let contract = side.there.agree(&target, ctx.driver.engine(), rules(run))?;
        pulls.push(TablePull {
            source: side.order.source_table.clone(),
            filter: side.order.row_filter.clone(),
            checks: side.there.checks(&contract),
            target,
            contract,
            rows_estimate: side.there.row_estimate(),
            sends: side.sends,
            engine: side.there.engine(),
            given: side.given,
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

fn rules(run: &Run) -> (SyncMode, ConflictStrategy) {
    (run.order.sync_mode, run.order.conflict_strategy)
}

/// The tables of a run that no earlier attempt finished.
pub(super) fn waiting(run: &Run) -> impl Iterator<Item = &TableOrder> {
    run.order.tables.iter().filter(|order| {
        let mut done = run.tables.iter().filter(|table| is_done(table.status));
        !done.any(|table| table.table == *order.destination())
    })
}

/// The same, by session: in one of them each of the source's tables stands once.
pub(super) fn rounds(run: &Run) -> Vec<Vec<TableOrder>> {
    let mut rounds: Vec<Vec<TableOrder>> = Vec::new();
    for order in waiting(run) {
        let has = |round: &&mut Vec<TableOrder>| {
            let mut others = round.iter();
            others.all(|other| other.source_table != order.source_table)
        };
        match rounds.iter_mut().find(has) {
            Some(round) => round.push(order.clone()),
            None => rounds.push(vec![order.clone()]),
        }
    }
    rounds
}

/// Asks both sides for each of `wanted`, which are among the tables of `run`.
pub(super) async fn look<'a>(
    ctx: &Ctx,
    wanted: impl Iterator<Item = &'a TableOrder>,
    run: &[TableOrder],
    told: Told<'_>,
) -> Result<Vec<Sides<'a>>, SyncError> {
    let (mut sides, mut counts) = (Vec::new(), Counts::default());
    for order in wanted {
        let here = ctx.driver.table(order.destination()).await?;
        let (there, sends, given) = match told {
            Told::Peer(source) => {
                let (there, sends) = asked(source, order, here.as_ref(), &mut counts).await?;
                (there, sends, GivenRows::default())
            }
            Told::Session(session) => {
                let mut tables = session.tables().iter();
                let table = tables
                    .find(|table| table.table == order.source_table)
                    .ok_or_else(|| missing_there(&order.source_table))?;
                let given = GivenRows::told(order, table)?;
                (table.evenkeel.clone(), Sends::Frames, given)
            }
        };
        sides.push(Sides {
            order,
            there: MappedSource::new(there, &given.order(order), run)?,
            here,
            sends,
            given,
        });
    }
    Ok(sides)
}

async fn asked(
    source: &Source,
    order: &TableOrder,
    here: Option<&Table>,
    counts: &mut Counts,
) -> Result<(Catalogue, Sends), SyncError> {
    let name = &order.source_table;
    let told = source.peer.schema(&source.credentials, name).await;
    let (published, catalogue) = told.map_err(|err| refused(name, err))?;
    if let Some(catalogue) = catalogue {
        return Ok((catalogue, Sends::Frames));
    }
    let rows = counts.of(source, name).await?;
    let there = catalogue_of(source, order, (&published, rows), here)?;
    Ok((there, Sends::Json { rows }))
}

fn missing_there(table: &TableName) -> SyncError {
    refuse(
        table,
        FaultCode::UnknownTable,
        "the peer's session is not over it".to_owned(),
        "see what it offers: evenkeel tables CONNECTION",
    )
}

/// A refusal that is about one table names it.
pub(super) fn refused(table: &TableName, err: RemoteError) -> SyncError {
    let (code, message, hint) = match &err {
        RemoteError::Refused {
            status: 404, host, ..
        } => (
            FaultCode::UnknownTable,
            format!("{host} has no table of this name"),
            "see what it offers: evenkeel tables CONNECTION",
        ),
        RemoteError::Refused { host, .. }
            if err.published() == Some(PublishedRefusal::TableNotGranted) =>
        {
            (
                FaultCode::NotGranted,
                format!("{host} does not grant it to this site"),
                "check the spelling (`evenkeel tables CONNECTION` lists what is granted), or ask its administrator: there, `evenkeel connections edit CONNECTION --tables` and the whole new list",
            )
        }
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
fn refuse_before_making(ctx: &Ctx, run: &Run, sides: &[Sides<'_>]) -> Result<(), SyncError> {
    let engine = ctx.driver.engine();
    for side in sides {
        match &side.here {
            Some(target) => {
                let agreed = side.there.agree(target, engine, rules(run));
                agreed.map(drop)?;
            }
            None => side.there.refuse_making(engine, rules(run))?,
        }
    }
    Ok(())
}

async fn create(ctx: &Ctx, sides: &mut [Sides<'_>]) -> Result<(), SyncError> {
    let new = missing(sides);
    if new.is_empty() {
        return Ok(());
    }
    ctx.driver.create(&new).await?;
    for side in sides.iter_mut().filter(|side| side.here.is_none()) {
        let table = side.order.destination();
        tracing::info!(%table, "made a table that was missing");
        side.here = ctx.driver.table(table).await?;
    }
    Ok(())
}

/// The tables that are missing here, parents first.
pub(super) fn missing(sides: &[Sides<'_>]) -> Vec<NewTable> {
    let new: Vec<NewTable> = sides
        .iter()
        .filter(|side| side.here.is_none())
        .map(|side| NewTable {
            table: side.there.described(),
            source: side.there.engine(),
        })
        .collect();
    let tables: Vec<Table> = new.iter().map(|new| new.table.clone()).collect();
    parents_first(&tables)
        .into_iter()
        .filter_map(|at| new.get(at).cloned())
        .collect()
}

fn missing_here(table: &TableName) -> SyncError {
    SyncError::Contract {
        table: table.clone(),
        code: FaultCode::MissingHere,
        message: "this site's database has no such table".to_owned(),
        hint: "make it, or let --create make it".to_owned(),
    }
}
