//! Settings changed while running: `peer.enabled`, `incoming.mode`, the incoming password.
//!
//! What they mean, and whether file or environment overrule them, is decided elsewhere.

use crate::store::pool::{fetch_optional, on_pool};
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

    /// Sets each key to its text, or removes it with `None`: all of them, or none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_settings(&self, changes: &[(&str, Option<&str>)]) -> Result<(), StoreError> {
        on_pool!(self, |db| {
            let mut tx = db.begin().await?;
            for (key, value) in changes {
                let statement = match value {
                    Some(value) => sqlx::query(
                        "insert into setting (name, value)
                        values ($1, $2)
                        on conflict (name) do update set value = excluded.value",
                    )
                    .bind(key)
                    .bind(value),
                    None => sqlx::query("delete from setting where name = $1").bind(key),
                };
                statement.execute(&mut *tx).await?;
            }
            tx.commit().await?;
        });
        Ok(())
    }
}
