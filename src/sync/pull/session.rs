//! One moment of a peer's tables, held open while they are compared and read.
//!
//! Invariant: a session ends at the peer when this value is dropped; where the peer does not hear of that, it ends by
//! itself because nobody renews it any more.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;

use crate::base::task::Tasks;
use crate::model::table::TableName;
use crate::remote::{IncomingRows, Peer, RemoteError, SessionRows, Tallied, ToldTable};
use crate::sync::pull::Source;
use crate::sync::{Ctx, SyncError};
use crate::wire::receipt::Receipt;
use crate::wire::session::{
    Agreed, AskedTable, AskedTally, PickedLeaf, Scanning, SessionClosed, SessionOpened,
    SessionTable, TOO_MANY_ROWS,
};
use crate::wire::signing::{ConnectionKeys, Credentials};
use crate::wire::tally::{Children, Prefix, TallyKey};

/// So often a session is renewed: what is quiet for longer may have to make room for another of this site's.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// After the peer said that it still reads.
const ASK_AGAIN: Duration = Duration::from_millis(250);

/// A peer may say for so long that it reads a table without having read another row of it: as long as a session lasts,
/// since other tables may have to be read first.
const LONGEST_WITHOUT_ROWS: Duration = Duration::from_secs(4 * 3_600);
/// And for so long that it reads at all.
const LONGEST_SCAN: Duration = Duration::from_secs(48 * 3_600);

/// A session at the peer.
pub(super) struct Session<'a> {
    source: &'a Source,
    opened: SessionOpened,
    key: TallyKey,
    /// Received for sums and listings, by table.
    bytes: Mutex<HashMap<TableName, u64>>,
    /// Ends it at the peer, too, unless it was closed.
    held: Held,
}

