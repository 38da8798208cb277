//! A daemon named by its URL: whether a token may cross to it, and who may vouch for it.
//!
//! Invariant: a token goes over https, to this machine, or into a network that the settings name.

use std::net::{IpAddr, ToSocketAddrs as _};
use std::path::Path;

use url::{Host, Url};

use crate::base::certificate::authorities;
use crate::base::secret::Secret;
use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::model::url::may_cross_openly;

/// The way to the daemon at `server` with `token`. `config` may name networks into which it may cross openly,
/// `ca_file` holds authorities besides the system's.
pub(super) fn client(
    server: &str,
    token: Option<Secret<String>>,
    config: Option<&Path>,
    ca_file: Option<&Path>,
) -> anyhow::Result<Client> {
    let server = Url::parse(server)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| {
            Failure::usage(format!(
                "`{server}` is not the URL of a daemon, such as http://127.0.0.1:7441"
            ))
        })?;
    if token.is_some() && server.scheme() == "http" {
        let allowed = crate::config::allowed_networks(config);
        if !addresses(&server)?
            .iter()
            .all(|address| may_cross_openly(*address, &allowed))
        {
            return Err(Failure::refused(format!(
                "{server} is plain HTTP, where the token could be read on the way; use https (admin.tls), a tunnel to loopback, or name its network in outgoing.allowed_networks"
            ))
            .into());
        }
    }
    let authorities = match ca_file {
        Some(file) => authorities(file).map_err(|err| Failure::usage(err.to_string()))?,
        None => Vec::new(),
    };
    Client::over_http(&server, token, &authorities)
}

fn addresses(server: &Url) -> anyhow::Result<Vec<IpAddr>> {
    Ok(match server.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => (name, 0)
            .to_socket_addrs()
            .map_err(|err| Failure::unreachable(format!("{name} cannot be found: {err}")))?
            .map(|address| address.ip())
            .collect(),
        None => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::{addresses, may_cross_openly};

    #[test]
    fn a_token_may_cross_to_this_machine_and_into_named_networks_only() {
        let allowed = ["10.0.0.0/8".parse().unwrap()];
        for (server, expected) in [
            ("http://127.0.0.1:7441", true),
            ("http://[::1]:7441", true),
            ("http://localhost:7441", true),
            ("http://10.1.2.3", true),
            ("http://192.168.1.5:7441", false),
            ("http://93.184.216.34", false),
        ] {
            let found = addresses(&server.parse().unwrap()).unwrap();
            let private = found
                .iter()
                .all(|address| may_cross_openly(*address, &allowed));
            assert_eq!(private, expected, "{server}");
        }
    }
}
