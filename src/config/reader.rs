//! Takes settings one by one as checked values, and gathers every fault instead of stopping at the first.
//!
//! Invariant: a value set to a wrong thing yields a fault and a stand-in; stand-ins never leave `load`.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use config::ValueKind;
use ipnet::IpNet;

use crate::config::fault::{ConfigFault, ConfigFaults};
use crate::config::layers::{Setting, Settings};
use crate::config::reading::Reading;

/// The settings not taken yet, and the faults so far.
pub(super) struct Reader {
    settings: Settings,
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigFault>,
    set_in: BTreeMap<String, String>,
    reading: Reading,
    #[cfg(test)]
    pub(super) asked: std::rc::Rc<std::cell::RefCell<Vec<String>>>,
}

/// What a reader without faults has to tell besides the values.
#[derive(Clone, Debug)]
pub(super) struct Finished {
    /// Keys set by file or environment, with the place.
    pub(super) set_in: BTreeMap<String, String>,
    /// What is valid, but will not serve.
    pub(super) warnings: Vec<ConfigFault>,
    /// Every value as it was read.
    pub(super) reading: Reading,
}

impl Reader {
    pub(super) fn new(settings: Settings, faults: Vec<ConfigFault>) -> Self {
        let set_in = settings
            .iter()
            .filter_map(|(key, setting)| Some((key.clone(), setting.place.clone()?)))
            .collect();
        let values = settings
            .iter()
            .map(|(key, setting)| (key.clone(), setting.value.clone()))
            .collect();
        Self {
            settings,
            faults,
            warnings: Vec::new(),
            set_in,
            reading: Reading::new(values),
            #[cfg(test)]
            asked: std::rc::Rc::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn keys(&self) -> Vec<String> {
        self.settings.keys().cloned().collect()
    }

    /// Whether `key` is set by file or environment.
    pub(super) fn is_set(&self, key: &str) -> bool {
        self.set_in.contains_key(key)
    }

    /// A value read by `parse`, when the key is set.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> Option<T> {
        #[cfg(test)]
        self.asked.borrow_mut().push(key.to_owned());
        let Setting { value, place } = self.settings.remove(key)?;
        match parse(&value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.faults.push(ConfigFault {
                    key: key.to_owned(),
                    place,
                    problem,
                });
                None
            }
        }
    }

    /// A value read by `parse`; when it is set nowhere, `missing` says so in words.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        missing: &str,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> Option<T> {
        // A whole source that cannot be read may have set it: its own fault says enough.
        let unread = self.faults.iter().any(|fault| fault.key.is_empty());
        if !self.settings.contains_key(key) && !unread {
            self.faults.push(ConfigFault {
                key: key.to_owned(),
                place: None,
                problem: missing.to_owned(),
            });
        }
        self.optional(key, parse)
    }

    /// A value that the built-in file has; `stand_in` only follows a fault.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        stand_in: T,
        parse: impl FnOnce(&ValueKind) -> Result<T, String>,
    ) -> T {
        self.required(key, "has no value", parse)
            .unwrap_or(stand_in)
    }

    /// Adds a fault of `key` that its value alone does not show.
    pub(super) fn fault(&mut self, key: &str, problem: String) {
        let fault = self.about(key, problem);
        self.faults.push(fault);
    }

    /// Adds what an operator should know of `key`, although it is valid.
    pub(super) fn warn(&mut self, key: &str, problem: String) {
        let warning = self.about(key, problem);
        self.warnings.push(warning);
    }

    fn about(&self, key: &str, problem: String) -> ConfigFault {
        ConfigFault {
            key: key.to_owned(),
            place: self.set_in.get(key).cloned(),
            problem,
        }
    }

    /// What is left is unknown: a fault. Gives the rest of what is to tell, or all faults.
    pub(super) fn finish(mut self) -> Result<Finished, ConfigFaults> {
        let unknown = std::mem::take(&mut self.settings);
        self.faults
            .extend(unknown.into_iter().map(|(key, setting)| ConfigFault {
                key,
                place: setting.place,
                problem: "there is no such key; `evenkeel config default` lists all".to_owned(),
            }));
        self.finish_part()
    }

    /// As [`Self::finish`], for a reader that was asked for a part of the settings only.
    pub(super) fn finish_part(mut self) -> Result<Finished, ConfigFaults> {
        if self.faults.is_empty() {
            return Ok(Finished {
                set_in: self.set_in,
                warnings: self.warnings,
                reading: self.reading,
            });
        }
        self.faults.sort();
        Err(ConfigFaults(self.faults))
    }
}

/// Any text.
pub(super) fn text(value: &ValueKind) -> Result<String, String> {
    match value {
        ValueKind::String(text) => Ok(text.clone()),
        _ => Err("must be text in quotes".to_owned()),
    }
}

/// Text that is something.
pub(super) fn filled(value: &ValueKind) -> Result<String, String> {
    let text = text(value)?;
    if text.trim().is_empty() {
        Err("must not be empty".to_owned())
    } else {
        Ok(text)
    }
}

