//! The key with which a site signs receipts: Ed25519 (RFC 8032), so that anybody can check one later.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

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
        public(text).is_some()
    }

    /// The signature of `message`, base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        let key = SigningKey::from_bytes(self.0.expose());
        STANDARD.encode(key.sign(message).to_bytes())
    }
}

/// Whether `signature` is that of `message` by the holder of this public key, both base64.
#[must_use]
pub fn is_signed_by(public_key: &str, signature: &str, message: &[u8]) -> bool {
    let bytes = STANDARD.decode(signature).ok();
    let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let (Some(key), Some(signature)) = (public(public_key), signature) else {
        return false;
    };
    key.verify_strict(message, &signature).is_ok()
}

fn public(text: &str) -> Option<VerifyingKey> {
    let bytes = <[u8; 32]>::try_from(STANDARD.decode(text).ok()?).ok()?;
    let key = VerifyingKey::from_bytes(&bytes).ok()?;
    (!key.is_weak()).then_some(key)
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
