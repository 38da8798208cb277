//! The programs of database servers: run as nobody special, fed with input.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};

use super::{cleanup, wait};

/// Runs `command` with `input` on its standard input, to its end.
pub fn fed(command: &mut Command, input: &[u8]) -> Output {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().expect("the client starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    std::thread::scope(|scope| {
        // A client that stops reading says why on its standard error: the broken pipe itself is no news.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("the client ends")
    })
}

/// `program`, run as `user` when the tests run as root: servers refuse that.
pub fn unprivileged(program: &Path, user: &str) -> Command {
    let mut command = match owner(user) {
        None => Command::new(program),
        Some(user) => {
            let mut setpriv = Command::new("setpriv");
            setpriv.args([format!("--reuid={user}"), "--init-groups".to_owned()]);
            setpriv.arg(format!(
                "--regid={}",
                if user == "nobody" { "nogroup" } else { user }
            ));
            setpriv.arg(program);
            setpriv
        }
    };
    command.current_dir("/");
    command
}

/// Gives `folder` to whom [`unprivileged`] runs programs as.
pub fn give_away(folder: &Path, user: &str) {
    if let Some(user) = owner(user) {
        let status = Command::new("chown")
            .arg(format!("{user}:"))
            .arg(folder)
            .status()
            .expect("chown starts");
        assert!(status.success(), "chown {user}");
    }
}

/// Ends a server by `signal` and waits until it is gone.
pub fn end(mut child: Child, signal: Signal) {
    kill_process(Pid::from_child(&child), signal).expect("the server can be signalled");
    wait::until("the server ends", wait::LONG, || {
        child.try_wait().expect("a status")
    });
    cleanup::ended(&child);
}

/// Who owns the servers: `None` for whoever runs the tests, else, for root, the user that came with the server.
fn owner(user: &str) -> Option<&str> {
    geteuid().is_root().then(|| {
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let exists = users
            .lines()
            .any(|line| line.split(':').next() == Some(user));
        if exists { user } else { "nobody" }
    })
}
