//! `tally`: the sums and the rows of nodes, once their tables are scanned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;

use crate::engine::driver::{RowFilter, RowOrder, Selection};
use crate::engine::tally::{ListingBounds, Tally};
use crate::model::connection::Connection;
use crate::model::table::TableName;
use crate::store::Usage;
use crate::sync::Ctx;
use crate::sync::serve::fault::ServeError;
use crate::sync::serve::sending::json_bytes;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::open::held_session;
use crate::sync::serve::sessions::scan::{Scan, Work, tally_fault};
use crate::sync::serve::sessions::session::{HeldTable, Session};
use crate::sync::serve::sieve::Contract;
use crate::sync::serve::told::read_failed;
use crate::sync::serve::usage;
use crate::wire::frame::{FrameKind, FrameWriter, RowSum};
use crate::wire::messages::StreamFaultCode;
use crate::wire::session::{
    AskedTally, MAX_LISTED, MAX_LISTED_BYTES, MAX_NODES, Scanning, TOO_MANY_ROWS,
};
use crate::wire::signing::Seal;
use crate::wire::tally::{LEVELS, Prefix, read_listing, write_children};

/// How long a question about a table that is being scanned waits.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is asked, and how the frames go.
#[derive(Debug)]
pub struct TallyOrder {
    /// In the order of the answer.
    pub tables: Vec<AskedTally>,
    /// Payloads may go as zstd.
    pub compress: bool,
    /// What gives each frame its authenticator.
    pub seal: Option<Seal>,
}

/// What a question about tallies is answered.
#[derive(Debug)]
pub enum TallyAnswer {
    /// Ask again: a table is still being scanned.
    Scanning(Scanning),
    /// The frames, from head to end.
    Frames(Bytes),
}

/// One table of a question.
struct Question {
    contract: Arc<Contract>,
    tally: Arc<Tally>,
    asked: AskedTally,
}

/// Answers the peer of `connection`, which is active, about tables of its session.
///
/// # Errors
/// When it holds no such session, the question makes no sense, or a table cannot be tallied.
pub async fn answer_tally(
    ctx: &Arc<Ctx>,
    connection: &Connection,
    name: &str,
    order: TallyOrder,
) -> Result<TallyAnswer, ServeError> {
    let (session, _in_use) = held_session(ctx, connection, name)?;
    check(&order.tables)?;
    let mut scans = Vec::with_capacity(order.tables.len());
    for asked in order.tables {
        let held = session.table(&asked.table)?;
        let contract = held.contract(asked.agreed.as_ref())?;
        held.told().since.get_or_insert_with(Timestamp::now);
        let scan = scan(ctx, &session, held, &contract)?;
        scans.push((held, contract, scan, asked));
    }
    let until = Instant::now() + PATIENCE;
    let mut questions = Vec::with_capacity(scans.len());
    let mut scanning = Scanning {
        rows_scanned: 0,
        rows_estimate: Some(0),
    };
    let mut is_scanning = false;
    for (held, contract, scan, asked) in scans {
        let left = until.saturating_duration_since(Instant::now());
        let tally = scan.tally(left).await?;
        is_scanning |= tally.is_none();
        scanning.rows_scanned += scan.rows();
        let estimate = held.view.table.row_estimate;
        scanning.rows_estimate = scanning
            .rows_estimate
            .zip(estimate)
            .map(|(all, rows)| all + rows);
        questions.extend(tally.map(|tally| Question {
            contract,
            tally,
            asked,
        }));
    }
    if is_scanning {
        return Ok(TallyAnswer::Scanning(scanning));
    }
    let turn = ctx.sessions.answers.acquire().await;
    let writer = FrameWriter::new(order.compress).sealed_by(order.seal);
    let id = session.name.clone();
    let asked: Vec<TableName> = questions
        .iter()
        .map(|question| question.asked.table.clone())
        .collect();
    let made = tokio::task::spawn_blocking(move || frames(&id, &questions, writer));
    let frames = made.await.unwrap_or_else(|err| {
        tracing::error!(%err, "a tally could not be told");
        Err(SessionFault::Table {
            code: StreamFaultCode::ReadFailed.as_str(),
            words: read_failed(),
        })
    });
    drop(turn);
    let Told { frames, by_table } = frames?;
    let bytes = u64::try_from(frames.len()).unwrap_or(u64::MAX);
    usage::charge(ctx, connection, Usage { rows: 0, bytes }, Timestamp::now()).await?;
    if let Some(ending) = session.life.ending() {
        return Err(SessionFault::of(ending).into());
    }
    for (table, bytes) in asked.iter().zip(by_table) {
        session.table(table)?.told().bytes += bytes;
    }
    Ok(TallyAnswer::Frames(frames))
}

