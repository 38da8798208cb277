//! Receipts between two sites: the receiver words the terms of what it proved and signs them; the sender, when the session
//! is closed, signs those that are what its session saw. Both keep what both signed.
//!
//! A site vouches for what it read itself, and that the sums add up; the rest is the receiver's word.
//! Invariant: this site signs nothing of another session, table or site, and keeps nothing that both did not sign.

use jiff::{SignedDuration, Timestamp};

use crate::engine::plan::LeftInPlace;
use crate::model::connection::Connection;
use crate::model::id::{ReceiptId, RunId, SiteId};
use crate::model::run::{Changes, SyncMode};
use crate::model::table::TableName;
use crate::store::{KeptReceipt, StoreError};
use crate::sync::Ctx;
use crate::sync::connections::cleaned;
use crate::wire::frame::RowSum;
use crate::wire::receipt::{
    Committed, Receipt, ReceiptFault, Rows, Side, SignedBy, Signer, Terms, sign,
};
use crate::wire::session::{Agreed, AskedTable, SessionClosed, SessionOpened};
use crate::wire::signing::ReceiptKey;

/// Bytes of one receipt's terms: room for 1,600 columns, not for filters without end.
const MAX_TERMS_BYTES: usize = 128 << 10;
/// Characters of a read point: a server may name thousands of transactions.
const MAX_READ_POINT: usize = 16 << 10;
/// Receipts that one session may end with.
const MAX_RECEIPTS: usize = 1_000;
/// What one connection may have this site keep within a day: a peer fills no disk with them.
const DAILY_BYTES: u64 = 32 << 20;
/// As far as the clocks of two sites that sign may be apart.
const CLOCK: SignedDuration = SignedDuration::from_secs(60);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What a session of ours saw.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts<'a> {
    /// As it was told in [`SessionOpened`].
    pub read_point: &'a str,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The tables that were read to their end.
    pub tables: &'a [TableFacts<'a>],
}

/// What a session of ours saw of one table.
#[derive(Clone, Copy, Debug)]
pub struct TableFacts<'a> {
    /// The table and filter that were asked for.
    pub asked: &'a AskedTable,
    /// What was agreed on.
    pub agreed: &'a Agreed,
    /// The root of its tally.
    pub root: RowSum,
}

/// What a run of ours proved of one table.
#[derive(Clone, Copy, Debug)]
#[expect(
    missing_docs,
    reason = "as the fields of `Terms`, from which it is made"
)]
pub struct Proved<'a> {
    pub run_id: RunId,
    /// As `open-session` said.
    pub opened: &'a SessionOpened,
    /// As `open-session` was asked.
    pub asked: &'a AskedTable,
    pub agreed: &'a Agreed,
    /// The root of the sender's tally.
    pub source: RowSum,
    /// The table here.
    pub table: &'a TableName,
    /// The moment of this site's last look at it.
    pub read_point: &'a str,
    /// The root of its tally then.
    pub destination: RowSum,
    pub sync_mode: SyncMode,
    pub changes: Changes,
    pub left: LeftInPlace,
    pub proved_at: Timestamp,
}

/// The two sites of a session, as its sender knows them.
struct Parties<'a> {
    /// This one: its name and key.
    source: (SiteId, &'a str, &'a ReceiptKey),
    /// The peer, with the public key that it announced when it registered.
    destination: (SiteId, &'a str),
}

/// Why a receipt is not signed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("its terms have more than {MAX_TERMS_BYTES} bytes")]
    TooLong,
    #[error("its terms are not spelled as this version spells them")]
    Spelling,
    #[error("the receiver alone has to have signed it, once")]
    Signatures,
    #[error(transparent)]
    Fault(#[from] ReceiptFault),
    #[error("its {0} is not that of the session")]
    Other(&'static str),
    #[error("the session did not read table {0} to its end")]
    Unread(TableName),
    #[error("it stands beside one of another run, or of the same table")]
    Beside,
    #[error("there are more than {MAX_RECEIPTS} of them")]
    TooMany,
    #[error(
        "what is kept of this connection's receipts within a day has reached {DAILY_BYTES} bytes"
    )]
    NoRoom,
}

