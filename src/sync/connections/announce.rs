//! Announcing: the one message that carries the raw token, sent until the peer took it.

use crate::base::secret::Secret;
use crate::model::connection::{Connection, Status};
use crate::remote::{RegisterRequest, RemoteError};
use crate::store::{RegistrationAnswer, SignedPeer};
use crate::sync::Ctx;
use crate::sync::connections::name::{announced_key, remote_site};
use crate::wire::messages::EvenkeelHello;
use crate::wire::signing::RootKey;

/// Registers `connection` with its peer. Repeating it with the same token changes nothing there.
///
/// # Errors
/// The peer's refusal, or why it could not be asked.
pub(super) async fn send_registration(
    ctx: &Ctx,
    connection: &Connection,
    token: &Secret<String>,
    password: Option<&Secret<String>>,
) -> Result<RegistrationAnswer, RemoteError> {
    let peer = ctx
        .remote
        .reach(&connection.url, connection.remote_prefix.as_deref())
        .await?;
    let answer = peer
        .register(&RegisterRequest {
            sender_url: ctx.config.site.url.to_string(),
            connection_name: ctx.config.site.name.clone(),
            auth_token: token,
            password,
            evenkeel: ctx.hello(),
        })
        .await?;
    Ok(RegistrationAnswer {
        remote_status: remote_status(&answer.connection_status),
        remote: answer.evenkeel.as_ref().and_then(remote_site),
        remote_prefix: peer.prefix().unwrap_or_default().to_owned(),
        signed: match answer.evenkeel.as_ref() {
            Some(hello) => signed_peer(hello, token).map_err(|reason| RemoteError::Protocol {
                host: peer.host(),
                reason: reason.to_owned(),
            })?,
            None => None,
        },
    })
}

/// The keys of a connection to a peer that says `hello`, when it announces that it signs.
///
/// # Errors
/// In words, when it announces a key that is none.
pub(super) fn signed_peer(
    hello: &EvenkeelHello,
    token: &Secret<String>,
) -> Result<Option<SignedPeer>, &'static str> {
    let key = announced_key(hello).map_err(|_| "its receipt_key is no Ed25519 key")?;
    Ok(key.map(|key| SignedPeer {
        root_key: RootKey::of_token(token),
        receipt_key: key.to_owned(),
    }))
}

/// A word this version does not know counts as pending: nothing flows on a guess.
fn remote_status(word: &str) -> Status {
    match word.parse() {
        Ok(Status::Revoked) => Status::Severed,
        Ok(status) => status,
        Err(_) => Status::Pending,
    }
}

#[cfg(test)]
mod tests {
    use super::remote_status;
    use crate::model::connection::Status;

    #[test]
    fn an_unknown_answer_to_a_registration_counts_as_pending() {
        let read = |word: &str| remote_status(word);
        assert_eq!(read("active"), Status::Active);
        assert_eq!(read("pending"), Status::Pending);
        assert_eq!(read("revoked"), Status::Severed);
        assert_eq!(read("on_hold"), Status::Pending);
    }
}
