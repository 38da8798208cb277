//! What whoever holds a token makes of signed JSON on its way: both the request and its answer, signed again.

use evenkeel::base::secret::{Secret, token_hash};
use evenkeel::model::connection::Direction;
use evenkeel::wire::signing::{
    Answer as Told, CONNECTION, ConnectionKeys, Presented, Request as Asked, RootKey, Signature,
    sign_answer, sign_request,
};
use jiff::Timestamp;
use serde_json::Value;

use super::http::Answer;

/// The headers of a message.
pub(super) type Headers = Vec<(String, String)>;

/// What becomes of a body.
pub type Retold = fn(&mut Value);

/// How both are altered.
#[derive(Clone)]
pub struct Retelling {
    name: String,
    keys: ConnectionKeys,
    asked: Retold,
    answered: Retold,
}

impl Retelling {
    /// By whoever has the token of the connection.
    pub fn new(token: String, asked: Retold, answered: Retold) -> Self {
        let token = Secret::new(token);
        Self {
            name: token_hash(token.expose()).expose().clone(),
            keys: ConnectionKeys::derive(&RootKey::of_token(&token), 1),
            asked,
            answered,
        }
    }

    /// Alters a request to `path`; its first signature.
    pub(super) fn ask(&self, path: &str, headers: &mut Headers, body: &mut Vec<u8>) -> Signature {
        let told = |name| {
            let mut headers = headers.iter();
            headers
                .find(|(it, _)| *it == name)
                .map(|(_, value)| value.clone())
        };
        let first = Presented::read(told).ok().flatten().expect("a signature");
        assert_eq!(told(CONNECTION).as_ref(), Some(&self.name));
        *body = retold(body, self.asked);
        let asked = Asked {
            method: "POST",
            path,
            connection: &self.name,
            body,
        };
        let key = (self.keys.signing(Direction::Receiver), 1);
        // The site behind never hears of the first one.
        let signed = sign_request(key, &asked, first.created, first.nonce);
        replace(headers, signed.headers);
        first.signature
    }

    /// Alters the answer to the request that had this signature.
    pub(super) fn answer(&self, request: Signature, answer: &mut Answer) {
        answer.body = retold(&answer.body, self.answered);
        let told = Told {
            status: answer.status,
            connection: &self.name,
            request,
            body: &answer.body,
        };
        let key = (self.keys.signing(Direction::Sender), 1);
        let signed = sign_answer(key, &told, Timestamp::now().as_second());
        replace(&mut answer.headers, signed);
    }
}

fn retold(body: &[u8], how: Retold) -> Vec<u8> {
    let mut told: Value = serde_json::from_slice(body).expect("JSON");
    how(&mut told);
    told.to_string().into_bytes()
}

fn replace(headers: &mut Headers, by: impl IntoIterator<Item = (&'static str, String)>) {
    for (name, value) in by {
        headers.retain(|(it, _)| it != name);
        headers.push((name.to_owned(), value));
    }
}
