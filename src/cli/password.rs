//! Asks for a password: from a file, the environment, or a person whose typing is not shown.

use std::io;
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use crate::base::secret::Secret;
use crate::cli::context::Context;
use crate::cli::exit::Failure;

/// The password given by `file` or `EVENKEEL_PASSWORD`, if any.
pub(super) fn given(
    context: &Context,
    file: Option<&Path>,
) -> anyhow::Result<Option<Secret<String>>> {
    let Some(file) = file else {
        return Ok(context.access.password.clone());
    };
    let text = Secret::new(
        std::fs::read_to_string(file)
            .map_err(|err| Failure::usage(format!("{}: {err}", file.display())))?,
    );
    let first = text.expose().lines().next().unwrap_or_default();
    if first.is_empty() {
        return Err(Failure::usage(format!("{}: its first line is empty", file.display())).into());
    }
    Ok(Some(Secret::new(first.to_owned())))
}

/// Asks on the terminal without showing what is typed; `None` when nothing was.
pub(super) fn ask(context: &Context, question: &str) -> anyhow::Result<Option<Secret<String>>> {
    if !context.output.can_ask() {
        return Err(Failure::usage(
            "a password is needed: use --password-file or EVENKEEL_PASSWORD",
        )
        .into());
    }
    let silence = Silence::begin()?;
    let answer = context.output.ask(question);
    drop(silence);
    context.output.note("");
    Ok(answer?.filter(|text| !text.is_empty()).map(Secret::new))
}

/// Turns the terminal's echo off until dropped.
struct Silence(rustix::termios::Termios);

impl Silence {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(before))
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
