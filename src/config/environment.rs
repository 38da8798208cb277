//! The variables that are no settings of the daemon: how a command reaches it, and what systemd hands over.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::base::secret::Secret;

/// How a command reaches a daemon, as far as the environment says.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// `EVENKEEL_SERVER`: the daemon's URL.
    pub server: Option<String>,
    /// `EVENKEEL_TOKEN`: an admin API token.
    pub token: Option<Secret<String>>,
    /// `EVENKEEL_PASSWORD`: for whatever asks for one.
    pub password: Option<Secret<String>>,
}

/// Reads the variables; one that is empty or not Unicode counts as absent.
#[must_use]
pub fn access() -> Access {
    Access {
        server: variable("EVENKEEL_SERVER"),
        token: variable("EVENKEEL_TOKEN").map(Secret::new),
        password: variable("EVENKEEL_PASSWORD").map(Secret::new),
    }
}

/// The systemd credential `evenkeel.key`, when the service was given one (systemd.exec(5), `LoadCredential=`).
pub(super) fn key_credential() -> Option<PathBuf> {
    let path = PathBuf::from(variable("CREDENTIALS_DIRECTORY")?).join("evenkeel.key");
    path.exists().then_some(path)
}

/// What programs that the daemon runs may see of its environment: enough to find others and to write dates and names,
/// none of the daemon's settings.
pub(super) fn passed_on() -> Vec<(OsString, OsString)> {
    [
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR",
    ]
    .into_iter()
    .filter_map(|name| Some((name.into(), std::env::var_os(name)?)))
    .collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?
        .into_string()
        .ok()
        .filter(|text| !text.is_empty())
}
