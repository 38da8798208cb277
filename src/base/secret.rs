//! Values that must not be printed, and the key file that seals what the state database keeps.
//!
//! Invariant: nothing here implements a `Debug` or `Display` that shows what it holds.

use std::fmt;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// A value that prints as `***` and is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Wraps `value`.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; the caller answers for where it goes.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Zeroize> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<'de, T: Zeroize + serde::Deserialize<'de>> serde::Deserialize<'de> for Secret<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}

/// Where the key lies that seals what the state keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// A file of ours: made when it is missing, refused when others than its owner may read it.
    File(PathBuf),
    /// A file the service manager made for this process and guards (systemd.exec(5), `LoadCredential=`). Its mode says
    /// little: where the manager gives the right to read by an access list, that list shows as rights of the group.
    Credential(PathBuf),
}

impl KeyPlace {
    /// The file itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// What can go wrong with the key file or with a sealed value.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The key file cannot be read or written.
    #[error("key file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key file is to be made, and there is no folder for it.
    #[error(
        "key file {0}: its folder does not exist; create it and give it to the user the daemon runs as"
    )]
    NoFolder(PathBuf),
    /// The key file is not 32 bytes of hexadecimal text.
    #[error("key file {0}: expected 64 hexadecimal characters; restore it from your backup")]
    Malformed(PathBuf),
    /// Others than its owner may read the key file.
    #[error("key file {0} is readable by others; run: chmod 600 {0}")]
    Exposed(PathBuf),
    /// A sealed value does not open: another key, or altered bytes.
    #[error(
        "a sealed value of {0} does not open with this key file; is it the one this state was made with?"
    )]
    Sealed(String),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// 32 random bytes from the operating system.
///
/// # Errors
/// [`SecretError::Random`] when the system has none to give.
pub fn random_bytes() -> Result<[u8; 32], SecretError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(bytes)
}

/// A new token: 32 random bytes as 43 characters of base64url without padding.
///
/// # Errors
/// [`SecretError::Random`] when the system has no random bytes.
pub fn new_token() -> Result<Secret<String>, SecretError> {
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(random_bytes()?)))
}

/// The lower-case hexadecimal SHA-256 of a token's characters, the name it goes by.
#[must_use]
pub fn token_hash(token: &str) -> Secret<String> {
    Secret::new(hex::encode(Sha256::digest(token.as_bytes())))
}

/// The key file's 32 bytes and the keys derived from them (HKDF-SHA-256, RFC 5869).
pub struct MasterKey {
    lookup: Secret<[u8; 32]>,
    seal: Secret<[u8; 32]>,
    pseudonym: Secret<[u8; 32]>,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

impl MasterKey {
    /// Derives the keys from the file's bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let derive = |label: &[u8]| {
            let mut key = [0; 32];
            // HKDF refuses only outputs above 255 * 32 bytes.
            let _ = Hkdf::<Sha256>::new(None, bytes).expand(label, &mut key);
            Secret::new(key)
        };
        Self {
            lookup: derive(b"evenkeel state lookup"),
            seal: derive(b"evenkeel state seal"),
            pseudonym: derive(b"evenkeel state pseudonym"),
        }
    }

    /// Reads the key; a missing file of ours is created first, with mode 0600.
    ///
    /// # Errors
    /// When the file cannot be read or made, is ours and readable by others, or holds something else.
    pub fn load(place: &KeyPlace) -> Result<Self, SecretError> {
        let text = match place {
            KeyPlace::File(path) => text_of_file(path)?,
            KeyPlace::Credential(path) => read(path)?,
        };
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.expose().trim(), &mut bytes)
            .map_err(|_| SecretError::Malformed(place.path().to_owned()))?;
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        Ok(key)
    }

    /// The name under which `text` can be looked up without keeping it: hexadecimal HMAC-SHA-256 (RFC 2104).
    #[must_use]
    pub fn lookup(&self, text: &str) -> String {
        let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(self.lookup.expose()) else {
            return String::new();
        };
        mac.update(text.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// The key of the pseudonyms that belong to `owner`; the same for as long as the key file is.
    #[must_use]
    pub fn pseudonym(&self, owner: &str) -> Secret<[u8; 32]> {
        let mut key = [0; 32];
        if let Ok(root) = Hkdf::<Sha256>::from_prk(self.pseudonym.expose()) {
            // HKDF refuses only outputs above 255 * 32 bytes.
            let _ = root.expand(owner.as_bytes(), &mut key);
        }
        Secret::new(key)
    }

    /// Seals `plain` with XChaCha20-Poly1305; `place` (table, row, column) is authenticated with it.
    ///
    /// # Errors
    /// [`SecretError::Random`] when no nonce can be drawn.
    pub fn seal(&self, place: &str, plain: &str) -> Result<String, SecretError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| SecretError::Random)?;
        let payload = Payload {
            msg: plain.as_bytes(),
            aad: place.as_bytes(),
        };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| SecretError::Sealed(place.to_owned()))?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(&sealed);
        Ok(STANDARD.encode(bytes))
    }

    /// Opens what [`Self::seal`] made for the same `place`.
    ///
    /// # Errors
    /// [`SecretError::Sealed`] for another key, another place or altered bytes.
    pub fn open(&self, place: &str, sealed: &str) -> Result<Secret<String>, SecretError> {
        let fault = || SecretError::Sealed(place.to_owned());
        let bytes = STANDARD.decode(sealed).map_err(|_| fault())?;
        let (nonce, message) = bytes.split_first_chunk::<24>().ok_or_else(fault)?;
        let payload = Payload {
            msg: message,
            aad: place.as_bytes(),
        };
        let plain = self
            .cipher()
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| fault())?;
        String::from_utf8(plain)
            .map(Secret::new)
            .map_err(|_| fault())
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.seal.expose().into())
    }
}