/// Signs those of the receipts `offered`, which have the receiver's signature alone, that say of this site what the session
/// saw, and keeps them; an answer for each, in their order.
///
/// # Errors
/// When they cannot be kept: then none is to be answered.
pub async fn sign_as_source(
    ctx: &Ctx,
    connection: &Connection,
    session: SessionFacts<'_>,
    offered: &[Receipt],
) -> Result<Vec<Option<SignedBy>>, StoreError> {
    let now = Timestamp::now();
    let peer_key = ctx.store.peer_receipt_key(connection.id).await?;
    let (Some(peer_key), Some(remote)) = (peer_key, &connection.remote) else {
        return Ok(vec![None; offered.len()]);
    };
    let parties = Parties {
        source: (ctx.identity.id, &own_name(ctx), &ctx.receipt_key),
        destination: (remote.site_id, &peer_key),
    };
    let yesterday = now.checked_sub(DAY).unwrap_or(now);
    let used = ctx.store.receipt_bytes(connection.id, yesterday).await?;
    let signed = sign_all(offered, session, &parties, (now, used));
    let refused = signed.iter().filter_map(|judged| judged.as_ref().err());
    if let Some(refusal) = refused.clone().next() {
        let (connection, refused) = (connection.id, refused.count());
        tracing::warn!(%connection, refused, first = %refusal, "receipts were not signed");
    }
    let kept: Vec<KeptReceipt> = signed
        .iter()
        .filter_map(|judged| judged.as_ref().ok())
        .map(|(receipt, terms)| kept(connection, receipt, terms, &terms.source.table, now))
        .collect();
    ctx.store.keep_receipts(&kept).await?;
    let signature = |(receipt, _): (Receipt, Terms)| of_side(receipt, Signer::Source);
    Ok(signed
        .into_iter()
        .map(|judged| judged.ok().and_then(signature))
        .collect())
}

/// Each receipt with both signatures, or why it is not signed; `at`: now, and the bytes that were kept within a day.
fn sign_all(
    offered: &[Receipt],
    session: SessionFacts<'_>,
    parties: &Parties<'_>,
    at: (Timestamp, u64),
) -> Vec<Result<(Receipt, Terms), Refusal>> {
    let (now, mut used) = at;
    let mut signed: Vec<Result<(Receipt, Terms), Refusal>> = Vec::with_capacity(offered.len());
    for (number, offer) in offered.iter().enumerate() {
        let judged = judge(offer, session, parties, now).and_then(|(receipt, terms)| {
            let before = signed.iter().flatten();
            let bytes = u64::try_from(receipt.terms.len()).unwrap_or(u64::MAX);
            if number >= MAX_RECEIPTS {
                Err(Refusal::TooMany)
            } else if before.into_iter().any(|(_, other)| !fit(other, &terms)) {
                Err(Refusal::Beside)
            } else if used.saturating_add(bytes) > DAILY_BYTES {
                Err(Refusal::NoRoom)
            } else {
                used += bytes;
                Ok((receipt, terms))
            }
        });
        signed.push(judged);
    }
    signed
}

/// Whether one session may end with both.
fn fit(one: &Terms, other: &Terms) -> bool {
    one.run_id == other.run_id && one.destination.table != other.destination.table
}

/// The receipt with this site's signature too, where this site vouches for all that its terms say of it.
fn judge(
    offer: &Receipt,
    session: SessionFacts<'_>,
    parties: &Parties<'_>,
    now: Timestamp,
) -> Result<(Receipt, Terms), Refusal> {
    if offer.terms.len() > MAX_TERMS_BYTES {
        return Err(Refusal::TooLong);
    }
    if !matches!(offer.signatures.as_slice(), [one] if one.by == Signer::Destination) {
        return Err(Refusal::Signatures);
    }
    let (site, name, key) = parties.source;
    let (peer, peer_key) = parties.destination;
    let mut receipt = offer.clone();
    receipt
        .signatures
        .insert(0, sign(&offer.terms, Signer::Source, key));
    let terms = receipt.check([None, Some(peer_key)])?;
    if terms.to_text().ok().as_deref() != Some(&offer.terms) {
        return Err(Refusal::Spelling);
    }
    let table = &terms.source.table;
    let read = |facts: &&TableFacts<'_>| facts.asked.table == *table;
    let unread = || Refusal::Unread(table.clone());
    let facts = session.tables.iter().find(read).ok_or_else(unread)?;
    let since = session.opened_at.checked_sub(CLOCK).unwrap_or(now);
    let until = now.checked_add(CLOCK).unwrap_or(now);
    let (here, there) = (&terms.source, &terms.destination);
    let same = [
        ("source", here.site_id == site && here.site_name == name),
        ("read point", here.read_point == session.read_point),
        ("rows", here.at == Rows::of(facts.root)),
        ("columns", terms.columns == facts.agreed.columns),
        ("key", terms.key == facts.agreed.key),
        ("filter", terms.filter == facts.asked.filter),
        ("destination", there.site_id == peer && is_plain(there)),
        ("time", (since..=until).contains(&terms.proved_at)),
    ];
    match same.into_iter().find(|(_, is_same)| !is_same) {
        Some((what, _)) => Err(Refusal::Other(what)),
        None => Ok((receipt, terms)),
    }
}

/// Whether what a side calls itself and its moment can be shown to people as it is.
fn is_plain(side: &Side) -> bool {
    let is_named = cleaned(&side.site_name).is_some_and(|name| name == side.site_name);
    is_named && plain_point(&side.read_point) == side.read_point
}

/// A read point on one line, cut to its length.
fn plain_point(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_READ_POINT).map(plain).collect()
}

