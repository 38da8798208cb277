//! The HTTP client of a peer: asks, checks the answer's form, and says what went wrong.
//!
//! Knows nothing of runs or of our database. Invariant: an address is checked before it is connected to,
//! redirects are not followed, and no answer is read beyond its limit.

mod catalogue;
mod error;
mod guard;
mod peer;
mod rows;
mod transport;

pub use error::RemoteError;
pub use peer::{Peer, RegisterRequest, Verified};
pub use rows::IncomingRows;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::redirect::Policy;

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
            .map_err(|err| RemoteError::Setup(err.to_string()))?;
        Ok(Self {
            http,
            allowed_networks,
        })
    }

    /// The peer at `url` below `prefix`, addressed with `token_hash` where a call needs it.
    ///
    /// # Errors
    /// [`RemoteError::Forbidden`] when the URL names an address that must not be called.
    pub fn peer(&self, url: &PeerUrl, prefix: Option<&str>) -> Result<Peer, RemoteError> {
        guard::check_literal(url, &self.allowed_networks)?;
        Ok(Peer::new(
            self.http.clone(),
            url.clone(),
            prefix.map(str::to_owned),
        ))
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
