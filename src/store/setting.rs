//! Settings changed while running: `peer.enabled`, `incoming.mode`, the incoming password.

use crate::store::{Store, StoreError};

#[expect(clippy::unused_async, unused_variables, reason = "being written")]
impl Store {
    /// A setting's text, if it was ever set here. The password is kept as an argon2id string.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        todo!()
    }
    /// Sets it, or removes it with `None`.
    pub async fn set_setting(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        todo!()
    }
}
