//! `[compare]` and `[sessions]`: what comparing may take, and how long a peer may have a moment of the tables held.

use std::time::Duration;

use crate::config::reader::{Reader, bytes, span};

/// `[compare]`, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Compare {
    /// Of tallies in the making.
    pub memory: usize,
    /// On the disk.
    pub spool: u64,
}

/// `[sessions]`
#[derive(Clone, Copy, Debug)]
pub struct Sessions {
    /// A session ends that no request named for so long.
    pub idle: Duration,
    /// A session ends then, whatever is asked of it.
    pub max_hold: Duration,
}

/// Takes the keys of `[compare]`.
pub(super) fn read_compare(reader: &mut Reader) -> Compare {
    Compare {
        memory: reader.value("compare.memory", 1, bytes),
        spool: reader.value("compare.spool", 1, bytes),
    }
}

/// Takes the keys of `[sessions]`.
pub(super) fn read_sessions(reader: &mut Reader) -> Sessions {
    let idle = span(reader, "sessions.idle");
    let max_hold = span(reader, "sessions.max_hold");
    if idle > max_hold {
        let problem = "is longer than sessions.max_hold, after which a session ends anyway";
        reader.fault("sessions.idle", problem.to_owned());
    }
    Sessions { idle, max_hold }
}
