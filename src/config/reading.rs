//! Two readings of the settings compared: which keys changed, and what it takes for each to take effect.
//!
//! Invariant: no value is shown; database URLs are among them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use config::ValueKind;

/// Every setting's value as it was read, to be compared with a later reading.
#[derive(Clone, Default)]
pub struct Reading(BTreeMap<String, ValueKind>);

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What changed between what runs and a later reading, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Taken over by a reload.
    pub live: Vec<String>,
    /// Takes effect at the next start.
    pub at_restart: Vec<String>,
}

impl Reading {
    pub(super) fn new(values: BTreeMap<String, ValueKind>) -> Self {
        Self(values)
    }

    /// What `newer` changes.
    #[must_use]
    pub fn changes(&self, newer: &Self) -> Changes {
        let keys: BTreeSet<&String> = self.0.keys().chain(newer.0.keys()).collect();
        let changed = keys
            .into_iter()
            .filter(|key| self.0.get(*key) != newer.0.get(*key));
        let (live, at_restart) = changed
            .cloned()
            .partition(|key| is_live(key) || self.is_another_file(newer, key));
        Changes { live, at_restart }
    }

    /// Takes over the keys of `changes.live`, so that what waits for a restart is still seen as changed.
    pub fn take_over(&mut self, newer: &Self, changes: &Changes) {
        for key in &changes.live {
            match newer.0.get(key) {
                Some(value) => drop(self.0.insert(key.clone(), value.clone())),
                None => drop(self.0.remove(key)),
            }
        }
    }

    /// Whether `key` names another file with certificates. Whether a listener speaks TLS at all is decided at its start.
    fn is_another_file(&self, newer: &Self, key: &str) -> bool {
        let is_set = self.0.contains_key(key) && newer.0.contains_key(key);
        let of_listener = ["server.tls.", "admin.tls."]
            .iter()
            .any(|section| key.starts_with(section));
        (of_listener && is_set) || key == "outgoing.ca_file"
    }
}

/// Whether a running daemon takes `key` over when it reloads.
pub(super) fn is_live(key: &str) -> bool {
    key == "log.level"
        || ["incoming.", "healing.", "limits."]
            .iter()
            .any(|section| key.starts_with(section))
}

#[cfg(test)]
mod tests {
    use super::{Changes, Reading, ValueKind};

    fn reading(pairs: &[(&str, &str)]) -> Reading {
        let value = |text: &str| ValueKind::String(text.to_owned());
        let pairs = pairs.iter();
        Reading::new(
            pairs
                .map(|(key, text)| ((*key).to_owned(), value(text)))
                .collect(),
        )
    }

    #[test]
    fn changes_are_told_apart_by_what_they_need() {
        let mut running = reading(&[
            ("healing.interval", "60s"),
            ("server.listen", "a"),
            ("server.tls.key", "k"),
            ("site.name", "berlin"),
        ]);
        let newer = reading(&[
            ("admin.tls.key", "k"),
            ("healing.interval", "30s"),
            ("incoming.mode", "deny_all"),
            ("outgoing.ca_file", "ca"),
            ("server.listen", "b"),
            ("server.tls.key", "other"),
            ("site.name", "berlin"),
        ]);
        let changes = running.changes(&newer);
        let (live, at_restart): (&[&str], &[&str]) = (
            &[
                "healing.interval",
                "incoming.mode",
                "outgoing.ca_file",
                "server.tls.key",
            ],
            &["admin.tls.key", "server.listen"],
        );
        assert_eq!(changes.live, live);
        assert_eq!(changes.at_restart, at_restart);
        running.take_over(&newer, &changes);
        let again = running.changes(&newer);
        assert!(again.live.is_empty());
        assert_eq!(again.at_restart, at_restart);
        assert_eq!(newer.changes(&newer), Changes::default());
    }
}
