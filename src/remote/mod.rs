//! The HTTP client of a peer: asks, checks the answer's form, and says what went wrong. Beside it the one that calls
//! an administrator's web address.
//!
//! Knows nothing of runs or of our database. Invariant: an address is checked before it is connected to,
//! redirects are not followed, and no answer is read beyond its limit.

mod catalogue;
mod certificate;
mod error;
mod frames;
mod guard;
mod json_rows;
mod peer;
mod proof;
mod rotation;
mod rows;
mod session;
mod signing;
mod transport;
mod webhook;

pub use error::RemoteError;
pub use json_rows::{JsonEnd, JsonRequest, JsonRows};
pub use peer::{Peer, RegisterRequest, RowsRequest, Verified};
pub use rotation::Rotated;
pub use rows::IncomingRows;
pub use session::{SessionRows, Tallied, ToldTable};

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;

use crate::base::trust;
use crate::config::Outgoing;
use crate::model::url::{PeerUrl, may_cross_openly};
use guard::Links;
use webhook::OwnClients;

/// Calls peers, and web addresses of the administrator's own. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Remote {
    outgoing: Outgoing,
    allowed_networks: Arc<[IpNet]>,
    clients: Arc<ArcSwap<Clients>>,
}

/// One client for each kind of link: which addresses it connects to is decided where it connects.
#[derive(Debug)]
struct Clients {
    encrypted: reqwest::Client,
    private: reqwest::Client,
    own: OwnClients,
}

impl Remote {
    /// A client that goes by `outgoing`, and trusts `authorities` besides the system's.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        outgoing: &Outgoing,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, RemoteError> {
        let allowed_networks: Arc<[IpNet]> = outgoing.allowed_networks.as_slice().into();
        let clients = Clients::new(outgoing, &allowed_networks, authorities)?;
        Ok(Self {
            outgoing: outgoing.clone(),
            allowed_networks,
            clients: Arc::new(ArcSwap::from_pointee(clients)),
        })
    }

    /// Trusts `authorities`, and the system's as they are now, from the next connection on.
    ///
    /// # Errors
    /// When TLS cannot be set up; those trusted before are then trusted still.
    pub fn trust(&self, authorities: &[CertificateDer<'static>]) -> Result<(), RemoteError> {
        let clients = Clients::new(&self.outgoing, &self.allowed_networks, authorities)?;
        self.clients.store(Arc::new(clients));
        Ok(())
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
        let http = self.clients.load().of(url);
        let mut peer = Peer::new(http, url.clone(), prefix.map(str::to_owned));
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
            .all(|address| may_cross_openly(*address, &self.allowed_networks))
        {
            Ok(())
        } else {
            Err(RemoteError::Unencrypted {
                host: url.host().to_owned(),
            })
        }
    }
}

impl Clients {
    fn new(
        outgoing: &Outgoing,
        allowed_networks: &Arc<[IpNet]>,
        authorities: &[CertificateDer<'static>],
    ) -> Result<Self, RemoteError> {
        let setup = |reason: &dyn std::fmt::Display| RemoteError::Setup(reason.to_string());
        let tls = trust::client_config(authorities).map_err(|err| setup(&err))?;
        let client = |links| {
            builder(&tls, outgoing.connect_timeout)
                .https_only(links == Links::Encrypted)
                .read_timeout(outgoing.idle_timeout)
                .dns_resolver(Arc::new(guard::Resolver::new(
                    links,
                    Arc::clone(allowed_networks),
                )))
                .build()
                .map_err(|err| setup(&err))
        };
        Ok(Self {
            encrypted: client(Links::Encrypted)?,
            private: client(Links::Private)?,
            own: OwnClients::new(&tls, allowed_networks, outgoing.connect_timeout)
                .map_err(|err| setup(&err))?,
        })
    }

    fn of(&self, url: &PeerUrl) -> reqwest::Client {
        match Links::of(url) {
            Links::Encrypted => self.encrypted.clone(),
            Links::Private => self.private.clone(),
        }
    }
}

/// What every client has in common: it goes where it is told, by itself, and nowhere else.
fn builder(tls: &ClientConfig, connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .tls_backend_preconfigured(tls.clone())
        .http1_only()
        .connect_timeout(connect_timeout)
        .user_agent(concat!("Evenkeel/", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use super::{Duration, Outgoing, Remote, RemoteError};
    use crate::model::url::PeerUrl;

    fn remote(allowed_networks: &[&str]) -> Remote {
        let second = Duration::from_secs(1);
        let allowed_networks = allowed_networks.iter();
        let outgoing = Outgoing {
            allowed_networks: allowed_networks.map(|net| net.parse().unwrap()).collect(),
            ca_file: None,
            connect_timeout: second,
            idle_timeout: second,
        };
        Remote::new(&outgoing, &[]).unwrap()
    }

    #[tokio::test]
    async fn no_peer_is_called_where_a_token_must_not_cross() {
        let remote = remote(&[]);
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

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_by_the_time_of_the_call_is_not_called_without_tls() {
        // The check before the call is left out, as when the name led to an allowed address then.
        let allowed = remote(&["127.0.0.0/8", "::1/128"]);
        let refused = remote(&[]);
        for (remote, is_refused) in [(&refused, true), (&allowed, false)] {
            let url = PeerUrl::parse("http://localhost:9").unwrap();
            let client = remote.clients.load().of(&url);
            let err = client.get(url.join("/")).send().await.unwrap_err();
            let found = crate::base::cause::first_cause::<RemoteError>(&err);
            assert_eq!(found.is_some(), is_refused, "{err:?}");
        }
        let client = &allowed.clients.load().encrypted;
        let err = client.get("http://localhost:9/").send().await.unwrap_err();
        assert!(err.is_builder(), "{err:?}");
    }
}
