//! The key of the state, and whether the one at hand is that.
//!
//! With another key every token and every connection would be unknown, as if nobody had ever been let in. Invariant:
//! the seal is made once and never changes; no key is made beside a state that has one.

use crate::base::secret::{KeyPlace, MasterKey, Secret};
use crate::store::open::Address;
use crate::store::pool::execute;
use crate::store::{Store, StoreError};

/// The setting that only the state's own key opens.
const SEAL: &str = "key.seal";

impl Store {
    /// The key for the state at `url`; made where there is neither a key nor a state.
    ///
    /// # Errors
    /// [`StoreError::KeyMissing`] when there is a state, [`StoreError::Secret`] when the key cannot be read or made;
    /// else what kept the state from being looked at.
    pub async fn key(url: &Secret<String>, place: &KeyPlace) -> Result<MasterKey, StoreError> {
        if let KeyPlace::File(path) = place
            && let Ok(false) = path.try_exists()
            && Address::parse(url)?.is_made().await?
        {
            return Err(StoreError::KeyMissing(path.clone()));
        }
        Ok(MasterKey::load(place)?)
    }

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
