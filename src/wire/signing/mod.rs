//! Signed connections: who may have said what two Evenkeel sites say to each other.
//!
//! Requests and JSON answers carry a signature (RFC 9421, `hmac-sha256`) over their digest (RFC 9530), frames an
//! authenticator; all keys come from the connection's token (RFC 5869). Pure: the time is an argument, and which nonces
//! were used is remembered by the caller. Invariant: one form of each header is accepted, so that what was signed and
//! what is read cannot differ.

mod fault;
mod field;
mod keys;
mod message;
mod receipt;
mod replay;
mod seal;

pub use fault::{SignatureCode, SignatureFault};
pub use field::{Signature, joined};
pub use keys::{ConnectionKeys, Credentials, FIRST_GENERATION, MacKey, RootKey};
pub use message::{
    Answer, CHECKS, CONNECTION, CONTENT_DIGEST, Check, LIFETIME, Presented, Proof, Received,
    Request, SIGNATURE, SIGNATURE_INPUT, Signed, sign_answer, sign_request, verify_answer,
};
pub use receipt::{ReceiptKey, is_signed_by};
pub use replay::{Nonce, NonceBounds, Remembered, SeenNonces};
pub use seal::{SEAL_BYTES, Seal};
