//! Why a request of a signed connection is not believed, in the protocol's words.

use crate::model::word::words;

/// The `error_code` of a 401 that concerns a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its word")]
pub enum SignatureCode {
    Missing,
    Invalid,
    Expired,
    Replayed,
}

words! {
    SignatureCode {
        Missing = "signature_missing", Invalid = "signature_invalid",
        Expired = "signature_expired", Replayed = "signature_replayed",
    }
}

/// Why a request of a signed connection is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SignatureFault {
    /// For programs.
    pub code: SignatureCode,
    /// For people.
    pub reason: &'static str,
}

impl SignatureFault {
    /// The connection is signed and the request is not.
    pub const MISSING: Self = Self::new(
        SignatureCode::Missing,
        "this connection is signed, and the request is not",
    );
    /// The headers have another form than this protocol's, or the signature is somebody else's.
    pub const INVALID: Self = Self::new(
        SignatureCode::Invalid,
        "the signature is not that of this connection on this request",
    );
    /// It came before.
    pub const REPLAYED: Self = Self::new(
        SignatureCode::Replayed,
        "a request with this nonce was taken before",
    );
    pub(super) const DIGEST: Self = Self::new(
        SignatureCode::Invalid,
        "content-digest is not that of the body",
    );
    pub(super) const UNTIMELY: Self = Self::new(
        SignatureCode::Expired,
        "the request is older than 60 s, or the clocks of the two sites are more than 60 s apart",
    );
    pub(super) const BEFORE_START: Self = Self::new(
        SignatureCode::Expired,
        "the request was signed before this daemon started; a new one is taken",
    );

    const fn new(code: SignatureCode, reason: &'static str) -> Self {
        Self { code, reason }
    }
}