/// Text that `T` can be read from; the fault quotes it, so not for secrets.
pub(super) fn parsed<T: FromStr>(value: &ValueKind, expected: &str) -> Result<T, String> {
    let text = text(value)?;
    text.parse()
        .map_err(|_| format!("`{text}` is not {expected}"))
}

/// `true` or `false`; from the environment as text.
pub(super) fn switch(value: &ValueKind) -> Result<bool, String> {
    match value {
        ValueKind::Boolean(switch) => Ok(*switch),
        ValueKind::String(text) if text == "true" => Ok(true),
        ValueKind::String(text) if text == "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// A whole number within the bounds, both included.
pub(super) fn number<T>(value: &ValueKind, bounds: &RangeInclusive<T>) -> Result<T, String>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let number = match value {
        ValueKind::I64(number) => Some(*number),
        ValueKind::String(text) => text.parse().ok(),
        _ => None,
    };
    number
        .and_then(|number| T::try_from(number).ok())
        .filter(|number| bounds.contains(number))
        .ok_or_else(|| {
            format!(
                "must be a whole number from {} to {}",
                bounds.start(),
                bounds.end()
            )
        })
}

/// A number of bytes, written with `KiB`, `MiB` or `GiB`, or bare.
pub(super) fn bytes<T: TryFrom<u64>>(value: &ValueKind) -> Result<T, String> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let parsed = match value {
        ValueKind::I64(number) => u64::try_from(*number).ok(),
        ValueKind::String(text) => scaled(text, &units).or_else(|| text.trim().parse().ok()),
        _ => None,
    };
    parsed
        .filter(|bytes| *bytes > 0)
        .and_then(|bytes| T::try_from(bytes).ok())
        .ok_or_else(|| "must be a size such as \"64MiB\" (KiB, MiB, GiB)".to_owned())
}

/// A span of time above zero, written with `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration(value: &ValueKind) -> Result<Duration, String> {
    let units = [
        ("ms", 1),
        ("s", 1_000),
        ("m", 60_000),
        ("h", 3_600_000),
        ("d", 86_400_000),
    ];
    match value {
        ValueKind::String(text) => scaled(text, &units),
        _ => None,
    }
    .filter(|span| *span > 0)
    .map(Duration::from_millis)
    .ok_or_else(|| "must be a time such as \"500ms\", \"30s\", \"15m\" or \"2h\"".to_owned())
}

/// As [`duration`], for a key that the built-in file has.
pub(super) fn span(reader: &mut Reader, key: &str) -> Duration {
    reader.value(key, Duration::ZERO, duration)
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    units.iter().find_map(|(unit, scale)| {
        let number: u64 = text.trim().strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*scale)
    })
}

/// A list of text; from the environment separated by commas.
pub(super) fn list(value: &ValueKind) -> Result<Vec<String>, String> {
    match value {
        ValueKind::Array(items) => items
            .iter()
            .map(|item| text(&item.kind))
            .collect::<Result<_, _>>(),
        ValueKind::String(joined) => Ok(joined
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()),
        _ => Err(String::new()),
    }
    .map_err(|_| "must be a list such as [\"a\", \"b\"]".to_owned())
}

/// A list of networks (CIDR) or single addresses.
pub(super) fn networks(value: &ValueKind) -> Result<Vec<IpNet>, String> {
    list(value)?
        .iter()
        .map(|item| {
            item.parse()
                .or_else(|_| item.parse::<std::net::IpAddr>().map(IpNet::from))
                .map_err(|_| format!("`{item}` is not a network such as \"10.0.0.0/8\""))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Duration, ValueKind, bytes, duration, list, networks, number, switch};

    fn quoted(text: &str) -> ValueKind {
        ValueKind::String(text.to_owned())
    }

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        assert_eq!(bytes::<u64>(&quoted("64MiB")), Ok(67_108_864));
        assert_eq!(bytes::<u64>(&quoted("2 KiB")), Ok(2_048));
        assert_eq!(bytes::<u64>(&ValueKind::I64(17)), Ok(17));
        assert_eq!(duration(&quoted("500ms")), Ok(Duration::from_millis(500)));
        assert_eq!(duration(&quoted("15m")), Ok(Duration::from_secs(900)));
        for wrong in [
            "",
            "0s",
            "-1s",
            "5",
            "5 weeks",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert!(duration(&quoted(wrong)).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "-1", "1MB", "17179869184GiB"] {
            assert!(bytes::<u64>(&quoted(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_environment_may_write_numbers_switches_and_lists_as_text() {
        assert_eq!(number(&quoted("7"), &(1_usize..=9)), Ok(7));
        assert!(number(&ValueKind::I64(10), &(1_usize..=9)).is_err());
        assert_eq!(switch(&quoted("true")), Ok(true));
        assert!(switch(&quoted("yes")).is_err());
        assert_eq!(
            list(&quoted("a, b,")),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        assert_eq!(list(&quoted("")), Ok(vec![]));
        assert_eq!(networks(&quoted("10.0.0.0/8,::1")).unwrap().len(), 2);
        assert!(networks(&quoted("10.0.0.0/33")).is_err());
    }
}
