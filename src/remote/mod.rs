//! The HTTP client of a peer: asks, checks the answer's form, and says what went wrong. Beside it the one that calls
//! an administrator's web address.
//!
//! Knows nothing of runs or of our database. Invariant: an address is checked before it is connected to,
//! redirects are not followed, and no answer is read beyond its limit.

mod catalogue;
mod error;
mod guard;
mod peer;
mod rows;
mod transport;
mod webhook;

pub use error::RemoteError;
pub use peer::{Peer, RegisterRequest, RowsRequest, Verified};
pub use rows::IncomingRows;
pub use webhook::Webhook;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::redirect::Policy;

use crate::base::cause::last_cause;
use crate::model::url::PeerUrl;

/// Calls peers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Remote {
    http: reqwest::Client,
    allowed_networks: Arc<[IpNet]>,
}

impl Remote {
    /// A client that may also call addresses in `allowed_networks`, and gives up on silence after `idle_timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        allowed_networks: &[IpNet],
        connect_timeout: Duration,
        idle_timeout: Duration,
    ) -> Result<Self, RemoteError> {
        let allowed_networks: Arc<[IpNet]> = allowed_networks.into();
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(connect_timeout)
            .read_timeout(idle_timeout)
            .user_agent(concat!("Evenkeel/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(guard::Resolver::new(Arc::clone(
                &allowed_networks,
            ))))
            .build()
            .map_err(|err| RemoteError::Setup(last_cause(&err)))?;
        Ok(Self {
            http,
            allowed_networks,
        })
    }

    /// The peer at `url`, its API found, below `prefix` where that is known. Every call to a peer begins here, because
    /// what names a connection is as good as a password: it takes only the ways a token may take.
    ///
    /// # Errors
    /// [`RemoteError::Forbidden`] or [`RemoteError::Unencrypted`] when the URL must not be called so,
    /// [`RemoteError::NoApi`] when nothing there answers as the API does, or why it could not be asked.
    pub async fn reach(&self, url: &PeerUrl, prefix: Option<&str>) -> Result<Peer, RemoteError> {
        guard::check_literal(url, &self.allowed_networks)?;
        self.check_token_may_cross(url).await?;
        let mut peer = Peer::new(self.http.clone(), url.clone(), prefix.map(str::to_owned));
        peer.find_prefix().await?;
        Ok(peer)
    }

    /// Whether a token may cross to `url`: https, or a link that never leaves what the administrator named.
    ///
    /// # Errors
    /// [`RemoteError::Unencrypted`] when it may not; [`RemoteError::Unreachable`] when the name does not resolve.
    pub async fn check_token_may_cross(&self, url: &PeerUrl) -> Result<(), RemoteError> {
        if url.is_encrypted() {
            return Ok(());
        }
        let addresses = guard::addresses(url).await?;
        if addresses
            .iter()
            .all(|address| guard::is_private_link(*address, &self.allowed_networks))
        {
            Ok(())
        } else {
            Err(RemoteError::Unencrypted {
                host: url.host().to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Remote, RemoteError};
    use crate::model::url::PeerUrl;

    #[tokio::test]
    async fn no_peer_is_called_where_a_token_must_not_cross() {
        let second = Duration::from_secs(1);
        let remote = Remote::new(&[], second, second).unwrap();
        let reach = async |url: &str| {
            let url = PeerUrl::parse(url).unwrap();
            remote.reach(&url, Some("")).await
        };
        let open = reach("http://93.184.216.34").await;
        assert!(matches!(open, Err(RemoteError::Unencrypted { .. })));
        let private = reach("https://10.0.0.1").await;
        assert!(matches!(private, Err(RemoteError::Forbidden { .. })));
        assert!(reach("https://93.184.216.34").await.is_ok());
    }
}
