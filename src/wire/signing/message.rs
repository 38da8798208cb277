//! Signing requests and JSON answers, and telling whether a signature holds.
//!
//! Invariant: what is signed is written anew from what arrived, never taken from what the message says of itself.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::wire::signing::fault::SignatureFault;
use crate::wire::signing::field::{
    Input, Once, Parameters, Signature, content_digest, is_digest_of,
};
use crate::wire::signing::keys::MacKey;
use crate::wire::signing::replay::Nonce;

/// RFC 9530.
pub const CONTENT_DIGEST: &str = "content-digest";
/// The connection's name.
pub const CONNECTION: &str = "evenkeel-connection";
/// RFC 9421.
pub const SIGNATURE: &str = "signature";
/// RFC 9421.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// How long a request's signature is good, and how far two clocks may be apart, in seconds.
pub const LIFETIME: i64 = 60;

const OF_REQUEST: [&str; 4] = [
    "\"@method\"",
    "\"@path\"",
    "\"content-digest\"",
    "\"evenkeel-connection\"",
];
const OF_ANSWER: [&str; 3] = [
    "\"@status\"",
    "\"content-digest\"",
    "\"signature\";req;key=\"evenkeel\"",
];

/// What of a request is signed, as it arrived or is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// In capitals.
    pub method: &'a str,
    /// As in the request line, without a query.
    pub path: &'a str,
    /// The connection's name.
    pub connection: &'a str,
    /// All of it.
    pub body: &'a [u8],
}

/// What goes with a signed message.
#[derive(Clone, Debug)]
pub struct Signed {
    /// To be set, by name.
    pub headers: Vec<(&'static str, String)>,
    /// What the answer's signature covers.
    pub signature: Signature,
}

/// Signs a request at `now` (Unix time, seconds) with the key of this generation.
#[must_use]
pub fn sign_request(
    (key, generation): (&MacKey, u32),
    request: &Request<'_>,
    now: i64,
    nonce: Nonce,
) -> Signed {
    let parameters = Parameters {
        created: now,
        once: Some(Once {
            expires: now.saturating_add(LIFETIME),
            nonce,
        }),
        name: request.connection.to_owned(),
        generation,
    };
    let digest = content_digest(request.body);
    let base = base_of_request(request, &digest, &parameters);
    let signature = Signature(mac(key, &base));
    Signed {
        headers: vec![
            (CONTENT_DIGEST, digest),
            (CONNECTION, request.connection.to_owned()),
            (SIGNATURE_INPUT, parameters.to_field(&OF_REQUEST)),
            (SIGNATURE, signature.to_field()),
        ],
        signature,
    }
}

/// The signature that a request carries, its form checked and nothing else.
#[derive(Clone, Debug)]
pub struct Presented {
    /// The connection it names.
    pub connection: String,
    /// Of the connection's key.
    pub generation: u32,
    /// Unix time, seconds.
    pub created: i64,
    /// The last second at which it is good.
    pub expires: i64,
    /// Never used before.
    pub nonce: Nonce,
    /// What the answer's signature covers.
    pub signature: Signature,
    parameters: Parameters,
    digest: String,
}

impl Presented {
    /// Reads it from the headers that `header` gives, lines of one name joined; `None` when there is none of ours.
    ///
    /// # Errors
    /// [`SignatureFault::INVALID`] for what is not of the one form.
    pub fn read(
        header: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, SignatureFault> {
        let Some(input) = header(SIGNATURE_INPUT) else {
            return Ok(None);
        };
        let parameters = match Input::read(&input, &OF_REQUEST) {
            Input::None => return Ok(None),
            Input::Malformed => return Err(SignatureFault::INVALID),
            Input::Ours(parameters) => parameters,
        };
        let signature = header(SIGNATURE).and_then(|field| Signature::read(&field));
        let (Some(once), Some(signature), Some(digest), Some(connection)) = (
            parameters.once,
            signature,
            header(CONTENT_DIGEST),
            header(CONNECTION),
        ) else {
            return Err(SignatureFault::INVALID);
        };
        Ok(Some(Self {
            connection,
            generation: parameters.generation,
            created: parameters.created,
            expires: once.expires,
            nonce: once.nonce,
            signature,
            parameters,
            digest,
        }))
    }
}

/// A signed request as it arrived, with all that its signature is held against.
#[derive(Clone, Copy)]
pub struct Received<'a> {
    /// Its signature.
    pub presented: &'a Presented,
    /// Its `connection` is the one whose key this is.
    pub request: Request<'a>,
    /// What the peer of that connection signs with.
    pub key: &'a MacKey,
    /// Unix time, seconds.
    pub now: i64,
    /// The second in which this daemon started: what it took before then, it has forgotten.
    pub started: i64,
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").finish_non_exhaustive()
    }
}

/// One condition of a signature.
pub type Check = fn(&Received<'_>) -> Result<(), SignatureFault>;

/// All of them; that the nonce is new comes after, because only what passes these is remembered.
pub const CHECKS: [Check; 5] = [
    names_its_connection,
    is_of_the_body,
    is_signed,
    is_timely,
    is_since_start,
];

impl Received<'_> {
    /// Holds the request against `checks`, in their order.
    ///
    /// # Errors
    /// That of the first that fails.
    pub fn pass(&self, checks: &[Check]) -> Result<(), SignatureFault> {
        checks.iter().try_for_each(|check| check(self))
    }
}