/// The characters of the key file, which is created first when it is missing; for whoever hands the key on.
///
/// # Errors
/// When the file cannot be read or made, or is readable by others.
pub fn text_of_file(path: &Path) -> Result<Secret<String>, SecretError> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
            return Err(SecretError::Exposed(path.to_owned()));
        }
        Ok(_) => {}
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => create(path)?,
        Err(err) => return Err(fault_at(path)(err)),
    }
    read(path)
}

fn read(path: &Path) -> Result<Secret<String>, SecretError> {
    std::fs::read_to_string(path)
        .map(Secret::new)
        .map_err(fault_at(path))
}

fn fault_at(path: &Path) -> impl Fn(std::io::Error) -> SecretError + Copy {
    move |source| SecretError::Io {
        path: path.to_owned(),
        source,
    }
}

fn create(path: &Path) -> Result<(), SecretError> {
    let io = fault_at(path);
    let mut bytes = random_bytes()?;
    let text = Secret::new(hex::encode(bytes));
    bytes.zeroize();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|err| match err.kind() {
            std::io::ErrorKind::NotFound => SecretError::NoFolder(path.to_owned()),
            _ => io(err),
        })?;
    writeln!(file, "{}", text.expose()).map_err(io)?;
    file.sync_all().map_err(io)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{KeyPlace, MasterKey, Secret, SecretError, new_token, token_hash};

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    }

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_place() {
        let key = MasterKey::from_bytes(&[7; 32]);
        let sealed = key.seal("connection/1/token", "abc").unwrap();
        assert_eq!(
            key.open("connection/1/token", &sealed).unwrap().expose(),
            "abc"
        );
        assert!(key.open("connection/2/token", &sealed).is_err());
        assert!(
            MasterKey::from_bytes(&[8; 32])
                .open("connection/1/token", &sealed)
                .is_err()
        );
        assert!(key.open("connection/1/token", "AAAA").is_err());
    }

    #[test]
    fn a_token_has_43_characters_and_its_hash_64() {
        let token = new_token().unwrap();
        assert_eq!(token.expose().len(), 43);
        assert_eq!(
            token_hash("abc").expose(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_key_file_is_made_once_and_refused_when_others_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.key");
        let file = KeyPlace::File(path.clone());
        let first = MasterKey::load(&file).unwrap();
        let nowhere = KeyPlace::File(folder.path().join("no/secret.key"));
        assert!(matches!(
            MasterKey::load(&nowhere),
            Err(SecretError::NoFolder(_))
        ));
        let again = MasterKey::load(&file).unwrap();
        assert_eq!(first.lookup("x"), again.lookup("x"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            MasterKey::load(&file),
            Err(SecretError::Exposed(_))
        ));
    }

    #[test]
    fn a_credential_is_the_managers_to_guard_and_never_made_here() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("evenkeel.key");
        let credential = KeyPlace::Credential(path.clone());
        assert!(matches!(
            MasterKey::load(&credential),
            Err(SecretError::Io { .. })
        ));
        assert!(!path.exists());
        std::fs::write(&path, "07".repeat(32)).unwrap();
        // As an access list shows.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o440)).unwrap();
        let key = MasterKey::load(&credential).unwrap();
        assert_eq!(key.lookup("x"), MasterKey::from_bytes(&[7; 32]).lookup("x"));
    }
}
