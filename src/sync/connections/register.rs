//! A stranger registers: the row that waits for an administrator.
//!
//! Invariant: repeating a registration changes nothing; a claim blocks nobody; the raw token is not kept.

use std::net::IpAddr;

use jiff::Timestamp;
use tokio::sync::Semaphore;

use crate::base::secret::{Secret, token_hash};
use crate::model::connection::{Auth, Connection, Direction, Status};
use crate::model::id::ConnectionId;
use crate::model::policy::IncomingMode;
use crate::model::url::PeerUrl;
use crate::store::{Kept, SignedPeer, StoreError};
use crate::sync::connections::address::checked_url;
use crate::sync::connections::announce::signed_peer;
use crate::sync::connections::name::{NAME_CHARACTERS, cleaned, remote_site};
use crate::sync::connections::password::is_password;
use crate::sync::connections::policy::IncomingPolicy;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::messages::{EvenkeelHello, PublishedRefusal};

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
    #[error("Connection already exists for this site")]
    Exists,
    /// Our own fault.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// Registrations are decided one after the other, so that two equal ones make one row.
static DECIDING: Semaphore = Semaphore::const_new(1);

/// Takes a registration under `policy` (not `deny_all`: that is refused before the request is read).
/// Every mode leaves the row pending; `auto_accept` has a site that signs prove who it is then. One that announces that it signs is signed from the start; another registration
/// never changes that.
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
        new.prove_at = (policy.mode == IncomingMode::AutoAccept).then_some(now);
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
    match decision(&new.url, &by_token, &by_url) {
        Decision::Repeated(known) => return Ok(known.clone()),
        Decision::Exists => return Err(RegistrationRefusal::Exists),
        Decision::New => {}
    }
    let kept = signed.as_ref().map_or(Kept::Nothing, Kept::Keys);
    let made = insert_under_free_name(ctx, new, &hash, kept).await?;
    let actor = Actor {
        name: format!("peer:{}", made.name),
        address: registration.from,
    };
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

enum Decision<'a> {
    Repeated(&'a Connection),
    Exists,
    New,
}

/// What becomes of a registration from `url`, given the rows with its token and those with its URL.
fn decision<'a>(url: &PeerUrl, by_token: &'a [Connection], by_url: &[Connection]) -> Decision<'a> {
    let here = || {
        by_token
            .iter()
            .filter(|row| row.url == *url && !row.peer_deleted)
    };
    if let Some(known) = here().find(|row| row.direction == Direction::Receiver) {
        return Decision::Repeated(known);
    }
    let is_other = |row: &&Connection| !by_token.iter().any(|known| known.id == row.id);
    let blocks = |row: &Connection| {
        row.direction == Direction::Receiver
            && row.approved_at.is_some()
            && row.remote_status != Status::Severed
            && !row.peer_deleted
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
    Ok(Connection {
        remote_status: Status::Active,
        requested_from: registration.from.map(|address| address.to_string()),
        remote,
        last_contact_at: Some(now),
        registered: true,
        ..Connection::new(Direction::Receiver, name, url, now)
    })
}

/// 43 characters of base64url come from Evenkeel and PhoenixKit; other programs may make others.
fn is_token(text: &str) -> bool {
    (16..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Inserts `connection`, under its name or with `-2`, `-3`, ... behind it.
///
/// # Errors
/// Only our own state's.
pub(super) async fn insert_under_free_name(
    ctx: &Ctx,
    mut connection: Connection,
    hash: &Secret<String>,
    kept: Kept<'_>,
) -> Result<Connection, SyncError> {
    let wanted = connection.name.clone();
    for at in 1_u32.. {
        connection.name = numbered(&wanted, at, connection.id);
        match ctx.store.insert_connection(&connection, hash, kept).await {
            Err(StoreError::NameTaken(_)) if at <= NUMBERED => {}
            done => {
                done?;
                break;
            }
        }
    }
    Ok(connection)
}

/// After so many equal names the row's own identifier makes the difference.
const NUMBERED: u32 = 50;

fn numbered(name: &str, at: u32, id: ConnectionId) -> String {
    let ending = match at {
        1 => return name.to_owned(),
        at if at <= NUMBERED => format!("-{at}"),
        _ => format!("-{id}"),
    };
    let kept: String = name
        .chars()
        .take(NAME_CHARACTERS.saturating_sub(ending.len()))
        .collect();
    kept + &ending
}
