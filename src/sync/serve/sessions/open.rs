//! Opening a session, and keeping it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, timeout};

use crate::engine::EngineError;
use crate::engine::driver::Snapshot;
use crate::model::connection::Connection;
use crate::model::filter::Filter;
use crate::model::table::{NeutralType, TableName};
use crate::sync::Ctx;
use crate::sync::receipt::own_name;
use crate::sync::serve::access::{ClientKind, is_visible, view_of};
use crate::sync::serve::fault::{FilterFault, ServeError};
use crate::sync::serve::life::Ending;
use crate::sync::serve::schema::catalogue;
use crate::sync::serve::session_fault::SessionFault;
use crate::sync::serve::sessions::session::{HeldTable, InUse, Session};
use crate::sync::serve::sessions::watch::watch;
use crate::sync::serve::sessions::{Found, Refused};
use crate::sync::serve::view::View;
use crate::wire::scope::Scope;
use crate::wire::session::{AskedTable, SessionOpened, SessionTable};
use crate::wire::tally::TallyKey;

/// Tables of one session.
const MOST_TABLES: usize = 1_000;
/// For the name of a table that may not be read.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// Takes a moment of these tables and holds it for the peer of `connection`, whose rows are hashed with `key`.
///
/// # Errors
/// When it does not see one of the tables, a filter does not fit, too many sessions are held, or the site database fails.
pub async fn open_session(
    ctx: &Arc<Ctx>,
    connection: &Connection,
    key: TallyKey,
    asked: Vec<AskedTable>,
) -> Result<SessionOpened, ServeError> {
    let names = names(&asked)?;
    let mut all = names.iter();
    if let Some(hidden) = all.find(|name| !is_visible(ctx, connection, ClientKind::Any, name)) {
        return Err(ServeError::NotGranted(hidden.to_string()));
    }
    let hold = ctx.config.sessions.max_hold;
    let (now, until) = (Timestamp::now(), Instant::now() + hold);
    let ends_at = now.saturating_add(SignedDuration::try_from(hold).unwrap_or(SignedDuration::MAX));
    let reserved = ctx
        .sessions
        .reserve(connection.id, until)
        .map_err(refused)?;
    let snapshot: Arc<dyn Snapshot> = match ctx.driver.snapshot(&names).await {
        Ok(snapshot) => snapshot.into(),
        Err(err) => {
            drop(reserved);
            return Err(not_taken(ctx, &names, err).await);
        }
    };
    let mut held = Vec::with_capacity(asked.len());
    let mut told = Vec::with_capacity(asked.len());
    for asked in asked {
        let (table, words) = hold_table(ctx, connection, &*snapshot, asked).await?;
        held.push(table);
        told.push(words);
    }
    let identity = (reserved.name.clone(), connection.id);
    let ends = (until, ends_at.unwrap_or(Timestamp::MAX));
    let session = Session::new(identity, key, ends, held, Arc::clone(&snapshot));
    let session = Arc::new(session);
    let opened = describe(ctx, &session, told);
    reserved.keep(Arc::clone(&session));
    watch(ctx, session, snapshot);
    Ok(opened)
}

/// Keeps the session of this name.
///
/// # Errors
/// When the peer of `connection` holds no such session.
pub fn renew_session(
    ctx: &Ctx,
    connection: &Connection,
    name: &str,
) -> Result<SessionOpened, ServeError> {
    let (session, _in_use) = held_session(ctx, connection, name)?;
    Ok(describe(ctx, &session, Vec::new()))
}

/// The session that the peer of `connection`, which is active, calls `name`; to be at work on as long as it is needed.
///
/// # Errors
/// When it holds no such session, or may see no more what the session shows: that ends it.
pub(super) fn held_session(
    ctx: &Ctx,
    connection: &Connection,
    name: &str,
) -> Result<(Arc<Session>, InUse), SessionFault> {
    match ctx.sessions.find(connection.id, name)? {
        Found::Closed(_) => Err(SessionFault::of(Ending::Closed)),
        Found::Open(session) => {
            if let Some(ending) = session.hindrance(ctx, Some(connection)) {
                ctx.sessions.end(&session, ending);
            }
            if let Some(ending) = session.life.ending() {
                return Err(SessionFault::of(ending));
            }
            let in_use = session.in_use();
            Ok((session, in_use))
        }
    }
}

fn names(asked: &[AskedTable]) -> Result<Vec<TableName>, SessionFault> {
    let invalid = |words: String| SessionFault::invalid("invalid_tables", words);
    if asked.is_empty() || asked.len() > MOST_TABLES {
        let words = format!("`tables` names 1 to {MOST_TABLES} tables");
        return Err(invalid(words));
    }
    let mut seen = HashSet::new();
    for asked in asked {
        if !seen.insert(&asked.table) {
            return Err(invalid(format!("`tables` names {} twice", asked.table)));
        }
    }
    Ok(asked.iter().map(|asked| asked.table.clone()).collect())
}

