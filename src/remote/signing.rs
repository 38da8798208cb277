//! Signing what is asked of the peer of a signed connection, and holding its answers against its key.
//!
//! Invariant: of such a peer no success is believed without its signature, and no refusal but those of somebody who
//! cannot sign.

use jiff::Timestamp;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::base::secret::random_bytes;
use crate::model::connection::Direction;
use crate::wire::signing::{
    Answer, ConnectionKeys, Credentials, Nonce, Proof, Request, Seal, Signature, joined,
    sign_request, verify_answer,
};

/// What the answer to a signed request has to prove.
#[derive(Debug)]
pub(super) struct Expected {
    name: String,
    keys: ConnectionKeys,
    peer: Direction,
    request: Signature,
    nonce: Nonce,
}

/// Signs `request` where the connection is signed; in words why it cannot be.
pub(super) fn sign(
    request: &mut reqwest::Request,
    credentials: &Credentials,
) -> Result<Option<Expected>, String> {
    let Some(keys) = &credentials.keys else {
        return Ok(None);
    };
    let random = random_bytes().map_err(|err| err.to_string())?;
    let (random, _) = random.split_first_chunk().unwrap_or((&[0; 16], &[]));
    let (name, nonce) = (credentials.token_hash.expose(), Nonce(*random));
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let signed = sign_request(
        (keys.signing(credentials.direction), keys.generation),
        &Request {
            method: request.method().as_str(),
            path: request.url().path(),
            connection: name,
            body: body.unwrap_or_default(),
        },
        Timestamp::now().as_second(),
        nonce,
    );
    for (header, value) in signed.headers {
        let value = HeaderValue::try_from(value).map_err(|err| err.to_string())?;
        request.headers_mut().insert(header, value);
    }
    Ok(Some(Expected {
        name: name.clone(),
        keys: keys.clone(),
        peer: credentials.direction.other(),
        request: signed.signature,
        nonce,
    }))
}

impl Expected {
    /// Whether the answer may be believed; in words why not.
    pub(super) fn check(
        &self,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), &'static str> {
        let key = (self.keys.signing(self.peer), self.keys.generation);
        let answer = Answer {
            status,
            connection: &self.name,
            request: self.request,
            body,
        };
        let header = |name| joined(headers.get_all(name).iter().map(HeaderValue::to_str));
        match verify_answer(key, &answer, header) {
            Proof::Holds => Ok(()),
            Proof::Missing if may_be_unsigned(status) => Ok(()),
            Proof::Missing => Err("the answer has no signature"),
            Proof::Wrong => Err("the signature on the answer is not the peer's"),
        }
    }

    /// What the frames of the answer are sealed with.
    pub(super) fn seal(&self) -> Seal {
        Seal::of_stream(self.keys.signing(self.peer), self.nonce)
    }
}

/// The refusals of a proxy, of a site that does not know the connection (any more), and of one that could not tell who
/// asks: denial is all that whoever forges them achieves.
fn may_be_unsigned(status: u16) -> bool {
    matches!(status, 401 | 404 | 408 | 413 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::may_be_unsigned;

    #[test]
    fn what_would_change_something_is_believed_only_with_a_signature() {
        for status in [200, 201, 202, 204, 301, 400, 403, 409, 410] {
            assert!(!may_be_unsigned(status), "{status}");
        }
        for status in [401, 404, 413, 429, 500, 502, 503] {
            assert!(may_be_unsigned(status), "{status}");
        }
    }
}
