//! Which addresses are called: every resolved one is checked, and only checked ones are connected to. Without TLS these
//! are fewer: a name that leads elsewhere by the time of the call is not called.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::model::url::{PeerUrl, may_call, may_cross_openly};
use crate::remote::error::RemoteError;

/// Which links a client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// Encrypted, to whatever may be called at all.
    Encrypted,
    /// Not encrypted, so only where nobody else can listen.
    Private,
}

impl Links {
    /// Those of the client for `url`.
    pub(super) fn of(url: &PeerUrl) -> Self {
        if url.is_encrypted() {
            Self::Encrypted
        } else {
            Self::Private
        }
    }

    fn check(
        self,
        host: &str,
        address: IpAddr,
        allowed_networks: &[IpNet],
    ) -> Result<(), RemoteError> {
        let host = || host.to_owned();
        if !may_call(address, allowed_networks) {
            return Err(RemoteError::Forbidden { host: host() });
        }
        if self == Self::Private && !may_cross_openly(address, allowed_networks) {
            return Err(RemoteError::Unencrypted { host: host() });
        }
        Ok(())
    }
}

/// Resolves names to the addresses that may be called.
pub(super) struct Resolver {
    links: Links,
    allowed_networks: Arc<[IpNet]>,
}

impl Resolver {
    pub(super) fn new(links: Links, allowed_networks: Arc<[IpNet]>) -> Self {
        Self {
            links,
            allowed_networks,
        }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (links, allowed_networks) = (self.links, Arc::clone(&self.allowed_networks));
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let check = |address: &SocketAddr| links.check(&host, address.ip(), &allowed_networks);
            let refusal = found.iter().find_map(|address| check(address).err());
            let checked: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| check(address).is_ok())
                .collect();
            if let Some(refusal) = refusal.filter(|_| checked.is_empty()) {
                return Err(refusal.into());
            }
            let addresses: Addrs = Box::new(checked.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks a host written as an address; the resolver is not asked for those.
pub(super) fn check_literal(url: &PeerUrl, allowed_networks: &[IpNet]) -> Result<(), RemoteError> {
    match url.address() {
        Some(address) => Links::of(url).check(url.host(), address, allowed_networks),
        None => Ok(()),
    }
}

/// The addresses of a URL's host.
pub(super) async fn addresses(url: &PeerUrl) -> Result<Vec<IpAddr>, RemoteError> {
    if let Some(address) = url.address() {
        return Ok(vec![address]);
    }
    let found = tokio::net::lookup_host((url.host(), url.port()))
        .await
        .map_err(|err| RemoteError::Unreachable {
            host: url.host().to_owned(),
            reason: err.to_string(),
        })?;
    Ok(found.map(|address| address.ip()).collect())
}
