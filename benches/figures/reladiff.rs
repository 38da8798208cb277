//! `reladiff`, which compares tables of two databases by hashing ranges in them.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::figures::COLUMNS;

/// One that runs.
pub struct Reladiff {
    program: PathBuf,
    version: String,
    /// Where it was installed for this once.
    _folder: Option<TempDir>,
}

impl Reladiff {
    /// The one that is named, on the path, or installed now; else why there is none.
    pub fn found() -> Result<Self, String> {
        let named = std::env::var_os("EVENKEEL_RELADIFF").map(PathBuf::from);
        let program = named.unwrap_or_else(|| PathBuf::from("reladiff"));
        if let Ok(version) = version(&program) {
            return Ok(Self {
                program,
                version,
                _folder: None,
            });
        }
        let folder = tempfile::Builder::new()
            .prefix("evenkeel-reladiff-")
            .tempdir()
            .map_err(|err| err.to_string())?;
        let venv = folder.path().join("venv");
        ran(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let packages = ["install", "-q", "reladiff==0.6.0", "psycopg2-binary"];
        ran(Command::new(venv.join("bin/pip")).args(packages))?;
        let program = venv.join("bin/reladiff");
        Ok(Self {
            version: version(&program)?,
            program,
            _folder: Some(folder),
        })
    }

    /// Which one it is.
    pub fn told(&self) -> &str {
        &self.version
    }

    /// How many lines of differences it tells of `orders`.
    pub fn differences(&self, from: &str, to: &str) -> u64 {
        let mut command = Command::new(&self.program);
        command.args([from, "orders", to, "orders", "--key-columns", "id"]);
        for column in COLUMNS {
            command.args(["--columns", column]);
        }
        // One for each core.
        command.args(["--threads", "2"]);
        let told = ran(&mut command).unwrap_or_else(|words| panic!("reladiff: {words}"));
        let lines = told.lines().filter(|line| line.starts_with(['+', '-']));
        u64::try_from(lines.count()).expect("a number of lines")
    }
}

fn version(program: &PathBuf) -> Result<String, String> {
    let told = ran(Command::new(program).arg("--version"))?;
    Ok(format!("reladiff {}", told.trim()))
}

/// What it prints, or what it says of why it fails.
fn ran(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let output: Output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|err| format!("{name}: {err}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let last = words.trim().lines().last().unwrap_or("no word");
        Err(format!("{name}: {last}"))
    }
}