fn refused(refused: Refused) -> ServeError {
    match refused {
        Refused::Fault(fault) => fault.into(),
        Refused::Random(err) => ServeError::Random(err),
    }
}

/// Why there is no snapshot of these tables; of a right that is missing, for which of them.
async fn not_taken(ctx: &Ctx, names: &[TableName], err: EngineError) -> ServeError {
    if let EngineError::Denied(reason) = &err
        && let Ok(Some(table)) = timeout(LONGEST_SEARCH, denied(ctx, names)).await
    {
        let (table, reason) = (table.clone(), reason.clone());
        return ServeError::Unreadable { table, reason };
    }
    match err {
        EngineError::Locked { .. } | EngineError::Yielded => {
            tracing::warn!(%err, "no session could be opened for a peer");
            SessionFault::Locked.into()
        }
        err => err.into(),
    }
}

/// The first of them whose rows may not be read.
async fn denied<'n>(ctx: &Ctx, names: &'n [TableName]) -> Option<&'n TableName> {
    for table in names {
        let counted = ctx.driver.count(table, 1).await;
        if matches!(counted, Err(EngineError::Denied(_))) {
            return Some(table);
        }
    }
    None
}

async fn hold_table(
    ctx: &Ctx,
    connection: &Connection,
    snapshot: &dyn Snapshot,
    asked: AskedTable,
) -> Result<(HeldTable, SessionTable), ServeError> {
    let AskedTable { table, filter } = asked;
    // A database may find a table under another spelling than its own; the grant was asked about this one.
    let found = snapshot.table(&table).await?;
    let found = found.filter(|found| found.name == table);
    let found = found.ok_or_else(|| ServeError::NoTable(table.to_string()))?;
    let view = view_of(ctx, connection, ClientKind::Any, found);
    let view = view.ok_or_else(|| ServeError::NotGranted(table.to_string()))?;
    let asked = match &filter {
        Some(filter) => {
            Scope::new(filter, |name| view.open_kind(name)).map_err(FilterFault::from)?
        }
        None => Scope::default(),
    };
    let granted = connection.grant.row_filter.get(&table);
    let (scope, hides_rows) = told_scope(&view, granted, filter.as_ref())?;
    let words = SessionTable {
        grant: grant_mark(ctx, connection, &table),
        table,
        evenkeel: catalogue(ctx.driver.engine(), view.table.clone()),
        scope,
        hides_rows,
    };
    let held = HeldTable {
        scope: view.scope.clone().and(asked),
        view,
        filter,
        agreed: OnceLock::new(),
        scan: OnceLock::new(),
        streamed: OnceLock::new(),
        told: Mutex::default(),
    };
    Ok((held, words))
}

/// What tells what is granted of a table from what was granted before. Keyed, since a filter's values could be guessed; under
/// a name that no grant gives its pseudonyms.
fn grant_mark(ctx: &Ctx, connection: &Connection, table: &TableName) -> Option<String> {
    let grant = &connection.grant;
    let rules = serde_json::json!([grant.columns.get(table), grant.row_filter.get(table)]);
    let key = ctx.store.pseudonym_key(connection.id);
    let mark = key.pseudonym("", NeutralType::Text);
    let mark = mark.of(rules.to_string().as_bytes()).ok()?;
    Some(hex::encode(mark))
}

/// Which rows the peer is told that there are, and whether there are more conditions that it cannot be told.
fn told_scope(
    view: &View,
    granted: Option<&Filter>,
    asked: Option<&Filter>,
) -> Result<(Option<Filter>, bool), FilterFault> {
    let Some(granted) = granted else {
        return Ok((asked.cloned(), false));
    };
    let mut terms = granted.terms().iter();
    if !terms.all(|term| view.open_kind(&term.column).is_some()) {
        return Ok((asked.cloned(), true));
    }
    let both = match asked {
        Some(asked) => granted.and(asked)?,
        None => granted.clone(),
    };
    Ok((Some(both), false))
}

fn describe(ctx: &Ctx, session: &Session, tables: Vec<SessionTable>) -> SessionOpened {
    let idle = SignedDuration::try_from(ctx.config.sessions.idle).unwrap_or(SignedDuration::MAX);
    let idle_at = Timestamp::now().saturating_add(idle);
    let (_, ends_at) = session.ends;
    SessionOpened {
        session: session.name.clone(),
        expires_at: idle_at.unwrap_or(Timestamp::MAX).min(ends_at),
        ends_at,
        site_name: own_name(ctx),
        read_point: session.read_point.clone(),
        tables,
    }
}