impl<'a> Session<'a> {
    /// Opens one over `tables`.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub(super) async fn open(
        ctx: &Ctx,
        source: &'a Source,
        keys: &ConnectionKeys,
        tables: &[AskedTable],
    ) -> Result<Self, SyncError> {
        let opened = source.peer.open_session(&source.credentials, tables);
        let opened = opened.await?;
        let held = Held::begin(ctx, source, &opened.session);
        Ok(Self {
            source,
            opened,
            key: TallyKey::of(&keys.row()),
            bytes: Mutex::default(),
            held,
        })
    }

    /// What it is over, in the order asked.
    pub(super) fn tables(&self) -> &[SessionTable] {
        &self.opened.tables
    }

    /// What the peer said when it was opened.
    pub(super) fn opened(&self) -> &SessionOpened {
        &self.opened
    }

    /// What rows are hashed with.
    pub(super) fn key(&self) -> &TallyKey {
        &self.key
    }

    /// Received for sums and listings of `table` so far.
    pub(super) fn bytes(&self, table: &TableName) -> u64 {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.get(table).copied().unwrap_or_default()
    }

    /// The children of the root, once the peer has read the table.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub(super) async fn first_sums(
        &self,
        table: &TableName,
        agreed: &Agreed,
    ) -> Result<Children, SyncError> {
        let children = self.sums_below(table, Some(agreed), &[Prefix::ROOT]);
        let first = children.await?.into_iter().next();
        first.ok_or_else(|| self.nonsense("it tells no sums"))
    }

    /// The children of `nodes`, which are of one level.
    ///
    /// # Errors
    /// As [`Self::first_sums`].
    pub(super) async fn sums(
        &self,
        table: &TableName,
        nodes: &[Prefix],
    ) -> Result<Vec<Children>, SyncError> {
        self.sums_below(table, None, nodes).await
    }

    async fn sums_below(
        &self,
        table: &TableName,
        agreed: Option<&Agreed>,
        nodes: &[Prefix],
    ) -> Result<Vec<Children>, SyncError> {
        let asked = AskedTally {
            table: table.clone(),
            agreed: agreed.cloned(),
            level: nodes.first().map(|node| node.level().saturating_add(1)),
            prefixes: nodes.to_vec(),
        };
        match self.told(asked).await? {
            ToldTable::Sums(children) => Ok(children),
            ToldTable::Rows(_) => Err(self.nonsense("it lists rows instead of sums")),
        }
    }

    /// The rows below each of `nodes`; none: they are more than one answer may list.
    ///
    /// # Errors
    /// As [`Self::first_sums`].
    pub(super) async fn listing(
        &self,
        table: &TableName,
        nodes: &[Prefix],
    ) -> Result<Option<Vec<Bytes>>, SyncError> {
        let asked = AskedTally {
            table: table.clone(),
            agreed: None,
            level: None,
            prefixes: nodes.to_vec(),
        };
        match self.told(asked).await {
            Ok(ToldTable::Rows(listings)) => Ok(Some(listings)),
            Ok(ToldTable::Sums(_)) => Err(self.nonsense("it tells sums instead of rows")),
            Err(SyncError::Remote(RemoteError::Refused { code, .. }))
                if code.as_deref() == Some(TOO_MANY_ROWS) =>
            {
                Ok(None)
            }
            Err(err) => Err(err),
        }
    }

    /// The stream of the picked rows.
    ///
    /// # Errors
    /// As [`Self::first_sums`].
    pub(super) async fn picked(
        &self,
        table: &TableName,
        agreed: &Agreed,
        leaves: &[PickedLeaf],
    ) -> Result<IncomingRows, SyncError> {
        self.rows(table, agreed, SessionRows::Picked(leaves)).await
    }

    /// The stream of all rows of a table.
    ///
    /// # Errors
    /// As [`Self::first_sums`].
    pub(super) async fn all(
        &self,
        table: &TableName,
        agreed: &Agreed,
    ) -> Result<IncomingRows, SyncError> {
        self.rows(table, agreed, SessionRows::All).await
    }

    /// Ends it, with the receipts of what was proved in it.
    ///
    /// # Errors
    /// As [`Self::first_sums`].
    pub(super) async fn close(mut self, receipts: &[Receipt]) -> Result<SessionClosed, SyncError> {
        let Source { peer, credentials } = self.source;
        let closed = peer.close_session(credentials, &self.opened.session, receipts);
        let closed = closed.await?;
        self.held.session = None;
        Ok(closed)
    }

    async fn rows(
        &self,
        table: &TableName,
        agreed: &Agreed,
        rows: SessionRows<'_>,
    ) -> Result<IncomingRows, SyncError> {
        let Source { peer, credentials } = self.source;
        let session = &self.opened.session;
        let rows = peer.session_rows(credentials, session, (table, agreed), rows);
        Ok(rows.await?)
    }

    async fn told(&self, asked: AskedTally) -> Result<ToldTable, SyncError> {
        let Source { peer, credentials } = self.source;
        let mut headway = Headway::from(Instant::now());
        loop {
            let asking = std::slice::from_ref(&asked);
            let told = peer.tally(credentials, &self.opened.session, asking);
            match told.await? {
                Tallied::Told { tables, bytes } => {
                    let mut all = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
                    *all.entry(asked.table).or_default() += bytes;
                    let told = tables.into_iter().next();
                    return told.ok_or_else(|| self.nonsense("it tells of no table"));
                }
                Tallied::Scanning(Scanning { rows_scanned, .. }) => {
                    let stuck = headway.stuck_after(rows_scanned, Instant::now());
                    stuck.map_or(Ok(()), |reason| Err(self.stuck(&asked.table, &reason)))?;
                }
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn stuck(&self, table: &TableName, reason: &str) -> SyncError {
        let err = RemoteError::Stuck {
            host: self.source.peer.host(),
            reason: format!(
                "{reason} of table {table}; ask its administrator what its database waits for"
            ),
        };
        err.into()
    }

    fn nonsense(&self, reason: &str) -> SyncError {
        self.source.host_error(reason)
    }
}

/// How a peer gets on with reading a table.
struct Headway {
    began: Instant,
    /// When it last had read more rows than ever before, and how many.
    last: (Instant, u64),
}

impl Headway {
    fn from(now: Instant) -> Self {
        Self {
            began: now,
            last: (now, 0),
        }
    }

    /// It says that it has read so many rows; why it is waited for no longer.
    fn stuck_after(&mut self, rows: u64, now: Instant) -> Option<String> {
        if rows > self.last.1 {
            self.last = (now, rows);
        }
        if now.duration_since(self.last.0) >= LONGEST_WITHOUT_ROWS {
            let seconds = LONGEST_WITHOUT_ROWS.as_secs();
            return Some(format!(
                "for {seconds} s has read no more than {} rows",
                self.last.1
            ));
        }
        let seconds = LONGEST_SCAN.as_secs();
        (now.duration_since(self.began) >= LONGEST_SCAN)
            .then(|| format!("after {seconds} s has not read all rows"))
    }
}

/// Renews a session until it is dropped, and closes it then.
struct Held {
    renewal: JoinHandle<()>,
    tasks: Tasks,
    peer: Peer,
    credentials: Credentials,
    /// None once it was closed.
    session: Option<String>,
}

impl Held {
    fn begin(ctx: &Ctx, source: &Source, session: &str) -> Self {
        let (peer, credentials) = (source.peer.clone(), source.credentials.clone());
        let id = session.to_owned();
        let renewal = ctx.tasks.spawn("renew session", async move {
            loop {
                tokio::time::sleep(RENEW_EVERY).await;
                // What went wrong shows where the session is used next.
                drop(peer.renew_session(&credentials, &id).await);
            }
        });
        Self {
            renewal,
            tasks: ctx.tasks.clone(),
            peer: source.peer.clone(),
            credentials: source.credentials.clone(),
            session: Some(session.to_owned()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewal.abort();
        let Some(session) = self.session.take() else {
            return;
        };
        let (peer, credentials) = (self.peer.clone(), self.credentials.clone());
        // What cannot be closed ends by itself.
        self.tasks.spawn("close session", async move {
            drop(peer.close_session(&credentials, &session, &[]).await);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Headway;

    /// After how many hours a peer is given up that says `rows` of each hour.
    fn given_up(rows: impl Fn(u64) -> u64) -> Option<u64> {
        let began = Instant::now();
        let mut headway = Headway::from(began);
        (1..=100).find(|hour| {
            let now = began + Duration::from_secs(hour * 3_600);
            headway.stuck_after(rows(*hour), now).is_some()
        })
    }

    #[test]
    fn a_peer_that_says_that_it_reads_is_waited_for_while_it_gets_on_and_never_for_ever() {
        assert_eq!(given_up(|_| 0), Some(4));
        assert_eq!(given_up(|_| 9), Some(5));
        assert_eq!(given_up(|hour| hour % 2), Some(5));
        assert_eq!(given_up(|hour| hour / 3), Some(48));
        assert_eq!(given_up(|hour| hour.saturating_sub(20)), Some(4));
        assert_eq!(given_up(|hour| hour * 1_000_000), Some(48));
    }
}
