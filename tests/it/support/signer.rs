//! Whoever holds a token, and signs requests with what comes from it.

use evenkeel::base::secret::{Secret, token_hash};
use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::{
    Answer as JsonAnswer, ConnectionKeys, Nonce, Proof, Request as Message, RootKey, Signed,
    sign_request, verify_answer,
};
use jiff::Timestamp;
use serde_json::Value;

use super::http::{Answer, Request};

/// What the administrator of another site would hold: a token, and all that comes from it.
pub struct Key {
    /// As the receiver was given it.
    pub token: String,
    /// Its hash.
    pub name: String,
    /// Those of the first generation.
    pub keys: ConnectionKeys,
}

impl Key {
    /// That of a token.
    pub fn of(token: String) -> Self {
        Self {
            name: token_hash(&token).expose().clone(),
            keys: ConnectionKeys::derive(&RootKey::of_token(&Secret::new(token.clone())), 1),
            token,
        }
    }

    /// The body of a request of this connection.
    pub fn body(&self, fields: Value) -> Value {
        let mut body = fields;
        body["auth_token_hash"] = self.name.as_str().into();
        body
    }

    /// A request as the receiver signs it, `age` seconds ago.
    pub fn sign(&self, path: &str, body: &Value, nonce: u8, age: i64) -> (Request, Signed) {
        let bytes = body.to_string().into_bytes();
        let message = Message {
            method: "POST",
            path,
            connection: &self.name,
            body: &bytes,
        };
        let key = (self.keys.signing(Direction::Receiver), 1);
        let now = Timestamp::now().as_second();
        let signed = sign_request(key, &message, now - age, Nonce([nonce; 16]));
        let mut request = Request::new("POST", path).body(bytes);
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        (request, signed)
    }

    /// Whether the answer is the sender's, to this very request.
    pub fn verifies(&self, signed: &Signed, answer: &Answer) -> Proof {
        let told = JsonAnswer {
            status: answer.status,
            connection: &self.name,
            request: signed.signature,
            body: &answer.body,
        };
        let key = (self.keys.signing(Direction::Sender), 1);
        verify_answer(key, &told, |name| answer.header(name).map(str::to_owned))
    }
}
