//! A stranger registers: the row that waits for an administrator.
//!
//! Invariant: repeating a registration changes nothing; a claim blocks nobody; the raw token is not kept.

use std::net::IpAddr;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::base::secret::{Secret, token_hash};
use crate::model::connection::{Auth, Connection, Direction, Identity, Status};
use crate::model::policy::IncomingMode;
use crate::model::table::TableName;
use crate::store::{Kept, SignedPeer};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::announce::signed_peer;
use crate::sync::connections::claims::has_room;
use crate::sync::connections::name::{cleaned, remote_site};
use crate::sync::connections::naming::insert_under_free_name;
use crate::sync::connections::password::is_password;
use crate::sync::connections::policy::IncomingPolicy;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::messages::{EvenkeelHello, PublishedRefusal, WANTS_RECEIVER};

/// What a stranger sent.
#[derive(Debug)]
pub struct Registration {
    /// Where it claims to be reached.
    pub url: String,
    /// What it calls itself.
    pub name: String,
    /// The token it made.
    pub token: Secret<String>,
    /// The password, where it sent one.
    pub password: Option<Secret<String>>,
    /// Set by an Evenkeel.
    pub evenkeel: Option<EvenkeelHello>,
    /// The address the request came from.
    pub from: Option<IpAddr>,
}

/// Why a registration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationRefusal {
    /// A field cannot be what it should be; in words.
    #[error("{0}")]
    Invalid(String),
    /// A password is asked for and none was sent, or none is configured.
    #[error("{}", PublishedRefusal::PasswordRequired)]
    PasswordRequired,
    /// Another password.
    #[error("{}", PublishedRefusal::PasswordInvalid)]
    PasswordInvalid,
    /// Another token for a site that an administrator knows already.
    #[error("{}", PublishedRefusal::ConnectionExists)]
    Exists,
    /// Too many wait already.
    #[error(
        "Too many registrations wait for approval; try again later, or ask the administrator of this site to look at them"
    )]
    Crowded,
    /// Our own fault.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// Tables that it may name.
const WANTED_TABLES: usize = 1_000;

/// Registrations are decided one after the other, so that two equal ones make one row.
static DECIDING: Semaphore = Semaphore::const_new(1);

/// Takes a registration under `policy` (not `deny_all`: that is refused before the request is read).
/// Every mode leaves the row pending; `auto_accept` has a site that signs prove who it is then. One that announces that
/// it signs is signed from the start; another registration never changes that.
///
/// # Errors
/// See [`RegistrationRefusal`].
pub async fn register(
    ctx: &Ctx,
    policy: &IncomingPolicy,
    registration: Registration,
    now: Timestamp,
) -> Result<Connection, RegistrationRefusal> {
    let mut new = checked(ctx, &registration, now)?;
    let signed = signed_by(&registration)?;
    if signed.is_some() {
        new.auth = Auth::Signed;
        // It answers first: whoever asks is not kept waiting for their own proof.
        let is_taken =
            policy.mode == IncomingMode::AutoAccept && new.direction == Direction::Receiver;
        new.prove_at = is_taken.then_some(now);
    }
    if policy.mode == IncomingMode::RequirePassword {
        check_password(policy, registration.password.clone()).await?;
    }
    let hash = token_hash(registration.token.expose());
    let _permit = DECIDING.acquire().await.map_err(|_| SyncError::Stopping)?;
    let by_token = ctx
        .store
        .connections_by_hash(hash.expose())
        .await
        .map_err(SyncError::from)?;
    let by_url = ctx
        .store
        .connections_by_url(&new.url)
        .await
        .map_err(SyncError::from)?;
    match decision(&new, &by_token, &by_url) {
        Decision::Repeated(known) => return Ok(known.clone()),
        Decision::Exists => return Err(RegistrationRefusal::Exists),
        Decision::New => {}
    }
    let origins = ctx.store.claim_origins().await.map_err(SyncError::from)?;
    if !has_room(&origins, registration.from) {
        return Err(RegistrationRefusal::Crowded);
    }
    let kept = signed.as_ref().map_or(Kept::Nothing, Kept::Keys);
    let made = insert_under_free_name(ctx, new, &hash, kept).await?;
    let actor = Actor::peer(&made.name, registration.from);
    ctx.audit(
        &actor,
        "connection.register",
        &made.id.to_string(),
        Some(made.url.to_string()),
    )
    .await;
    ctx.alerter.wake();
    ctx.janitor.wake();
    Ok(made)
}

#[derive(Debug, PartialEq)]
enum Decision<'a> {
    Repeated(&'a Connection),
    Exists,
    New,
}

/// What becomes of a registration that would make the row `new`, given the rows with its token and those with its URL.
fn decision<'a>(
    new: &Connection,
    by_token: &'a [Connection],
    by_url: &[Connection],
) -> Decision<'a> {
    let here = || {
        by_token
            .iter()
            .filter(|row| row.url == new.url && !row.peer_deleted)
    };
    if let Some(known) = here().find(|row| row.direction == new.direction) {
        return Decision::Repeated(known);
    }
    let is_other = |row: &&Connection| !by_token.iter().any(|known| known.id == row.id);
    let blocks = |row: &Connection| {
        row.direction == new.direction
            && row.approved_at.is_some()
            && row.remote_status != Status::Severed
            && !row.peer_deleted
            // Whoever says that he moved to somebody else's place does not lock him out.
            && (row.identity == Identity::Proved || row.prove_at.is_none())
    };
    // A token this site made itself cannot also be the peer's.
    if here().next().is_some() || by_url.iter().filter(is_other).any(blocks) {
        return Decision::Exists;
    }
    Decision::New
}

