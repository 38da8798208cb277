//! What can go wrong in a call to a peer.

use std::time::Duration;

use crate::model::fault::FaultCode;
use crate::model::url::PeerUrl;
use crate::wire::messages::{PublishedRefusal, StreamFaultCode};

/// A fault of a call to a peer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemoteError {
    /// The client itself cannot be made.
    #[error(
        "the HTTP client cannot be set up: {0}; it needs the system's certificates of authorities (package ca-certificates)"
    )]
    Setup(String),
    /// The address must not be called.
    #[error(
        "{host} is a private or loopback address; name its network in outgoing.allowed_networks if it is meant to be called"
    )]
    Forbidden {
        /// As in the URL.
        host: String,
    },
    /// A token would cross an open link.
    #[error(
        "{host} is reached over http, where a token could be read by others; use https, or name its network in outgoing.allowed_networks"
    )]
    Unencrypted {
        /// As in the URL.
        host: String,
    },
    /// Who answers cannot show that it is the peer.
    #[error("the certificate of {host} is not accepted: {reason}")]
    Untrusted {
        /// As in the URL.
        host: String,
        /// What is wrong with it, and what to do, in words.
        reason: String,
    },
    /// No answer.
    #[error("{host} cannot be reached: {reason}")]
    Unreachable {
        /// As in the URL.
        host: String,
        /// In words.
        reason: String,
    },
    /// There is no sync API at this URL.
    #[error(
        "{host} answers, but has no sync API at /sync/api or /phoenix_kit/sync/api; check the URL and the peer's proxy"
    )]
    NoApi {
        /// As in the URL.
        host: String,
    },
    /// The peer said no, in its own words.
    #[error("{host} refused: {message}")]
    Refused {
        /// As in the URL.
        host: String,
        /// HTTP status.
        status: u16,
        /// The peer's words.
        message: String,
        /// The peer's `error_code`, where it gave one.
        code: Option<String>,
        /// The peer's `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// What the peer made is not what was asked for.
    #[error("{host} {reason}")]
    Unfit {
        /// As in the URL.
        host: String,
        /// In words.
        reason: String,
    },
    /// The answer is not what the protocol says.
    #[error("{host} answered nonsense: {reason}")]
    Protocol {
        /// As in the URL.
        host: String,
        /// What was wrong with it.
        reason: String,
    },
    /// The answer of a signed connection is not the peer's, or was altered on its way.
    #[error("what came from {host} is not signed by the peer: {reason}")]
    Unproved {
        /// As in the URL.
        host: String,
        /// In words.
        reason: String,
    },
    /// It says that it works, and gets no further.
    #[error("{host} says that it still works, but {reason}")]
    Stuck {
        /// As in the URL.
        host: String,
        /// In words.
        reason: String,
    },
    /// The stream of rows ended without its end.
    #[error("the stream of rows from {host} broke off{after}: {reason}")]
    Cut {
        /// As in the URL.
        host: String,
        /// How far it came, in words.
        after: String,
        /// In words.
        reason: String,
    },
}

impl RemoteError {
    /// The peer at `url` was waited for in vain.
    #[must_use]
    pub fn no_answer(url: &PeerUrl, waited: Duration) -> Self {
        Self::Unreachable {
            host: url.host().to_owned(),
            reason: format!("no answer within {} seconds", waited.as_secs()),
        }
    }

    /// Whether nobody was there: no answer, nothing that knows the API, or only a proxy before the peer (RFC 9110,
    /// section 15.6).
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NoApi { .. }
                | Self::Refused {
                    status: 502..=504,
                    ..
                }
        )
    }

    /// Whether the peer said when it may be asked again.
    #[must_use]
    pub fn asks_to_wait(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                retry_after: Some(_),
                ..
            }
        )
    }

    /// Which of the published refusals it is.
    #[must_use]
    pub fn published(&self) -> Option<PublishedRefusal> {
        match self {
            Self::Refused { message, .. } => message.parse().ok(),
            _ => None,
        }
    }

    /// Whether the peer answered at all.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// A peer's words as they are shown, logged and kept: short and without control characters.
pub(super) fn quoted(words: &str) -> String {
    words
        .chars()
        .filter(|character| !character.is_control())
        .take(500)
        .collect()
}

/// A peer's `error_code`, unless it cannot be one: scripts compare it, so it is taken whole or not at all. Nor can a
/// peer speak for this site, whose own codes say what becomes of a run and its sync.
pub(super) fn error_code(code: String) -> Option<String> {
    let is_one = (1..=64).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_ours = code.parse::<FaultCode>().is_ok() && code.parse::<StreamFaultCode>().is_err();
    (is_one && !is_ours).then_some(code)
}

#[cfg(test)]
mod tests {
    use super::error_code;

    #[test]
    fn a_peers_code_is_taken_whole_and_never_for_one_of_this_sites_own() {
        for code in [
            "table_locked",
            "connection_not_active",
            "of_a_later_version",
        ] {
            assert_eq!(error_code(code.to_owned()).as_deref(), Some(code));
        }
        let long = "x".repeat(65);
        for code in ["", "Table locked", &long, "peer_away", "waiting_for_run"] {
            assert_eq!(error_code(code.to_owned()), None, "{code}");
        }
    }
}
