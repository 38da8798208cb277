//! Posts JSON to a web address of the administrator's own.
//!
//! The address comes from the settings alone, so it may lie in any network; a public one must be https, because such
//! an address is often a password itself. Invariant: it is never logged or returned beyond its host, no redirect is
//! followed, and no answer is read.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::ClientConfig;
use serde::Serialize;
use url::{Host, Url};

use crate::base::cause::{first_cause, last_cause};
use crate::base::secret::Secret;
use crate::model::url::may_call;
use crate::remote::error::RemoteError;
use crate::remote::{Remote, builder};

/// The clients for such addresses.
#[derive(Debug)]
pub(super) struct OwnClients {
    encrypted: reqwest::Client,
    nearby: reqwest::Client,
}

impl OwnClients {
    /// They trust what `tls` does; without it they call private addresses, loopback, and `allowed_networks` only.
    pub(super) fn new(
        tls: &ClientConfig,
        allowed_networks: &Arc<[IpNet]>,
        connect_timeout: Duration,
    ) -> Result<Self, reqwest::Error> {
        let builder = || builder(tls, connect_timeout);
        let allowed_networks = Arc::clone(allowed_networks);
        Ok(Self {
            encrypted: builder().https_only(true).build()?,
            nearby: builder()
                .dns_resolver(Arc::new(Nearby { allowed_networks }))
                .build()?,
        })
    }
}

impl Remote {
    /// Posts `body` to `url`, a web address of the administrator's own; any 2xx within `limit` is well.
    ///
    /// # Errors
    /// [`RemoteError::Setup`] when `url` is none, [`RemoteError::Unencrypted`], [`RemoteError::Unreachable`] or
    /// [`RemoteError::Refused`].
    pub async fn post(
        &self,
        url: &Secret<String>,
        body: &impl Serialize,
        limit: Duration,
    ) -> Result<(), RemoteError> {
        let url = Url::parse(url.expose()).map_err(|err| RemoteError::Setup(err.to_string()))?;
        let host = || url.host_str().unwrap_or_default().to_owned();
        let client = self.own_client(&url)?;
        let answer = client.post(url.clone()).json(body).timeout(limit).send();
        let answer = answer.await.map_err(|err| match first_cause(&err) {
            Some(err) => RemoteError::clone(err),
            None => RemoteError::Unreachable {
                host: host(),
                reason: last_cause(&err.without_url()),
            },
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        Err(RemoteError::Refused {
            host: host(),
            status: status.as_u16(),
            message: format!("HTTP status {status}"),
            code: None,
            retry_after: None,
        })
    }

    fn own_client(&self, url: &Url) -> Result<reqwest::Client, RemoteError> {
        let own = &self.clients.load().own;
        if url.scheme() == "https" {
            return Ok(own.encrypted.clone());
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
            Some(Host::Domain(_)) | None => None,
        };
        // A host written as an address is not resolved.
        if literal.is_some_and(|address| !is_nearby(address, &self.allowed_networks)) {
            return Err(RemoteError::Unencrypted {
                host: url.host_str().unwrap_or_default().to_owned(),
            });
        }
        Ok(own.nearby.clone())
    }
}

/// Resolves names to the addresses that may be called without encryption.
struct Nearby {
    allowed_networks: Arc<[IpNet]>,
}

impl Resolve for Nearby {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed_networks = Arc::clone(&self.allowed_networks);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let near: Vec<SocketAddr> = found
                .filter(|address| is_nearby(address.ip(), &allowed_networks))
                .collect();
            if near.is_empty() {
                return Err(Box::new(RemoteError::Unencrypted { host }).into());
            }
            let addresses: Addrs = Box::new(near.into_iter());
            Ok(addresses)
        })
    }
}

/// Whether what goes to `address` stays in networks of the administrator's own.
fn is_nearby(address: IpAddr, allowed_networks: &[IpNet]) -> bool {
    let named = allowed_networks
        .iter()
        .any(|network| network.contains(&address));
    named || !may_call(address, &[])
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::{Remote, RemoteError, Secret};
    use crate::config::Outgoing;

    async fn post(url: &str) -> Result<(), RemoteError> {
        let long = Duration::from_secs(60);
        let outgoing = Outgoing {
            allowed_networks: Vec::new(),
            ca_file: None,
            connect_timeout: long,
            idle_timeout: long,
        };
        let (remote, url) = (Remote::new(&outgoing, &[]), Secret::new(url.to_owned()));
        let body = serde_json::json!({"event": "x"});
        remote.unwrap().post(&url, &body, long).await
    }

    /// Answers one request with `status`; the address with a secret in its path, and what it was sent.
    fn answering(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook/hunter2", listener.local_addr().unwrap());
        let heard = std::thread::spawn(move || {
            let mut client = listener.accept().unwrap().0;
            let mut heard = String::new();
            let mut buffer = [0; 4096];
            while !heard.ends_with('}') {
                let read = client.read(&mut buffer).unwrap();
                heard.push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
            write!(
                client,
                "HTTP/1.1 {status}\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
            )
            .unwrap();
            heard
        });
        (url, heard)
    }

    #[tokio::test]
    async fn json_is_posted_and_only_success_is_well() {
        let (url, heard) = answering("204 No Content");
        post(&url).await.unwrap();
        let heard = heard.join().unwrap();
        assert!(heard.starts_with("POST /hook/hunter2 HTTP/1.1"), "{heard}");
        assert!(heard.contains("content-type: application/json"), "{heard}");
        assert!(heard.ends_with("{\"event\":\"x\"}"), "{heard}");
        for (status, code) in [("302 Found", "302"), ("500 Oops", "500")] {
            let refused = post(&answering(status).0).await.unwrap_err().to_string();
            assert!(refused.contains(code), "{refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }

    #[tokio::test]
    async fn an_address_that_may_be_a_password_does_not_go_to_strangers_in_clear() {
        let far = post("http://93.184.216.34/hunter2").await.unwrap_err();
        assert!(matches!(far, RemoteError::Unencrypted { .. }), "{far}");
        let closed = post("http://127.0.0.1:1/hunter2").await.unwrap_err();
        assert!(
            matches!(closed, RemoteError::Unreachable { .. }),
            "{closed}"
        );
        assert!(!closed.to_string().contains("hunter2"), "{closed}");
        let named = post("http://localhost:1/hunter2").await.unwrap_err();
        assert!(matches!(named, RemoteError::Unreachable { .. }), "{named}");
    }
}
