//! Which addresses are called: every resolved one is checked, and only checked ones are connected to.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::model::url::{PeerUrl, is_loopback, may_call};
use crate::remote::error::RemoteError;

/// Resolves names to the addresses that may be called.
pub(super) struct Resolver {
    allowed_networks: Arc<[IpNet]>,
}

impl Resolver {
    pub(super) fn new(allowed_networks: Arc<[IpNet]>) -> Self {
        Self { allowed_networks }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed_networks = Arc::clone(&self.allowed_networks);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let checked: Vec<SocketAddr> = found
                .filter(|address| may_call(address.ip(), &allowed_networks))
                .collect();
            if checked.is_empty() {
                return Err(Box::new(RemoteError::Forbidden { host }).into());
            }
            let addresses: Addrs = Box::new(checked.into_iter());
            Ok(addresses)
        })
    }
}

/// Checks a host written as an address; the resolver is not asked for those.
pub(super) fn check_literal(url: &PeerUrl, allowed_networks: &[IpNet]) -> Result<(), RemoteError> {
    match url.address() {
        Some(address) if !may_call(address, allowed_networks) => Err(RemoteError::Forbidden {
            host: url.host().to_owned(),
        }),
        _ => Ok(()),
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

/// Whether a link to `address` is this machine's own or in a network the administrator named.
pub(super) fn is_private_link(address: IpAddr, allowed_networks: &[IpNet]) -> bool {
    is_loopback(address)
        || allowed_networks
            .iter()
            .any(|network| network.contains(&address))
}
