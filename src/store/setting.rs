//! Settings changed while running: `peer.enabled`, `incoming.mode`, the incoming password.
//!
//! What they mean, and whether file or environment overrule them, is decided elsewhere.

use crate::store::pool::{execute, fetch_optional};
use crate::store::record::Record;
use crate::store::{Store, StoreError};

impl Store {
    /// A setting's text, if it was ever set here. The password is kept as an argon2id string.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn setting(&self, key: &str) -> Result<Option<String>, StoreError> {
        let row = fetch_optional!(
            self,
            "select name, value
            from setting
            where name = $1",
            key
        );
        row.map(|row| Record::new("setting", "name", row).text("value"))
            .transpose()
    }

    /// Sets it, or removes it with `None`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_setting(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        if let Some(value) = value {
            execute!(
                self,
                "insert into setting (name, value)
                values ($1, $2)
                on conflict (name) do update set value = excluded.value",
                key,
                value
            );
        } else {
            execute!(self, "delete from setting where name = $1", key);
        }
        Ok(())
    }
}
