//! `doctor`: checks what can be checked from here, then asks the daemon for its own findings.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{list, text};
use crate::config::{Config, ConfigFault, ConfigFaults};

/// Prints every finding; exit code 1 if one is not well.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    // The settings and files of this machine are not those of a daemon elsewhere.
    let here = context.server().is_none();
    let config = here.then(|| crate::config::load(context.config.as_deref()));
    findings.extend(config.iter().flat_map(of_settings));
    match remote(context).await {
        Ok(answer) => findings.extend(list(&answer, "findings").iter().map(Finding::read)),
        Err(err) => {
            let words = err.to_string();
            let (what, hint) = words.split_once('\n').unwrap_or((&words, ""));
            findings.push(Finding::fault(what, hint));
            // What the daemon would have told of its files, as far as it can be seen from here.
            findings.extend(config.iter().flatten().flat_map(of_key_file));
        }
    }
    for finding in &findings {
        if context.output.json {
            context.output.object(&finding.object())?;
        } else {
            finding
                .lines()
                .iter()
                .try_for_each(|line| context.output.line(line))?;
        }
    }
    let well = findings.iter().all(|finding| finding.ok);
    Ok(if well { Exit::Done } else { Exit::Told })
}

async fn remote(context: &Context) -> anyhow::Result<Value> {
    context.client()?.get(&["doctor"]).await
}

/// One check and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Finding {
    ok: bool,
    what: String,
    hint: String,
}

impl Finding {
    fn well(what: impl Into<String>) -> Self {
        Self {
            ok: true,
            what: what.into(),
            hint: String::new(),
        }
    }

    fn fault(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            ok: false,
            what: what.into(),
            hint: hint.into(),
        }
    }

    fn read(value: &Value) -> Self {
        Self {
            ok: value.get("ok").and_then(Value::as_bool).unwrap_or(false),
            what: text(value, "what").to_owned(),
            hint: text(value, "hint").to_owned(),
        }
    }

    fn object(&self) -> Value {
        let hint = (!self.hint.is_empty()).then_some(&self.hint);
        json!({"ok": self.ok, "what": self.what, "hint": hint})
    }

    fn lines(&self) -> Vec<String> {
        let mark = if self.ok { "ok" } else { "!!" };
        let mut lines = vec![format!("{mark}  {}", self.what)];
        lines.extend(self.hint.lines().map(|line| format!("    {line}")));
        lines
    }
}

fn of_settings(config: &Result<Config, ConfigFaults>) -> Vec<Finding> {
    match config {
        Ok(_) => vec![Finding::well("the settings are valid")],
        Err(faults) => {
            let hint = "`evenkeel config default` shows every key";
            let fault = |fault: &ConfigFault| Finding::fault(fault.to_string(), hint);
            faults.0.iter().map(fault).collect()
        }
    }
}

fn of_key_file(config: &Config) -> Vec<Finding> {
    let key = &config.state.key_file;
    let shown = key.display();
    let Ok(metadata) = std::fs::metadata(key) else {
        return vec![Finding::well(format!(
            "the key file {shown} is made when the daemon first starts"
        ))];
    };
    let mut findings = Vec::new();
    if metadata.permissions().mode() & 0o077 != 0 {
        findings.push(Finding::fault(
            format!("the key file {shown} is readable by others"),
            format!("chmod 600 {shown}"),
        ));
    }
    let state = crate::config::sqlite_file(config.state.url.expose());
    let folder = |path: &Path| path.parent().and_then(|folder| folder.canonicalize().ok());
    let same = state.is_some_and(|state| folder(&state).is_some() && folder(&state) == folder(key));
    if same {
        findings.push(Finding::fault(
            format!("the key file {shown} lies in the state's folder: a copy of that folder opens every secret"),
            "move it elsewhere and set state.key_file, or use a systemd credential",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::well(format!(
            "the key file {shown} is apart from the state and private"
        )));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Finding, json, of_key_file};

    fn findings(mode: u32, folder_of_key: &str) -> Vec<Finding> {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("keys")).unwrap();
        let key = path(folder_of_key).join("secret.key");
        std::fs::write(&key, "").unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = format!(
            "[site]\nurl = \"http://a\"\ndatabase = \"sqlite:///x\"\n[state]\nurl = \"sqlite://{}\"\nkey_file = \"{}\"\n",
            path("state.db").display(),
            key.display()
        );
        std::fs::write(path("evenkeel.toml"), text).unwrap();
        of_key_file(&crate::config::load(Some(&path("evenkeel.toml"))).unwrap())
    }

    #[test]
    fn a_key_beside_the_state_or_readable_by_others_is_told() {
        let bad = |mode, folder| {
            findings(mode, folder)
                .iter()
                .filter(|finding| !finding.ok)
                .count()
        };
        assert_eq!(bad(0o600, "keys"), 0);
        assert_eq!(bad(0o644, "keys"), 1);
        assert_eq!(bad(0o600, "."), 1);
        assert_eq!(bad(0o644, "."), 2);
    }

    #[test]
    fn a_finding_shows_its_mark_and_its_hint() {
        let finding =
            Finding::read(&json!({"ok": false, "what": "the clock is off", "hint": "use ntp"}));
        assert_eq!(finding.lines(), ["!!  the clock is off", "    use ntp"]);
        assert_eq!(Finding::well("x").lines(), ["ok  x"]);
    }
}
