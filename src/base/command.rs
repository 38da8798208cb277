//! Runs a program of the administrator's: with text on its standard input, for a bounded time, and heard up to a bound.
//!
//! Invariant: a program that is given up is killed with everything it started, and none sees this process's
//! environment beyond what it was given.

use std::ffi::OsString;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr};

/// Bytes of what it prints that are kept; the rest is read and forgotten.
const HEARD: usize = 2_000;
/// How long what an ended program printed last is waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What to run; no shell looks at it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path, or a name to look for in `PATH`.
    pub name: String,
    /// What it is given.
    pub arguments: Vec<String>,
    /// All variables it sees.
    pub environment: Vec<(OsString, OsString)>,
}

/// Whether this user may run a program of that name, looked for in the `PATH` of `environment` unless it is a path.
#[must_use]
pub fn is_runnable(name: &str, environment: &[(OsString, OsString)]) -> bool {
    let may_run = |path: &Path| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if name.contains('/') {
        return may_run(Path::new(name));
    }
    let folders = environment.iter().find(|(variable, _)| variable == "PATH");
    folders.is_some_and(|(_, folders)| {
        std::env::split_paths(folders).any(|folder| may_run(&folder.join(name)))
    })
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProgramFault {
    /// It cannot be run.
    #[error("{name} cannot be run: {source}")]
    NotRun {
        /// Which.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It ended badly.
    #[error("{name} ended with {}", ended(*status))]
    Failed {
        /// Which.
        name: String,
        /// How.
        status: ExitStatus,
        /// What it printed to standard error, cut and without control characters: for the log alone.
        said: String,
    },
    /// It did not end in time, and was killed.
    #[error("{name} did not end within {} s and was killed", limit.as_secs_f64())]
    Late {
        /// Which.
        name: String,
        /// How long it was given.
        limit: Duration,
    },
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

/// Runs `program` to its end, `input` on its standard input. Dropped before, it is killed.
///
/// # Errors
/// See [`ProgramFault`]. That it read no input is none.
pub async fn run(program: &Program, input: &[u8], limit: Duration) -> Result<(), ProgramFault> {
    let not_run = |source| ProgramFault::NotRun {
        name: program.name.clone(),
        source,
    };
    let mut group = Group::start(program).map_err(not_run)?;
    let done = tokio::time::timeout(limit, group.carry_out(input)).await;
    let Ok(done) = done else {
        return Err(ProgramFault::Late {
            name: program.name.clone(),
            limit,
        });
    };
    let (status, said) = done.map_err(not_run)?;
    group.is_over = true;
    if status.success() {
        return Ok(());
    }
    Err(ProgramFault::Failed {
        name: program.name.clone(),
        status,
        said: printable(&said),
    })
}

/// A running program and what it started; killed when dropped, unless it is over.
struct Group {
    child: Child,
    id: Option<Pid>,
    is_over: bool,
}

impl Group {
    fn start(program: &Program) -> std::io::Result<Self> {
        let child = tokio::process::Command::new(&program.name)
            .args(&program.arguments)
            .env_clear()
            .envs(program.environment.iter().cloned())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Ok(Self {
            child,
            id: id.and_then(Pid::from_raw),
            is_over: false,
        })
    }

    async fn carry_out(&mut self, input: &[u8]) -> std::io::Result<(ExitStatus, Vec<u8>)> {
        let (stdin, mut stderr) = (self.child.stdin.take(), self.child.stderr.take());
        let mut said = Vec::new();
        let write = async {
            if let Some(mut stdin) = stdin {
                // Whoever needs no input may close it.
                drop(stdin.write_all(input).await);
            }
            std::future::pending::<()>().await;
        };
        let status = tokio::select! {
            status = self.child.wait() => status?,
            () = write => std::future::pending().await,
            () = listen(stderr.as_mut(), &mut said) => std::future::pending().await,
        };
        // What it leaves running may hold the other end open.
        drop(tokio::time::timeout(LAST_WORDS, read(stderr.as_mut(), &mut said)).await);
        Ok((status, said))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let (false, Some(id)) = (self.is_over, self.id) {
            // It may have ended by itself just now.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

async fn listen(stderr: Option<&mut ChildStderr>, said: &mut Vec<u8>) {
    read(stderr, said).await;
    std::future::pending::<()>().await;
}

/// Reads to the end, keeping the first [`HEARD`] bytes.
async fn read(stderr: Option<&mut ChildStderr>, said: &mut Vec<u8>) {
    let Some(stderr) = stderr else { return };
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let room = HEARD.saturating_sub(said.len()).min(read);
        said.extend(buffer.iter().take(room));
    }
}

fn printable(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let words = text.split(char::is_control).map(str::trim);
    let words: Vec<&str> = words.filter(|words| !words.is_empty()).collect();
    words.join(" / ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Program, ProgramFault, is_runnable, run};

    const LONG: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Program {
        Program {
            name: "/bin/sh".to_owned(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        }
    }

    fn path(folder: &tempfile::TempDir, name: &str) -> String {
        folder.path().join(name).display().to_string()
    }

    #[test]
    fn a_program_is_found_as_it_would_be_run() {
        let path = [("PATH".into(), "/nowhere:/bin".into())];
        for (name, expected) in [
            ("/bin/sh", true),
            ("sh", true),
            ("no-such-program", false),
            ("/etc/passwd", false),
            ("/bin", false),
        ] {
            assert_eq!(is_runnable(name, &path), expected, "{name}");
        }
        assert!(!is_runnable("sh", &[]));
    }

    #[tokio::test]
    async fn a_program_gets_its_input_and_no_environment_but_what_it_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(&folder, "heard");
        let script = format!("cat > {file}; env | sort | cut -d= -f1 >> {file}; pwd >> {file}");
        run(&shell(&script), b"{}\n", LONG).await.unwrap();
        let heard = std::fs::read_to_string(&file).unwrap();
        let variables: Vec<&str> = heard
            .lines()
            .filter(|line| !line.starts_with(['_', 'O', 'S']))
            .collect();
        assert_eq!(variables, ["{}", "PATH", "PWD", "/"], "{heard}");
    }

    #[tokio::test]
    async fn a_program_that_fails_is_told_by_its_code_and_its_first_words() {
        let failed = run(
            &shell("echo no such host >&2; printf 'x\\033y' >&2; exit 3"),
            b"",
            LONG,
        )
        .await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.to_string(), "/bin/sh ended with exit code 3");
        let ProgramFault::Failed { said, .. } = failed else {
            panic!("{failed}")
        };
        assert_eq!(said, "no such host / x / y");
        let killed = run(&shell("kill -9 $$"), b"", LONG).await.unwrap_err();
        assert_eq!(killed.to_string(), "/bin/sh ended with signal 9");
        let missing = Program {
            name: "/no/such/program".to_owned(),
            ..shell("")
        };
        let missing = run(&missing, b"", LONG).await.unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("/no/such/program cannot be run"),
            "{missing}"
        );
    }

    #[tokio::test]
    async fn a_program_that_prints_without_end_is_read_and_kept_to_a_bound() {
        let script = "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1";
        let failed = run(&shell(script), &vec![b'x'; 1 << 20], LONG)
            .await
            .unwrap_err();
        let ProgramFault::Failed { said, .. } = failed else {
            panic!("{failed}")
        };
        assert_eq!(said.len(), 2_000);
    }

    #[tokio::test]
    async fn a_program_that_leaves_something_running_is_over_when_it_ends_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(&folder, "pid");
        run(&shell(&format!("sleep 1000 & echo $! > {file}")), b"", LONG)
            .await
            .unwrap();
        let left = std::fs::read_to_string(&file).unwrap();
        let left = rustix::process::Pid::from_raw(left.trim().parse().unwrap()).unwrap();
        rustix::process::kill_process(left, rustix::process::Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_in_time_is_killed() {
        let limit = Duration::from_millis(50);
        let late = run(&shell("sleep 1000"), b"", limit).await.unwrap_err();
        assert_eq!(
            late.to_string(),
            "/bin/sh did not end within 0.05 s and was killed"
        );
    }

    #[tokio::test]
    async fn a_program_that_is_given_up_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(&folder, "pid");
        let started = async {
            loop {
                match std::fs::read_to_string(&file) {
                    Ok(id) if id.ends_with('\n') => return id,
                    _ => tokio::task::yield_now().await,
                }
            }
        };
        let program = shell(&format!("sleep 1000 & echo $! > {file}; wait"));
        let id = tokio::select! {
            ended = run(&program, b"", LONG) => panic!("{ended:?}"),
            id = started => id,
        };
        let process = format!("/proc/{}/stat", id.trim());
        // A zombie's state is Z until somebody takes it.
        let runs = || std::fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
        let begun = std::time::Instant::now();
        while runs() {
            assert!(begun.elapsed() < LONG, "what it started still runs");
            tokio::task::yield_now().await;
        }
    }
}
