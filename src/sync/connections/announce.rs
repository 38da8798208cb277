//! Announcing: the one message that carries the raw token, sent until the peer took it.

use crate::base::secret::{Secret, token_hash};
use crate::model::connection::{Connection, Direction, Status};
use crate::remote::{RegisterRequest, RemoteError};
use crate::store::{RegistrationAnswer, SignedPeer};
use crate::sync::Ctx;
use crate::sync::connections::name::{announced_key, remote_site};
use crate::wire::messages::{EvenkeelHello, Registered, WANTS_RECEIVER};
use crate::wire::signing::{ConnectionKeys, Credentials, FIRST_GENERATION, RootKey};

/// Registers `connection` with its peer. Repeating it with the same token changes nothing there; what is not the
/// connection that was meant is undone there.
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
            evenkeel: hello(ctx, connection),
        })
        .await?;
    let signed = match answer.evenkeel.as_ref() {
        Some(hello) => signed_peer(hello, token).map_err(|reason| RemoteError::Protocol {
            host: peer.host(),
            reason: reason.to_owned(),
        })?,
        None => None,
    };
    if let Some(reason) = unfit(connection, &answer, signed.is_some()) {
        // It made a connection for a site that gives, whatever this one is.
        let made = Credentials {
            token_hash: token_hash(token.expose()),
            direction: Direction::Sender,
            keys: signed.map(|peer| ConnectionKeys::derive(&peer.root_key, FIRST_GENERATION)),
        };
        let undone = peer.delete(&ctx.config.site.url, &made).await;
        return Err(RemoteError::Unfit {
            host: peer.host(),
            reason: match undone {
                Ok(()) => format!("{reason}; nothing stays of it there"),
                Err(err) => format!(
                    "{reason}; what was made there could not be undone ({err}), so its administrator has to delete it"
                ),
            },
        });
    }
    Ok(RegistrationAnswer {
        remote_status: remote_status(&answer.connection_status),
        remote: answer.evenkeel.as_ref().and_then(remote_site),
        remote_prefix: peer.prefix().unwrap_or_default().to_owned(),
        signed,
    })
}

/// What this site says of itself, and that it asks for access where it does.
fn hello(ctx: &Ctx, connection: &Connection) -> EvenkeelHello {
    let mut hello = ctx.hello();
    if connection.direction == Direction::Receiver {
        let tables = connection.wanted_tables.iter();
        hello.wants = Some(WANTS_RECEIVER.to_owned());
        hello.tables = Some(tables.map(ToString::to_string).collect());
    }
    hello
}

/// Why the connection that the peer made is not the one that was meant.
fn unfit(connection: &Connection, answer: &Registered, signs: bool) -> Option<&'static str> {
    let understood = answer
        .evenkeel
        .as_ref()
        .and_then(|hello| hello.wants.as_deref());
    if connection.direction == Direction::Receiver && understood != Some(WANTS_RECEIVER) {
        return Some(
            "cannot be asked for access: it is no Evenkeel site, or of an earlier version; its administrator can connect to this site instead",
        );
    }
    (connection.requires_signed && !signs)
        .then_some("does not sign its requests, and this connection was to be signed or not made")
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
