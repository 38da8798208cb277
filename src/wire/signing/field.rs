//! The headers of a signature: `Signature-Input`, `Signature` (RFC 9421) and `Content-Digest` (RFC 9530), all
//! structured fields (RFC 9651).
//!
//! Signatures of others, say a proxy's, may stand beside ours and are not looked at. Invariant: ours is accepted with
//! exactly the components and parameters that are expected, in their order; so the text to be signed can be written
//! anew from the values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sfv::{BareItem, Dictionary, FieldType as _, InnerList, Item, ListEntry, Parser};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::wire::signing::replay::Nonce;

/// Our signature among those of a message.
const LABEL: &str = "evenkeel";
const ALGORITHM: &str = "hmac-sha256";
const DIGEST: &str = "sha-256";

/// An HMAC-SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature(pub [u8; 32]);

impl Signature {
    /// The header's value.
    pub(super) fn to_field(self) -> String {
        format!("{LABEL}={}", self.to_member())
    }

    /// Its value within the header, as an answer's signature covers it.
    pub(super) fn to_member(self) -> String {
        format!(":{}:", STANDARD.encode(self.0))
    }

    /// The one that `Signature` carries.
    pub(super) fn read(field: &str) -> Option<Self> {
        let mut members: Dictionary = Parser::new(field).parse().ok()?;
        let ListEntry::Item(item) = members.swap_remove(LABEL)? else {
            return None;
        };
        let (BareItem::ByteSequence(bytes), true) = (item.bare_item, item.params.is_empty()) else {
            return None;
        };
        bytes.try_into().ok().map(Self)
    }
}

/// What makes a request one of its kind; answers have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Unix time, seconds.
    pub expires: i64,
    /// Never used before.
    pub nonce: Nonce,
}

/// The parameters of a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Unix time, seconds.
    pub created: i64,
    /// On requests.
    pub once: Option<Once>,
    /// The connection's name.
    pub name: String,
    /// Of its key.
    pub generation: u32,
}

impl Parameters {
    /// What is signed last, and stands in `Signature-Input` behind the label.
    pub(super) fn to_member(&self, components: &[&str]) -> String {
        let once = self.once.map_or_else(String::new, |once| {
            let nonce = once.nonce.to_text();
            format!(";expires={};nonce=\"{nonce}\"", once.expires)
        });
        format!(
            "({});created={}{once};keyid=\"{}.{}\";alg=\"{ALGORITHM}\"",
            components.join(" "),
            self.created,
            self.name,
            self.generation
        )
    }

    /// The header's value.
    pub(super) fn to_field(&self, components: &[&str]) -> String {
        format!("{LABEL}={}", self.to_member(components))
    }

    fn read(list: InnerList, components: &[&str]) -> Option<Self> {
        let covered = list.items.iter().map(Item::serialize);
        if !covered.eq(components.iter().copied()) {
            return None;
        }
        let mut parameters = list.params.into_iter();
        let mut next = |name: &str| {
            let (key, value) = parameters.next()?;
            (key.as_str() == name).then_some(value)
        };
        let created = integer(&next("created")?)?;
        let is_request = components.first() == Some(&"\"@method\"");
        let once = if is_request {
            Some(Once {
                expires: integer(&next("expires")?)?,
                nonce: Nonce::from_text(&text(next("nonce")?)?)?,
            })
        } else {
            None
        };
        let (name, generation) = key_id(&text(next("keyid")?)?)?;
        if text(next("alg")?)? != ALGORITHM || parameters.next().is_some() {
            return None;
        }
        Some(Self {
            created,
            once,
            name,
            generation,
        })
    }
}

/// What `Signature-Input` says of our signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// It has none of ours.
    None,
    /// It is not of the form that is expected.
    Malformed,
    /// Ours.
    Ours(Parameters),
}

impl Input {
    /// Reads the header, whose signature of ours has to cover exactly `components`.
    pub(super) fn read(field: &str, components: &[&str]) -> Self {
        let Ok(mut members) = Parser::new(field).parse::<Dictionary>() else {
            return Self::Malformed;
        };
        let parameters = match members.swap_remove(LABEL) {
            None => return Self::None,
            Some(ListEntry::Item(_)) => None,
            Some(ListEntry::InnerList(list)) => Parameters::read(list, components),
        };
        match parameters {
            // A parameter given twice, or written in another way, is no longer to be seen in the values.
            Some(ours) if field.contains(&ours.to_field(components)) => Self::Ours(ours),
            _ => Self::Malformed,
        }
    }
}

/// All lines of a header, joined (RFC 9110, section 5.2); `None` when there is none, or one is no text.
pub fn joined<'a, E>(lines: impl Iterator<Item = Result<&'a str, E>>) -> Option<String> {
    let lines: Vec<&str> = lines.collect::<Result<_, E>>().ok()?;
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// The value of `Content-Digest` for a body.
pub(super) fn content_digest(body: &[u8]) -> String {
    format!("{DIGEST}=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Whether `field`, a `Content-Digest`, names this body by SHA-256; digests of other kinds are not looked at.
pub(super) fn is_digest_of(field: &str, body: &[u8]) -> bool {
    let Ok(mut members) = Parser::new(field).parse::<Dictionary>() else {
        return false;
    };
    match members.swap_remove(DIGEST) {
        Some(ListEntry::Item(Item {
            bare_item: BareItem::ByteSequence(digest),
            ..
        })) => digest.ct_eq(&Sha256::digest(body)).into(),
        _ => false,
    }
}

fn integer(value: &BareItem) -> Option<i64> {
    match value {
        BareItem::Integer(number) => Some((*number).into()),
        _ => None,
    }
}

fn text(value: BareItem) -> Option<String> {
    match value {
        BareItem::String(text) => Some(text.into()),
        _ => None,
    }
}

/// Name and generation, written in one way only.
fn key_id(text: &str) -> Option<(String, u32)> {
    let (name, number) = text.split_once('.')?;
    let generation: u32 = number.parse().ok()?;
    let is_name = name.len() == 64
        && name
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (is_name && generation > 0 && generation.to_string() == number)
        .then(|| (name.to_owned(), generation))
}
