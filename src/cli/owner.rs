//! Lets a command that root typed act as the owner of the state, so that it leaves no file the daemon cannot write.

use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::State;

/// As root, starts this same command again as the owner of the state's folder; otherwise does nothing.
///
/// # Errors
/// When the program cannot be started as that user.
pub(super) fn become_owner(state: &State) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some((uid, gid)) = owner_of(&place(state)).filter(|(uid, _)| *uid != 0) else {
        return Ok(());
    };
    let program = std::env::current_exe()?;
    let err = std::process::Command::new(&program)
        .args(std::env::args_os().skip(1))
        .gid(gid)
        .uid(uid)
        .exec();
    Err(err).with_context(|| {
        format!(
            "{} cannot be run as user {uid}, who owns the state",
            program.display()
        )
    })
}

/// The state's folder; with a PostgreSQL state the key is the only file there is.
fn place(state: &State) -> PathBuf {
    let file =
        crate::config::sqlite_file(state.url.expose()).unwrap_or_else(|| state.key_file.clone());
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn owner_of(path: &Path) -> Option<(u32, u32)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

#[cfg(test)]
mod tests {
    use super::{Path, PathBuf, State, owner_of, place};
    use crate::base::secret::Secret;

    #[test]
    fn the_owner_is_that_of_the_states_folder() {
        let state = |url: &str| State {
            url: Secret::new(url.to_owned()),
            key_file: PathBuf::from("/etc/evenkeel/secret.key"),
        };
        assert_eq!(
            place(&state("sqlite:///var/lib/e/state.db?mode=rwc")),
            Path::new("/var/lib/e")
        );
        assert_eq!(place(&state("sqlite://state.db")), Path::new("."));
        assert_eq!(
            place(&state("postgresql://h/d")),
            Path::new("/etc/evenkeel")
        );
        let folder = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(owner_of(folder.path()).map(|(uid, _)| uid), Some(user));
        assert_eq!(owner_of(&folder.path().join("none")), None);
    }
}
