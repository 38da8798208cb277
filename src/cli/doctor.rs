//! `doctor`: checks what can be checked from here, then asks the daemon for its own findings.

use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{list, text};
use crate::config::{ConfigFault, ConfigFaults, Loaded};
use crate::model::finding::Finding;
use crate::sync::doctor::file_findings;

/// Prints every finding; exit code 1 if one is not well, 3 if the daemon cannot be reached.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let mut findings = Vec::new();
    let mut exit = Exit::Told;
    // The settings and files of this machine are not those of a daemon elsewhere, and may not be this user's to read.
    let file = context.config.as_deref();
    let here = context.server().is_none() && !crate::config::is_closed(file);
    let config = here.then(|| crate::config::settings(file));
    findings.extend(config.iter().flat_map(of_settings));
    match remote(context).await {
        Ok(answer) => findings.extend(list(&answer, "findings").iter().map(read)),
        Err(err) => {
            let words = err.to_string();
            let (what, hint) = words.split_once('\n').unwrap_or((&words, ""));
            findings.push(Finding {
                ok: false,
                what: what.to_owned(),
                hint: (!hint.is_empty()).then(|| hint.to_owned()),
            });
            let failure = err.downcast_ref::<Failure>();
            if failure.is_some_and(|failure| failure.exit == Exit::Unreachable) {
                exit = Exit::Unreachable;
            }
            // What the daemon would have told of its files, as far as it can be seen from here.
            let loaded = config.iter().flatten();
            findings.extend(loaded.flat_map(|loaded| file_findings(&loaded.config)));
        }
    }
    for finding in &findings {
        if context.output.json {
            context.output.object(&object(finding))?;
        } else {
            lines(finding)
                .iter()
                .try_for_each(|line| context.output.line(line))?;
        }
    }
    let well = findings.iter().all(|finding| finding.ok);
    Ok(if well { Exit::Done } else { exit })
}

async fn remote(context: &Context) -> anyhow::Result<Value> {
    context.client()?.get(&["doctor"]).await
}

fn read(value: &Value) -> Finding {
    let hint = text(value, "hint");
    Finding {
        ok: value.get("ok").and_then(Value::as_bool).unwrap_or(false),
        what: text(value, "what").to_owned(),
        hint: (!hint.is_empty()).then(|| hint.to_owned()),
    }
}

fn object(finding: &Finding) -> Value {
    json!({"ok": finding.ok, "what": finding.what, "hint": finding.hint})
}

fn lines(finding: &Finding) -> Vec<String> {
    let mark = if finding.ok { "ok" } else { "!!" };
    let mut lines = vec![format!("{mark}  {}", finding.what)];
    let hint = finding.hint.as_deref().unwrap_or_default();
    lines.extend(hint.lines().map(|line| format!("    {line}")));
    lines
}

fn of_settings(config: &Result<Loaded, ConfigFaults>) -> Vec<Finding> {
    match config {
        Ok(_) => vec![Finding::good("the settings are valid")],
        Err(faults) => {
            let hint = "`evenkeel config default` shows every key";
            let fault = |fault: &ConfigFault| Finding::bad(fault.to_string(), hint);
            faults.0.iter().map(fault).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Finding, file_findings, json, lines, read};

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
        let loaded = crate::config::load(Some(&path("evenkeel.toml"))).unwrap();
        file_findings(&loaded.config)
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
        let finding = read(&json!({"ok": false, "what": "the clock is off", "hint": "use ntp"}));
        assert_eq!(lines(&finding), ["!!  the clock is off", "    use ntp"]);
        assert_eq!(lines(&Finding::good("x")), ["ok  x"]);
    }
}