async fn check_password(
    policy: &IncomingPolicy,
    given: Option<Secret<String>>,
) -> Result<(), RegistrationRefusal> {
    let (Some(hash), Some(given)) = (policy.password.clone(), given) else {
        return Err(RegistrationRefusal::PasswordRequired);
    };
    if is_password(hash, given).await? {
        Ok(())
    } else {
        Err(RegistrationRefusal::PasswordInvalid)
    }
}

/// The keys of a connection whose registration announces that its site signs.
fn signed_by(registration: &Registration) -> Result<Option<SignedPeer>, RegistrationRefusal> {
    let Some(hello) = &registration.evenkeel else {
        return Ok(None);
    };
    signed_peer(hello, &registration.token).map_err(|_| {
        let words = "Invalid evenkeel: receipt_key must be an Ed25519 public key in base64";
        RegistrationRefusal::Invalid(words.to_owned())
    })
}

fn checked(
    ctx: &Ctx,
    registration: &Registration,
    now: Timestamp,
) -> Result<Connection, RegistrationRefusal> {
    let invalid = |words: &str| RegistrationRefusal::Invalid(words.to_owned());
    let url = checked_url(ctx, &registration.url).map_err(|err| match err {
        SyncError::Url(err) => RegistrationRefusal::Invalid(format!("Invalid sender_url: {err}")),
        SyncError::Invalid { message, .. } => {
            RegistrationRefusal::Invalid(format!("Invalid sender_url: {message}"))
        }
        err => err.into(),
    })?;
    let name = cleaned(&registration.name)
        .ok_or_else(|| invalid("Invalid connection_name: it has no printable characters"))?;
    if !is_token(registration.token.expose()) {
        return Err(invalid(
            "Invalid auth_token: 16 to 256 printable characters are expected",
        ));
    }
    let remote = match &registration.evenkeel {
        None => None,
        Some(hello) => Some(remote_site(hello).ok_or_else(|| {
            invalid("Invalid evenkeel: site_id must be a UUID, site_name and version text")
        })?),
    };
    let (direction, wanted_tables) = wish(registration.evenkeel.as_ref())?;
    Ok(Connection {
        wanted_tables,
        remote_status: Status::Active,
        requested_from: registration.from.map(|address| address.to_string()),
        remote,
        last_contact_at: Some(now),
        registered: true,
        ..Connection::new(direction, name, url, now)
    })
}

/// Which way rows are to flow, seen from here, and which tables a site that asks for access would like to read.
fn wish(hello: Option<&EvenkeelHello>) -> Result<(Direction, Vec<TableName>), RegistrationRefusal> {
    let invalid = |words: &str| RegistrationRefusal::Invalid(format!("Invalid evenkeel: {words}"));
    let Some((wants, hello)) = hello.and_then(|hello| Some((hello.wants.as_deref()?, hello)))
    else {
        return Ok((Direction::Receiver, Vec::new()));
    };
    if wants != WANTS_RECEIVER {
        return Err(invalid("wants can only be \"receiver\""));
    }
    let names = hello.tables.as_deref().unwrap_or_default();
    if names.len() > WANTED_TABLES {
        return Err(invalid("tables names more than 1000"));
    }
    let tables: Result<Vec<TableName>, _> = names.iter().map(|name| name.parse()).collect();
    let tables = tables.map_err(|_| invalid("tables must be names of tables"))?;
    Ok((Direction::Sender, tables))
}

/// 43 characters of base64url come from Evenkeel and PhoenixKit; other programs may make others.
fn is_token(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::{Connection, Decision, Direction, Status, decision};
    use crate::model::fixture;

    /// A row at the URL of every other one here.
    fn row(direction: Direction, approved: bool) -> Connection {
        let row = fixture::connection(Status::Pending, Status::Active);
        Connection {
            direction,
            approved_at: approved.then_some(row.created_at),
            ..row
        }
    }

    #[test]
    fn only_what_a_person_approved_stands_in_a_registrations_way() {
        use Direction::{Receiver, Sender};
        let other = |direction, approved, change: fn(&mut Connection)| {
            let mut row = row(direction, approved);
            change(&mut row);
            row
        };
        let nothing = |_: &mut Connection| {};
        for (named, known, by_token, expected) in [
            ("the same again", row(Receiver, false), true, "repeated"),
            ("the same, approved", row(Receiver, true), true, "repeated"),
            ("another claim", row(Receiver, false), false, "new"),
            (
                "approved, another token",
                row(Receiver, true),
                false,
                "exists",
            ),
            ("the other way", row(Sender, true), false, "new"),
            ("our own token", row(Sender, true), true, "exists"),
            (
                "ended by the peer",
                other(Receiver, true, |row| row.remote_status = Status::Severed),
                false,
                "new",
            ),
            (
                "deleted by the peer",
                other(Receiver, true, |row| row.peer_deleted = true),
                true,
                "new",
            ),
            (
                "not approved",
                other(Receiver, false, nothing),
                false,
                "new",
            ),
        ] {
            let new = row(Receiver, false);
            let by_url = [known.clone()];
            let tokens = if by_token { vec![known] } else { Vec::new() };
            let found = match decision(&new, &tokens, &by_url) {
                Decision::Repeated(_) => "repeated",
                Decision::Exists => "exists",
                Decision::New => "new",
            };
            assert_eq!(found, expected, "{named}");
        }
        // One that asks for access is stopped by another of its kind alone.
        let wish = row(Sender, false);
        let given = [row(Receiver, true)];
        assert_eq!(decision(&wish, &[], &given), Decision::New);
        let asked = [row(Sender, true)];
        assert_eq!(decision(&wish, &[], &asked), Decision::Exists);
    }
}
