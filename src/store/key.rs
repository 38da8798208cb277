//! Whether the key at hand is the one this state was made with.
//!
//! With another key every token and every connection would be unknown, as if nobody had ever been let in. Invariant:
//! the seal is made once and never changes.

use crate::store::pool::execute;
use crate::store::{Store, StoreError};

/// The setting that only the state's own key opens.
const SEAL: &str = "key.seal";

impl Store {
    /// Compares the key with the state's own; the first key a state ever meets becomes that.
    ///
    /// # Errors
    /// [`StoreError::OtherKey`], or what the database says.
    pub(super) async fn check_key(&self) -> Result<(), StoreError> {
        let place = format!("setting/{SEAL}");
        let known = match self.setting(SEAL).await? {
            Some(known) => known,
            None => {
                execute!(
                    self,
                    "insert into setting (name, value)
                    values ($1, $2)
                    on conflict (name) do nothing",
                    SEAL,
                    self.key.seal(&place, "")?
                );
                // Somebody else may have been first.
                self.setting(SEAL).await?.unwrap_or_default()
            }
        };
        match self.key.open(&place, &known) {
            Ok(_) => Ok(()),
            Err(_) => Err(StoreError::OtherKey),
        }
    }
}
