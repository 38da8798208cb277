//! The key with which a site signs receipts: Ed25519 (RFC 8032), so that anybody can check one later.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::base::secret::Secret;

/// A site's own. Made once, kept sealed in its state.
#[derive(Clone, Debug)]
pub struct ReceiptKey(Secret<[u8; 32]>);

impl ReceiptKey {
    /// That of a secret seed.
    #[must_use]
    pub fn from_seed(seed: Secret<[u8; 32]>) -> Self {
        Self(seed)
    }

    /// The public half, as it is announced: base64 of 32 bytes.
    #[must_use]
    pub fn public(&self) -> String {
        STANDARD.encode(
            SigningKey::from_bytes(self.0.expose())
                .verifying_key()
                .as_bytes(),
        )
    }

    /// Whether `text` is somebody's public half: base64 of a point that no weak key shares.
    #[must_use]
    pub fn is_public(text: &str) -> bool {
        let bytes = STANDARD.decode(text).ok();
        bytes
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .is_some_and(|key| !key.is_weak())
    }
}

#[cfg(test)]
mod tests {
    use super::ReceiptKey;
    use crate::base::secret::Secret;

    #[test]
    fn a_public_key_is_told_from_what_is_none() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let mut bytes = [0; 32];
        hex::decode_to_slice(seed, &mut bytes).unwrap();
        let public = ReceiptKey::from_seed(Secret::new(bytes)).public();
        assert_eq!(public, "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert!(ReceiptKey::is_public(&public));
        let zero = "A".repeat(43) + "=";
        for other in ["", "AAAA", "no base64", &zero, public.trim_end_matches('=')] {
            assert!(!ReceiptKey::is_public(other), "{other}");
        }
    }
}
