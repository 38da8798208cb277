//! The sources of settings, flattened to `section.key` and laid over each other: defaults, file, environment.
//!
//! Invariant: each setting keeps the place it came from; a list or table replaces what lies below it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use config::{Environment, File, FileFormat, Map, Source, Value, ValueKind};

use crate::config::fault::ConfigFault;

/// What one key is set to, and where.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    /// As the source has it, not yet checked.
    pub value: ValueKind,
    /// The file or the variable; `None` for a built-in default.
    pub place: Option<String>,
}

/// Settings by `section.key`.
pub(super) type Settings = BTreeMap<String, Setting>;

/// Lays `file` and `variables` (all of them; others than `EVENKEEL__…` are left alone) over `defaults`.
/// A source that cannot be read is a fault and counts as empty.
pub(super) fn layered(
    defaults: &str,
    file: Option<&Path>,
    variables: HashMap<String, String>,
    faults: &mut Vec<ConfigFault>,
) -> Settings {
    let mut settings = Settings::new();
    match File::from_str(defaults, FileFormat::Toml).collect() {
        Ok(map) => flatten("", map, &|_| None, &mut settings),
        Err(err) => faults.push(unreadable("the built-in defaults", &err)),
    }
    if let Some(file) = file {
        let place = file.display().to_string();
        match read(file) {
            Ok(map) => flatten("", map, &|_| Some(place.clone()), &mut settings),
            Err(problem) => faults.push(ConfigFault {
                key: String::new(),
                place: Some(place),
                problem,
            }),
        }
    }
    let environment = Environment::with_prefix("EVENKEEL")
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables.into_iter().collect()));
    match environment.collect() {
        Ok(map) => flatten("", map, &|key| Some(variable_of(key)), &mut settings),
        Err(err) => faults.push(unreadable("the environment", &err)),
    }
    settings
}

fn read(file: &Path) -> Result<Map<String, Value>, String> {
    let text = std::fs::read_to_string(file).map_err(|err| format!("cannot be read: {err}"))?;
    // The parser quotes the line at fault, which may hold a password: its words without the quotation.
    File::from_str(&text, FileFormat::Toml)
        .collect()
        .map_err(|_| match text.parse::<toml::Table>() {
            Err(err) => {
                let start = err.span().map_or(0, |span| span.start);
                let line = text
                    .bytes()
                    .take(start)
                    .filter(|byte| *byte == b'\n')
                    .count()
                    + 1;
                format!("line {line}: {}", err.message())
            }
            Ok(_) => "is not TOML".to_owned(),
        })
}

fn unreadable(place: &str, err: &dyn std::error::Error) -> ConfigFault {
    ConfigFault {
        key: String::new(),
        place: Some(place.to_owned()),
        problem: err.to_string(),
    }
}

fn variable_of(key: &str) -> String {
    format!("EVENKEEL__{}", key.replace('.', "__").to_uppercase())
}

fn flatten(
    prefix: &str,
    map: Map<String, Value>,
    place: &dyn Fn(&str) -> Option<String>,
    settings: &mut Settings,
) {
    for (name, value) in map {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        if let ValueKind::Table(inner) = value.kind {
            flatten(&key, inner, place, settings);
        } else {
            let place = place(&key);
            settings.insert(
                key,
                Setting {
                    value: value.kind,
                    place,
                },
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HashMap, layered};

    #[test]
    fn a_later_source_wins_and_its_place_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.toml");
        std::fs::write(&file, "[a]\nx = 2\ny = 2\n[a.b]\nz = 2\n").unwrap();
        let variables = HashMap::from([
            ("EVENKEEL__A__Y".to_owned(), "3".to_owned()),
            ("EVENKEEL_SERVER".to_owned(), "no setting".to_owned()),
        ]);
        let mut faults = Vec::new();
        let settings = layered(
            "[a]\nw = 1\nx = 1\ny = 1\n",
            Some(&file),
            variables,
            &mut faults,
        );
        let place = |key: &str| settings[key].place.clone();
        assert_eq!(faults, []);
        assert_eq!(settings.len(), 4);
        assert_eq!(place("a.w"), None);
        assert_eq!(place("a.x"), Some(file.display().to_string()));
        assert_eq!(place("a.b.z"), Some(file.display().to_string()));
        assert_eq!(place("a.y").as_deref(), Some("EVENKEEL__A__Y"));
    }

    #[test]
    fn a_file_that_is_not_toml_is_named_with_its_line_but_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evenkeel.toml");
        std::fs::write(&file, "[site]\ndatabase = postgres://u:hunter2@h/d\n").unwrap();
        let mut faults = Vec::new();
        layered("", Some(&file), HashMap::new(), &mut faults);
        let text = faults[0].to_string();
        assert!(text.contains("line 2"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
