//! Offering the peer of a signed connection its next key.

use serde_json::{Value, json};

use crate::model::url::PeerUrl;
use crate::remote::error::RemoteError;
use crate::remote::peer::{Peer, named};
use crate::wire::signing::{Credentials, RootKey};

/// What became of a key that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotated {
    /// The peer has it, and signs with it.
    Taken,
    /// The peer left it unread: its version knows nothing of rotation.
    NotUnderstood,
}

impl Peer {
    /// Offers the key of the next generation, by a request that is signed with the keys of `credentials`.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn rotate(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
        (generation, key): (u32, &RootKey),
    ) -> Result<Rotated, RemoteError> {
        let mut body = named(own_url, credentials, None);
        let offer = json!({"generation": generation, "key": key.to_offer().expose().as_str()});
        if let Some(fields) = body.as_object_mut() {
            fields.insert("evenkeel".into(), json!({ "rotate": offer }));
        }
        let answer: Value = self
            .transport
            .call("verify-connection", &body, Some(credentials))
            .await?;
        let taken = answer.pointer("/evenkeel/rotate/generation");
        Ok(
            if taken.and_then(Value::as_u64) == Some(generation.into()) {
                Rotated::Taken
            } else {
                Rotated::NotUnderstood
            },
        )
    }
}
