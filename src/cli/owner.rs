//! Lets a command that root typed act as the owner of the state, so that it leaves no file the daemon cannot write.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, Mode, Uid};

use crate::base::secret::text_of_file;
use crate::config::State;

/// As root, starts this same command again as the owner of the state's folder; otherwise does nothing.
///
/// A key that this owner may not read, as the one a systemd unit loads for the daemon, is read here and handed on.
///
/// # Errors
/// When the key cannot be read, or the program not be started as that user.
pub(super) fn become_owner(state: &State) -> anyhow::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some((uid, gid)) = owner_of(&folder_of_state(state)).filter(|(uid, _)| *uid != 0) else {
        return Ok(());
    };
    let program = std::env::current_exe()?;
    let mut command = std::process::Command::new(&program);
    command.args(std::env::args_os().skip(1)).gid(gid).uid(uid);
    // Lives until the program is replaced, and in the new one as an open file.
    let key = handed_key(state, uid)?;
    if let Some(key) = &key {
        let path = format!("/proc/self/fd/{}", key.as_raw_fd());
        command.env("EVENKEEL__STATE__KEY_FILE", path);
    }
    let err = command.exec();
    Err(err).with_context(|| {
        format!(
            "{} cannot be run as user {uid}, who owns the state",
            program.display()
        )
    })
}

/// The key in a file without a name that `uid` may read, unless its own file belongs to `uid` or will.
fn handed_key(state: &State, uid: u32) -> anyhow::Result<Option<OwnedFd>> {
    let path = state.key.path();
    let owner = owner_of(path).or_else(|| owner_of(folder_of(path)));
    if owner.is_none_or(|(owner, _)| owner == uid) {
        return Ok(None);
    }
    let database = crate::config::sqlite_file(state.url.expose());
    if !path.exists() && database.is_some_and(|file| file.exists()) {
        // A new key would not open what is there.
        anyhow::bail!(
            "the key file {} is missing, and the state was made with a key: restore it from its backup; where systemd gives the daemon another credential, make tokens through the daemon (docs/operations.md, \"The key\")",
            path.display()
        );
    }
    let text = text_of_file(path)?;
    // Not closed when the program is replaced.
    let file = rustix::fs::memfd_create("evenkeel.key", MemfdFlags::empty())?;
    rustix::io::write(&file, text.expose().as_bytes())?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), None)?;
    Ok(Some(file))
}

/// The state's folder; with a PostgreSQL state the key is the only file there is.
fn folder_of_state(state: &State) -> PathBuf {
    let file = crate::config::sqlite_file(state.url.expose());
    let file = file.as_deref().unwrap_or(state.key.path());
    folder_of(file).to_owned()
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn owner_of(path: &Path) -> Option<(u32, u32)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.uid(), metadata.gid()))
}

#[cfg(test)]
mod tests {
    use super::{Path, PathBuf, State, folder_of_state, owner_of};
    use crate::base::secret::{KeyPlace, Secret};

    #[test]
    fn the_owner_is_that_of_the_states_folder() {
        let state = |url: &str| State {
            url: Secret::new(url.to_owned()),
            key: KeyPlace::File(PathBuf::from("/etc/evenkeel/secret.key")),
        };
        assert_eq!(
            folder_of_state(&state("sqlite:///var/lib/e/state.db?mode=rwc")),
            Path::new("/var/lib/e")
        );
        assert_eq!(folder_of_state(&state("sqlite://state.db")), Path::new("."));
        assert_eq!(
            folder_of_state(&state("postgresql://h/d")),
            Path::new("/etc/evenkeel")
        );
        let folder = tempfile::tempdir().unwrap();
        let user = rustix::process::geteuid().as_raw();
        assert_eq!(owner_of(folder.path()).map(|(uid, _)| uid), Some(user));
        assert_eq!(owner_of(&folder.path().join("none")), None);
    }
}
