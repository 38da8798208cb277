//! Finding the connection an administrator or a peer speaks of.
//!
//! Invariant: a row the peer deleted on its side, or our administrator on ours, is not found; a signed connection is
//! found only by a request that its peer signed.

use std::net::IpAddr;

use crate::model::connection::{Auth, Connection, Direction};
use crate::model::id::ConnectionId;
use crate::model::url::PeerUrl;
use crate::store::StoreError;
use crate::sync::connections::moved::follow;
use crate::sync::{Actor, Ctx, SyncError};
use crate::wire::signing::SignatureFault;

/// The connection a peer names.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// By its token's hash.
    pub token_hash: &'a str,
    /// The one whose peer signed the request; `None` for an unsigned one.
    pub proved: Option<ConnectionId>,
    /// Where the request came from.
    pub from: Option<IpAddr>,
}

/// Why a peer's connection was not looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// It is signed and the request is not, or not by its peer.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// Our own state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The connection of this id.
///
/// # Errors
/// [`SyncError::Unknown`] when there is none.
pub async fn existing(ctx: &Ctx, id: ConnectionId) -> Result<Connection, SyncError> {
    let unknown = || SyncError::Unknown {
        what: "connection",
        name: id.to_string(),
    };
    ctx.store.connection(id).await?.ok_or_else(unknown)
}

/// The row, of either direction, with this peer's URL and this token's hash; or the one whose peer signed the request,
/// which is then at that URL.
///
/// # Errors
/// See [`LookupError`].
pub async fn by_url_and_token_hash(
    ctx: &Ctx,
    url: &str,
    claim: Claim<'_>,
) -> Result<Option<Connection>, LookupError> {
    let found = ctx.store.connections_by_hash(claim.token_hash).await?;
    let parsed = PeerUrl::parse(url).ok();
    // Who signed is known by that, wherever it is.
    let is = |row: &Connection| claim.proved == Some(row.id) || Some(&row.url) == parsed.as_ref();
    let Some(row) = chosen(found, claim, is)? else {
        return Ok(None);
    };
    if claim.proved.is_none() {
        return Ok(Some(row));
    }
    let actor = Actor::peer(&row.name, claim.from);
    Ok(Some(follow(ctx, row, url, &actor).await?))
}

/// The row on which this site gives to the holder of this token.
///
/// # Errors
/// See [`LookupError`].
pub async fn by_token_hash(ctx: &Ctx, claim: Claim<'_>) -> Result<Option<Connection>, LookupError> {
    let found = ctx.store.connections_by_hash(claim.token_hash).await?;
    Ok(chosen(found, claim, |row| {
        row.direction == Direction::Sender
    })?)
}

/// The row among `found` that the claim is good for.
fn chosen(
    found: Vec<Connection>,
    claim: Claim<'_>,
    is: impl Fn(&Connection) -> bool,
) -> Result<Option<Connection>, SignatureFault> {
    let mut fits: Vec<Connection> = found
        .into_iter()
        .filter(|row| !row.peer_deleted && is(row))
        .collect();
    let at = fits.iter().position(|row| match claim.proved {
        Some(proved) => row.id == proved,
        None => row.auth == Auth::TokenHash,
    });
    match at {
        Some(at) => Ok(Some(fits.swap_remove(at))),
        None if claim.proved.is_none() && !fits.is_empty() => Err(SignatureFault::MISSING),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, chosen};
    use crate::model::connection::{Auth, Connection, Status};
    use crate::model::fixture;
    use crate::wire::signing::SignatureFault;

    fn row(auth: Auth) -> Connection {
        Connection {
            auth,
            ..fixture::connection(Status::Active, Status::Active)
        }
    }

    #[test]
    fn a_signed_connection_is_found_only_by_its_peers_signature() {
        let (signed, other, unsigned) =
            (row(Auth::Signed), row(Auth::Signed), row(Auth::TokenHash));
        let find = |rows: &[&Connection], proved| {
            let rows = rows.iter().copied().cloned().collect();
            let claim = Claim {
                token_hash: "h",
                proved,
                from: None,
            };
            chosen(rows, claim, |_| true).map(|found| found.map(|row| row.id))
        };
        let missing = Err(SignatureFault::MISSING);
        assert_eq!(find(&[&signed], Some(signed.id)), Ok(Some(signed.id)));
        assert_eq!(find(&[&signed], None), missing);
        assert_eq!(find(&[&signed], Some(other.id)), Ok(None));
        assert_eq!(find(&[&unsigned], None), Ok(Some(unsigned.id)));
        assert_eq!(find(&[&unsigned], Some(signed.id)), Ok(None));
        let both = [&signed, &unsigned];
        assert_eq!(find(&both, None), Ok(Some(unsigned.id)));
        assert_eq!(find(&both, Some(signed.id)), Ok(Some(signed.id)));
        assert_eq!(find(&[], None), Ok(None));
    }
}
