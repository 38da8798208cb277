//! The authenticator of each frame of a signed connection.
//!
//! Invariant: it binds a frame to its place in one answer to one request, so that none can be altered, left out, moved
//! or taken from another stream.

use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::base::secret::Secret;
use crate::wire::signing::keys::MacKey;
use crate::wire::signing::replay::Nonce;

/// Bytes behind each payload.
pub const SEAL_BYTES: usize = 16;

/// Seals the frames of one stream: keyed BLAKE3, cut to 16 bytes.
#[derive(Clone, Debug)]
pub struct Seal(Secret<[u8; 32]>);

impl Seal {
    /// For the answer to the request that carried `nonce`; `key` is what the answering site signs with.
    #[must_use]
    pub fn of_stream(key: &MacKey, nonce: Nonce) -> Self {
        let mut bytes = [0; 32];
        // HKDF refuses only outputs above 255 * 32 bytes.
        let _ = Hkdf::<Sha256>::new(Some(&nonce.0), key.expose())
            .expand(b"evenkeel stream", &mut bytes);
        Self(Secret::new(bytes))
    }

    /// The key itself; the caller answers for where it goes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// The authenticator of the frame at `sequence`, whose payload comes in pieces as they are sent.
    #[must_use]
    pub fn of_frame<'a>(
        &self,
        sequence: u32,
        header: &[u8],
        payload: impl IntoIterator<Item = &'a [u8]>,
    ) -> [u8; SEAL_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(self.0.expose());
        hasher.update(&sequence.to_le_bytes());
        hasher.update(header);
        for piece in payload {
            hasher.update(piece);
        }
        let mut seal = [0; SEAL_BYTES];
        hasher.finalize_xof().fill(&mut seal);
        seal
    }

    /// Whether `seal` is that frame's.
    #[must_use]
    pub fn is_of_frame(&self, sequence: u32, header: &[u8], payload: &[u8], seal: &[u8]) -> bool {
        self.of_frame(sequence, header, [payload])
            .ct_eq(seal)
            .into()
    }
}
