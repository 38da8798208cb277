//! The settings that a running daemon takes over anew when it is told to reload.
//!
//! Invariant: whoever needs one of these asks for it each time; nobody keeps a copy.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::reader::{Reader, bytes, filled, number, parsed, span};
use crate::config::reading::is_live;
use crate::config::{Healing, Incoming, Limits, Rates};
use crate::model::policy::IncomingMode;

/// The reloadable settings.
#[derive(Clone, Debug)]
pub struct Live {
    /// `[incoming]`
    pub incoming: Incoming,
    /// `[healing]`
    pub healing: Healing,
    /// `[limits]`
    pub limits: Limits,
    /// The rest of `[limits]`
    pub rates: Rates,
    /// `log.level`
    pub log_level: String,
    /// Keys set in file or environment, `section.key`, with the place: these cannot be changed by `/settings`.
    pub set_in: BTreeMap<String, String>,
}

#[cfg(test)]
impl Live {
    /// The defaults, but for `limits`.
    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            incoming: Incoming {
                mode: IncomingMode::RequireApproval,
            },
            healing: Healing {
                interval: std::time::Duration::from_secs(60),
            },
            limits,
            rates: Rates {
                strangers_per_minute: 120,
                strangers_burst: 60,
                passwords_per_minute: 5,
                tokens_per_minute: 30,
            },
            log_level: "info".to_owned(),
            set_in: BTreeMap::new(),
        }
    }
}

/// The reloadable settings as they are now. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct LiveSettings(Arc<ArcSwap<Live>>);

impl LiveSettings {
    /// Begins with `live`.
    #[must_use]
    pub fn new(live: Live) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(live)))
    }

    /// What holds now.
    #[must_use]
    pub fn now(&self) -> Arc<Live> {
        self.0.load_full()
    }

    /// What `newer` says holds from now on. Where a key is set is known anew only for keys that are taken over.
    pub fn take_over(&self, newer: &Live) {
        let before = self.now();
        let (fixed, live) = (before.set_in.iter(), newer.set_in.iter());
        let set_in = fixed
            .filter(|(key, _)| !is_live(key))
            .chain(live.filter(|(key, _)| is_live(key)))
            .map(|(key, place)| (key.clone(), place.clone()))
            .collect();
        self.0.store(Arc::new(Live {
            set_in,
            ..newer.clone()
        }));
    }
}

/// Reads the reloadable keys; where each is set, the reader tells at its end.
pub(super) fn read_live(reader: &mut Reader) -> Live {
    Live {
        incoming: Incoming {
            mode: reader
                .optional("incoming.mode", |value| {
                    parsed(
                        value,
                        "auto_accept, require_approval, require_password or deny_all",
                    )
                })
                .unwrap_or(IncomingMode::RequireApproval),
        },
        healing: Healing {
            interval: span(reader, "healing.interval"),
        },
        limits: Limits {
            max_body_bytes: reader.value("limits.max_body_bytes", 1, bytes),
            header_timeout: span(reader, "limits.header_timeout"),
            body_timeout: span(reader, "limits.body_timeout"),
            drain_timeout: span(reader, "limits.drain_timeout"),
        },
        rates: Rates {
            strangers_per_minute: rate(reader, "limits.strangers_per_minute"),
            strangers_burst: rate(reader, "limits.strangers_burst"),
            passwords_per_minute: rate(reader, "limits.passwords_per_minute"),
            tokens_per_minute: rate(reader, "limits.tokens_per_minute"),
        },
        log_level: reader.value("log.level", String::new(), |value| {
            let level = filled(value)?;
            tracing_subscriber::EnvFilter::try_new(&level)
                .map(|_| level)
                .map_err(|_| {
                    "must be error, warn, info, debug, trace, or a filter such as info,sqlx=debug"
                        .to_owned()
                })
        }),
        set_in: BTreeMap::new(),
    }
}

fn rate(reader: &mut Reader, key: &str) -> u32 {
    reader.value(key, 1, |value| number(value, &(1..=1_000_000)))
}
