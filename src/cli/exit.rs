//! How a command ends: exit codes, and failures that carry one.

use std::fmt;

/// A command's exit code; scripts rely on each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, equal, all well.
    Done,
    /// 1: a run that did not complete, `status` or `doctor` with something to tell, or an unexpected fault.
    Told,
    /// 2: wrong usage, configuration or unknown id.
    Usage,
    /// 3: the daemon cannot be reached.
    Unreachable,
    /// 4: refused: not allowed, not active, needs approval.
    Refused,
}

impl Exit {
    /// The number itself.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Told => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
        }
    }
}

/// A failure with an exit code of its own; any other error ends with 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened and what to do, in words.
    pub words: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl Failure {
    /// Wrong usage, configuration or unknown id.
    pub(super) fn usage(words: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            words: words.into(),
        }
    }

    /// The daemon does not answer.
    pub(super) fn unreachable(words: impl Into<String>) -> Self {
        Self {
            exit: Exit::Unreachable,
            words: words.into(),
        }
    }

    /// Something must not be done.
    pub(super) fn refused(words: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            words: words.into(),
        }
    }

    /// Something did not end as it should.
    pub(super) fn told(words: impl Into<String>) -> Self {
        Self {
            exit: Exit::Told,
            words: words.into(),
        }
    }
}