fn names_its_connection(received: &Received<'_>) -> Result<(), SignatureFault> {
    let (presented, name) = (received.presented, received.request.connection);
    hold(
        presented.connection == name && presented.parameters.name == name,
        SignatureFault::INVALID,
    )
}

fn is_of_the_body(received: &Received<'_>) -> Result<(), SignatureFault> {
    let is_digest = is_digest_of(&received.presented.digest, received.request.body);
    hold(is_digest, SignatureFault::DIGEST)
}

fn is_signed(received: &Received<'_>) -> Result<(), SignatureFault> {
    let presented = received.presented;
    let base = base_of_request(&received.request, &presented.digest, &presented.parameters);
    let is_right = is_mac(received.key, &base, &presented.signature);
    hold(is_right, SignatureFault::INVALID)
}

fn is_timely(received: &Received<'_>) -> Result<(), SignatureFault> {
    let presented = received.presented;
    let lasts = presented.expires.saturating_sub(presented.created);
    hold((1..=LIFETIME).contains(&lasts), SignatureFault::INVALID)?;
    let is_early = presented.created > received.now.saturating_add(LIFETIME);
    let is_late = presented.expires < received.now;
    hold(!is_early && !is_late, SignatureFault::UNTIMELY)
}

fn is_since_start(received: &Received<'_>) -> Result<(), SignatureFault> {
    let is_since = received.presented.created > received.started;
    hold(is_since, SignatureFault::BEFORE_START)
}

fn hold(holds: bool, fault: SignatureFault) -> Result<(), SignatureFault> {
    if holds { Ok(()) } else { Err(fault) }
}

/// What of a JSON answer is signed.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// The connection's name.
    pub connection: &'a str,
    /// The signature of the request that it answers.
    pub request: Signature,
    /// All of it.
    pub body: &'a [u8],
}

/// The headers with which an answer is signed at `now` (Unix time, seconds).
#[must_use]
pub fn sign_answer(
    (key, generation): (&MacKey, u32),
    answer: &Answer<'_>,
    now: i64,
) -> [(&'static str, String); 3] {
    let parameters = Parameters {
        created: now,
        once: None,
        name: answer.connection.to_owned(),
        generation,
    };
    let digest = content_digest(answer.body);
    let signature = Signature(mac(key, &base_of_answer(answer, &digest, &parameters)));
    [
        (CONTENT_DIGEST, digest),
        (SIGNATURE_INPUT, parameters.to_field(&OF_ANSWER)),
        (SIGNATURE, signature.to_field()),
    ]
}

/// What an answer's headers prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// There is no signature of ours.
    Missing,
    /// There is one, and it is not the peer's on this answer.
    Wrong,
    /// The peer answered this, to this request.
    Holds,
}

/// Whether the answer is the peer's, which signs with `key`, to the request that it answers. When it was signed says
/// nothing: it is bound to a request that was signed just before.
#[must_use]
pub fn verify_answer(
    (key, generation): (&MacKey, u32),
    answer: &Answer<'_>,
    header: impl Fn(&'static str) -> Option<String>,
) -> Proof {
    let Some(input) = header(SIGNATURE_INPUT) else {
        return Proof::Missing;
    };
    let parameters = match Input::read(&input, &OF_ANSWER) {
        Input::None => return Proof::Missing,
        Input::Malformed => return Proof::Wrong,
        Input::Ours(parameters) => parameters,
    };
    let signature = header(SIGNATURE).and_then(|field| Signature::read(&field));
    let (Some(signature), Some(digest)) = (signature, header(CONTENT_DIGEST)) else {
        return Proof::Wrong;
    };
    let holds = parameters.name == answer.connection
        && parameters.generation == generation
        && is_digest_of(&digest, answer.body)
        && is_mac(
            key,
            &base_of_answer(answer, &digest, &parameters),
            &signature,
        );
    if holds { Proof::Holds } else { Proof::Wrong }
}

/// The signature base of a request (RFC 9421, section 2.5).
fn base_of_request(request: &Request<'_>, digest: &str, parameters: &Parameters) -> String {
    let values = [request.method, request.path, digest, request.connection];
    base(&OF_REQUEST, &values, parameters)
}

fn base_of_answer(answer: &Answer<'_>, digest: &str, parameters: &Parameters) -> String {
    let (status, request) = (answer.status.to_string(), answer.request.to_member());
    base(&OF_ANSWER, &[&status, digest, &request], parameters)
}

fn base(components: &[&str], values: &[&str], parameters: &Parameters) -> String {
    let mut text = String::with_capacity(512);
    for (component, value) in components.iter().zip(values) {
        text.extend([component, ": ", value, "\n"]);
    }
    text + "\"@signature-params\": " + &parameters.to_member(components)
}

fn mac(key: &MacKey, text: &str) -> [u8; 32] {
    authenticator(key, text).finalize().into_bytes().into()
}

fn is_mac(key: &MacKey, text: &str, signature: &Signature) -> bool {
    authenticator(key, text).verify_slice(&signature.0).is_ok()
}

fn authenticator(key: &MacKey, text: &str) -> Hmac<Sha256> {
    // HMAC fills a shorter key up to SHA-256's block with zeros (RFC 2104).
    let mut block = Zeroizing::new([0; 64]);
    for (place, byte) in block.iter_mut().zip(key.expose()) {
        *place = *byte;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