/// The receipt of what was proved, signed by this site alone; for `close-session`. `None`: the sums do not add up, the peer
/// never said who it is, or the terms are too long, so that there is none.
#[must_use]
pub fn sign_as_destination(
    ctx: &Ctx,
    connection: &Connection,
    proved: &Proved<'_>,
) -> Option<Receipt> {
    let side = |site_id, site_name, table: &TableName, read_point: &str, at| Side {
        site_id,
        site_name,
        table: table.clone(),
        read_point: read_point.to_owned(),
        at: Rows::of(at),
    };
    let (opened, here) = (proved.opened, own_name(ctx));
    let source = connection.remote.as_ref()?.site_id;
    let terms = Terms {
        run_id: proved.run_id,
        source: side(
            source,
            opened.site_name.clone(),
            &proved.asked.table,
            &opened.read_point,
            proved.source,
        ),
        destination: side(
            ctx.identity.id,
            here,
            proved.table,
            &plain_point(proved.read_point),
            proved.destination,
        ),
        columns: proved.agreed.columns.clone(),
        key: proved.agreed.key.clone(),
        filter: proved.asked.filter.clone(),
        sync_mode: proved.sync_mode,
        committed: Committed {
            added: proved.changes.added,
            updated: proved.changes.updated,
            deleted: proved.changes.deleted,
        },
        left_here: Rows::of(proved.left.here),
        left_there: Rows::of(proved.left.there),
        proved_at: proved.proved_at,
    };
    let text = terms.to_text().ok()?;
    let is_good = terms.hold() && text.len() <= MAX_TERMS_BYTES;
    is_good.then(|| Receipt {
        signatures: vec![sign(&text, Signer::Destination, &ctx.receipt_key)],
        terms: text,
    })
}

/// Keeps those of the receipts `offered` that the sender signed when it closed the session, and says of each why it is
/// none, where it is none: rows that were proved stay proved, but nobody else can be shown that.
///
/// # Errors
/// When they cannot be kept.
pub async fn keep_as_destination(
    ctx: &Ctx,
    connection: &Connection,
    offered: Vec<Receipt>,
    closed: SessionClosed,
) -> Result<Vec<Result<(), ReceiptFault>>, StoreError> {
    let peer_key = ctx.store.peer_receipt_key(connection.id).await?;
    let keys = [peer_key.unwrap_or_default(), ctx.receipt_key.public()];
    let now = Timestamp::now();
    let (mut said, mut whole) = (Vec::new(), Vec::new());
    for completed in complete(offered, closed, &keys) {
        said.push(completed.map(|(receipt, terms)| {
            let table = &terms.destination.table;
            whole.push(kept(connection, &receipt, &terms, table, now));
        }));
    }
    ctx.store.keep_receipts(&whole).await?;
    Ok(said)
}

/// Each receipt with the signatures of both, whose keys these are (source, destination), or why it is none.
fn complete(
    offered: Vec<Receipt>,
    closed: SessionClosed,
    [source, destination]: &[String; 2],
) -> Vec<Result<(Receipt, Terms), ReceiptFault>> {
    let answers = closed.signatures.into_iter().chain(std::iter::repeat(None));
    let complete = |(mut receipt, signed): (Receipt, Option<SignedBy>)| {
        receipt.signatures.splice(0..0, signed);
        let terms = receipt.check([Some(source), Some(destination)])?;
        Ok((receipt, terms))
    };
    offered.into_iter().zip(answers).map(complete).collect()
}

fn kept(
    connection: &Connection,
    receipt: &Receipt,
    terms: &Terms,
    table: &TableName,
    now: Timestamp,
) -> KeptReceipt {
    KeptReceipt {
        id: ReceiptId::generate(),
        connection_id: connection.id,
        run_id: terms.run_id,
        table: table.clone(),
        proved_at: terms.proved_at,
        kept_at: now,
        receipt: receipt.clone(),
    }
}

/// Forgets receipts that were kept for as long as `receipts.keep` says.
///
/// # Errors
/// When the database fails.
pub async fn forget_old(ctx: &Ctx, now: Timestamp) -> Result<(), StoreError> {
    if let Ok(before) = now.checked_sub(ctx.config.receipts.keep) {
        let forgotten = ctx.store.forget_receipts(before).await?;
        if forgotten > 0 {
            tracing::info!(
                forgotten,
                "receipts were kept for as long as receipts.keep says"
            );
        }
    }
    Ok(())
}

fn of_side(receipt: Receipt, side: Signer) -> Option<SignedBy> {
    let mut signatures = receipt.signatures.into_iter();
    signatures.find(|signed| signed.by == side)
}

/// What this site calls itself in receipts, and what it says in [`SessionOpened`].
#[must_use]
pub fn own_name(ctx: &Ctx) -> String {
    cleaned(&ctx.config.site.name).unwrap_or_else(|| ctx.identity.id.to_string())
}

#[cfg(test)]
mod tests;
