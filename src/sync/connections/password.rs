//! The incoming password: kept as argon2id (RFC 9106), compared in constant time, at most two at once.
//!
//! Invariant: neither the password nor its hash is logged or returned to a peer.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use crate::base::secret::Secret;
use crate::store::StoreError;
use crate::sync::SyncError;

/// Each computation takes 19 MiB and a core for tens of milliseconds: strangers may not start many.
static AT_ONCE: Semaphore = Semaphore::const_new(2);

/// The argon2id string of a new password, for the setting [`super::PASSWORD_KEY`].
///
/// # Errors
/// [`SyncError::Invalid`] for an empty password.
pub async fn hash_password(password: Secret<String>) -> Result<String, SyncError> {
    if password.expose().is_empty() {
        return Err(SyncError::Invalid {
            field: "incoming_password",
            message: "an empty password protects nothing".to_owned(),
        });
    }
    in_the_background(move || {
        Argon2::default()
            .hash_password(password.expose().as_bytes())
            .map(|hash| hash.to_string())
            .map_err(|err| StoreError::Corrupt(format!("the password cannot be hashed: {err}")))
    })
    .await
}

/// Whether `password` is the one `hash` was made of.
///
/// # Errors
/// [`StoreError::Corrupt`] when `hash` is no argon2 string.
pub(super) async fn is_password(
    hash: Secret<String>,
    password: Secret<String>,
) -> Result<bool, SyncError> {
    in_the_background(move || {
        let hash = PasswordHash::new(hash.expose())
            .map_err(|_| StoreError::Corrupt("setting incoming.password".to_owned()))?;
        Ok(Argon2::default()
            .verify_password(password.expose().as_bytes(), &hash)
            .is_ok())
    })
    .await
}

async fn in_the_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, SyncError> {
    let _permit = AT_ONCE.acquire().await.map_err(|_| SyncError::Stopping)?;
    let done = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| SyncError::Stopping)?;
    Ok(done?)
}

#[cfg(test)]
mod tests {
    use super::{hash_password, is_password};
    use crate::base::secret::Secret;

    #[tokio::test]
    async fn only_the_password_itself_opens_its_hash() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let hash = Secret::new(hash_password(secret("open sesame")).await.unwrap());
        assert!(hash.expose().starts_with("$argon2id$"));
        assert!(
            is_password(hash.clone(), secret("open sesame"))
                .await
                .unwrap()
        );
        assert!(!is_password(hash, secret("open Sesame")).await.unwrap());
        assert!(hash_password(secret("")).await.is_err());
        assert!(is_password(secret("plain"), secret("plain")).await.is_err());
    }
}