/// The scan of a table, which the first question about it begins.
fn scan(
    ctx: &Arc<Ctx>,
    session: &Session,
    held: &HeldTable,
    contract: &Arc<Contract>,
) -> Result<Arc<Scan>, SessionFault> {
    let snapshot = session.snapshot()?;
    let begin = || {
        let key = ctx.store.pseudonym_key(session.connection);
        let reading = held.view.reading(&contract.columns, &key);
        let selection = Selection {
            table: contract.table.clone(),
            columns: reading.columns,
            rows: RowFilter::All,
            scope: held.scope.clone(),
            // The tally is the same in any order.
            order: RowOrder::Found,
            page: None,
        };
        let work = Work {
            snapshot,
            selection,
            mask: reading.mask,
            contract: Arc::clone(contract),
            key: session.key.clone(),
            life: session.life.clone(),
        };
        Scan::begin(ctx, &ctx.sessions.scans, work)
    };
    Ok(Arc::clone(held.scan.get_or_init(begin)))
}

fn check(tables: &[AskedTally]) -> Result<(), SessionFault> {
    let invalid = |words: String| Err(SessionFault::invalid("invalid_tally", words));
    if tables.is_empty() {
        return invalid("`tables` names no table".to_owned());
    }
    let (mut nodes, mut listed) = (0_usize, 0_usize);
    for AskedTally {
        table,
        level,
        prefixes,
        ..
    } in tables
    {
        match level {
            Some(level) => {
                nodes += prefixes.len();
                let is_above = |node: &Prefix| node.level() + 1 == *level;
                if *level > LEVELS || !prefixes.iter().all(is_above) {
                    return invalid(format!(
                        "Table {table}: `level` is one more than the digits of each of `prefixes`, and at most {LEVELS}"
                    ));
                }
            }
            None => listed += prefixes.len(),
        }
        if !are_apart(prefixes) {
            return invalid(format!(
                "Table {table}: none of `prefixes` stands twice, or below another"
            ));
        }
    }
    let most_listed = usize::try_from(MAX_LISTED).unwrap_or(usize::MAX);
    if nodes > MAX_NODES || listed > most_listed {
        return invalid(format!(
            "At most {MAX_NODES} nodes at once for sums, and {MAX_LISTED} for rows"
        ));
    }
    Ok(())
}

/// Whether no node stands twice, or below another.
pub(super) fn are_apart(nodes: &[Prefix]) -> bool {
    let sorted: BTreeSet<&Prefix> = nodes.iter().collect();
    let mut above: Option<&Prefix> = None;
    sorted.len() == nodes.len()
        && sorted.into_iter().all(|node| {
            let is_apart = above.is_none_or(|above| !above.is_above(*node));
            above = Some(node);
            is_apart
        })
}

/// An answer, and how much of it is about each question's table.
struct Told {
    frames: Bytes,
    by_table: Vec<u64>,
}

fn frames(
    session: &str,
    questions: &[Question],
    mut writer: FrameWriter,
) -> Result<Told, SessionFault> {
    let (mut out, mut by_table) = (BytesMut::new(), Vec::with_capacity(questions.len()));
    let mut add = |pieces: Vec<Bytes>| {
        pieces.iter().for_each(|piece| out.extend_from_slice(piece));
        u64::try_from(pieces.iter().map(Bytes::len).sum::<usize>()).unwrap_or(u64::MAX)
    };
    let head = json_bytes(&json!({ "session": session }));
    add(writer.frame(FrameKind::Head, 0, vec![head]));
    let mut left = ListingBounds {
        rows: MAX_LISTED,
        bytes: MAX_LISTED_BYTES,
    };
    for question in questions {
        let (tally, nodes) = (&question.tally, &question.asked.prefixes);
        let fault = |err| tally_fault(&question.contract, &err);
        if question.asked.level.is_some() {
            let mut payload = Vec::new();
            for children in tally.children(nodes).map_err(fault)? {
                write_children(&children, &mut payload);
            }
            by_table.push(add(writer.frame(FrameKind::Sums, 0, vec![payload.into()])));
            continue;
        }
        let mut bytes = 0;
        let listings = tally.listing_within(nodes, left).map_err(fault)?;
        for listing in listings.ok_or_else(too_many_rows)? {
            let rows = read_listing(&listing).count();
            left.rows = left
                .rows
                .saturating_sub(u64::try_from(rows).unwrap_or(u64::MAX));
            left.bytes = left.bytes.saturating_sub(listing.len());
            let rows = u32::try_from(rows).unwrap_or(u32::MAX);
            bytes += add(writer.frame(FrameKind::Keys, rows, vec![listing.into()]));
        }
        by_table.push(bytes);
    }
    add(writer.end(RowSum::default()));
    Ok(Told {
        frames: out.freeze(),
        by_table,
    })
}

fn too_many_rows() -> SessionFault {
    SessionFault::invalid(
        TOO_MANY_ROWS,
        format!(
            "More than {MAX_LISTED} rows, or {MAX_LISTED_BYTES} bytes of keys, stand below these nodes; ask about fewer, or for the rows of deeper ones"
        ),
    )
}
