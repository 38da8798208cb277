//! Asking a peer to prove that it is the other side of a connection.

use serde_json::{Value, json};

use crate::model::connection::TokenOrigin;
use crate::model::url::PeerUrl;
use crate::remote::error::RemoteError;
use crate::remote::peer::{Peer, Verified, named};
use crate::wire::signing::Credentials;

impl Peer {
    /// Asks the peer to prove that it is the other side of a connection whose token came to this one so: whoever brought
    /// two strangers together by one token hears no from both. One that signs has to say where it has the token from.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub async fn prove(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
        origin: TokenOrigin,
    ) -> Result<Verified, RemoteError> {
        let mut body = named(own_url, credentials, None);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("evenkeel".into(), json!({"token": origin}));
        }
        let (verified, answer) = self.verified(&body, credentials).await?;
        let said = answer.pointer("/evenkeel/token").and_then(Value::as_str);
        let is_proved = said == Some(origin.other().as_str());
        if verified == Verified::Exists && credentials.keys.is_some() && !is_proved {
            return Err(RemoteError::Unproved {
                host: self.host(),
                reason: "it does not say that it is the other side of this connection".to_owned(),
            });
        }
        Ok(verified)
    }
}
