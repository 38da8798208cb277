//! Leaves nothing behind: ends the processes and removes the folders of this test process, however it ends.
//!
//! A shell holds the reading end of a pipe whose only writing end is in this process.
//! Rust code runs at a normal end at best; the end of the pipe is seen after a panic, an abort and `kill -9` too.
//! Until then the shell only keeps a list.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Reads `start PID SIGNAL`, `ended PID` and `folder PATH`; acts when there is nothing more to read.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
# A zombie has ended: whoever adopts it may take its time.
alive() {
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    case $line in *') Z '* | *') X '*) return 1 ;; esac
}
running=' '
while read -r word what how; do
    case $word in
        start) running="$running$what:$how " ;;
        ended) running=$(printf '%s' "$running" | sed "s/ $what:[A-Z]* / /") ;;
        folder) set -- "$@" "$what" ;;
    esac
done
for process in $running; do kill -"${process#*:}" "${process%:*}" 2>/dev/null; done
for process in $running; do
    tries=0
    while alive "${process%:*}" && [ $tries -lt 100 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    ! alive "${process%:*}" || kill -KILL "${process%:*}"
done
tries=0
while [ $# -gt 0 ] && ! rm -rf -- "$@" && [ $tries -lt 20 ]; do
    sleep 0.2
    tries=$((tries + 1))
done
"#;

/// Has `child` ended by `signal` (a name without `SIG`) when this process ends before [`ended`] is told.
pub fn started(child: &Child, signal: &str) {
    tell(&format!("start {} {signal}", child.id()));
}

/// Takes `child` off the list; call it once the child has been waited for.
pub fn ended(child: &Child) {
    tell(&format!("ended {}", child.id()));
}

/// Has `folder` removed when this process ends.
pub fn folder(folder: &Path) {
    let path = folder.to_str().expect("temporary folders have plain names");
    assert!(
        !path.contains(char::is_whitespace),
        "a path with a space: {path}"
    );
    tell(&format!("folder {path}"));
}

fn tell(line: &str) {
    static SHELL: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let mut shell = SHELL
        .get_or_init(|| Mutex::new(begin()))
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    writeln!(shell, "{line}").expect("the cleaning shell takes a line");
}

#[expect(
    clippy::zombie_processes,
    reason = "the shell outlives this process: that is its purpose"
)]
fn begin() -> ChildStdin {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A Ctrl-C in the terminal goes to the tests' process group: the shell must outlive it.
        .process_group(0)
        .spawn()
        .expect("sh starts");
    shell.stdin.take().expect("stdin is piped")
}
