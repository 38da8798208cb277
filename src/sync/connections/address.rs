//! Which URLs a connection may have: not our own, and none whose literal address must not be called.
//!
//! Names are resolved only when they are called, and checked there.

use std::net::SocketAddr;

use crate::model::url::{PeerUrl, is_loopback, may_call};
use crate::sync::{Ctx, SyncError};

/// Reads a peer's URL.
///
/// # Errors
/// [`SyncError::Url`] for what is no peer's URL, [`SyncError::Invalid`] for one that must not be called.
pub(super) fn checked_url(ctx: &Ctx, text: &str) -> Result<PeerUrl, SyncError> {
    let url = PeerUrl::parse(text)?;
    let listeners = [Some(ctx.config.server.listen), ctx.config.admin.listen];
    if url == ctx.config.site.url || listeners.into_iter().flatten().any(|own| is_at(&url, own)) {
        return Err(invalid("this is the URL of this site itself".to_owned()));
    }
    let allowed = &ctx.config.outgoing.allowed_networks;
    if url
        .address()
        .is_some_and(|address| !may_call(address, allowed))
    {
        return Err(invalid(format!(
            "{} is a private or loopback address; if it is meant to be called, name its network in outgoing.allowed_networks, such as [\"192.168.0.0/16\"], and restart the daemon",
            url.host()
        )));
    }
    Ok(url)
}

fn invalid(message: String) -> SyncError {
    SyncError::Invalid {
        field: "url",
        message,
    }
}

/// Whether `url` literally names the listener `own`; one that listens everywhere is also at loopback.
fn is_at(url: &PeerUrl, own: SocketAddr) -> bool {
    url.port() == own.port()
        && url.address().is_some_and(|address| {
            address == own.ip() || (own.ip().is_unspecified() && is_loopback(address))
        })
}

#[cfg(test)]
mod tests {
    use super::is_at;
    use crate::model::url::PeerUrl;

    #[test]
    fn a_listener_is_recognised_in_a_literal_url() {
        let is_own =
            |url: &str, own: &str| is_at(&PeerUrl::parse(url).unwrap(), own.parse().unwrap());
        assert!(is_own("http://127.0.0.1:7440", "127.0.0.1:7440"));
        assert!(is_own("http://127.1:7440/shop", "0.0.0.0:7440"));
        assert!(!is_own("http://127.0.0.1:7441", "127.0.0.1:7440"));
        assert!(!is_own("http://192.0.2.1:7440", "0.0.0.0:7440"));
    }
}
