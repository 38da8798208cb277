//! The other side of a signed connection, played by the test: it holds the token and signs what it likes.

use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::{
    Answer as JsonAnswer, ConnectionKeys, Nonce, Proof, Request as Message, RootKey, Signed,
    sign_request, verify_answer,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::hash;
use crate::support::daemon::Site;
use crate::support::http::{Answer, Request};

/// One side of a connection.
pub struct Party {
    /// What it says it is reached at.
    pub url: String,
    /// Its own direction.
    pub direction: Direction,
    name: String,
    keys: ConnectionKeys,
    nonce: u64,
}

impl Party {
    /// That holds the keys of this token.
    pub fn of(token: &str, url: &str, direction: Direction) -> Self {
        let token_of = evenkeel::base::secret::Secret::new(token.to_owned());
        Self {
            url: url.to_owned(),
            direction,
            name: hash(token),
            keys: ConnectionKeys::derive(&RootKey::of_token(&token_of), 1),
            nonce: 0,
        }
    }

    /// The same with another key.
    pub fn with_key(&self, root: &RootKey, generation: u32) -> Self {
        Self {
            url: self.url.clone(),
            name: self.name.clone(),
            keys: ConnectionKeys::derive(root, generation),
            nonce: self.nonce + 1_000 * u64::from(generation),
            ..*self
        }
    }

    /// The fields of every request, and these.
    pub fn body(&self, fields: Value) -> Value {
        let mut body = json!({"sender_url": self.url, "auth_token_hash": self.name});
        for (name, value) in fields.as_object().expect("fields") {
            body[name] = value.clone();
        }
        body
    }

    /// A request signed by `signer`, usually this side.
    pub fn sign_as(
        &mut self,
        signer: Direction,
        endpoint: &str,
        body: &Value,
    ) -> (Request, Signed) {
        self.nonce += 1;
        let path = format!("/sync/api/{endpoint}");
        let bytes = body.to_string().into_bytes();
        let message = Message {
            method: "POST",
            path: &path,
            connection: &self.name,
            body: &bytes,
        };
        let key = (self.keys.signing(signer), self.keys.generation);
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.to_be_bytes());
        let signed = sign_request(key, &message, Timestamp::now().as_second(), Nonce(nonce));
        let mut request = Request::new("POST", &path).body(bytes);
        for (name, value) in &signed.headers {
            request = request.header(name, value);
        }
        (request, signed)
    }

    /// Asks `site` with a signature; its answer, which is signed by the other side in turn when it is no refusal.
    pub fn ask(&mut self, site: &Site, endpoint: &str, fields: Value) -> Answer {
        let body = self.body(fields);
        let (request, signed) = self.sign_as(self.direction, endpoint, &body);
        let answer = site.peer(&request).expect("an answer");
        if answer.status == 200 {
            let told = JsonAnswer {
                status: answer.status,
                connection: &self.name,
                request: signed.signature,
                body: &answer.body,
            };
            let key = self.keys.signing(self.direction.other());
            let header = |name| answer.header(name).map(str::to_owned);
            let proof = verify_answer((key, self.keys.generation), &told, header);
            assert_eq!(proof, Proof::Holds, "{endpoint}");
        }
        answer
    }

    /// Offers a key to `site`.
    pub fn offer(&mut self, site: &Site, generation: u32, root: &RootKey) -> Answer {
        let rotate = json!({"generation": generation, "key": root.to_offer().expose()});
        self.ask(
            site,
            "verify-connection",
            json!({"evenkeel": {"rotate": rotate}}),
        )
    }
}
