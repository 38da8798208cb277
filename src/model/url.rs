//! A peer's URL, and which network addresses may be called.
//!
//! Invariant: a [`PeerUrl`] is http or https with a host, without credentials, query or fragment.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

/// The address a site gives to its peers, normalised (RFC 3986 section 6.2): case of host, default port, trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerUrl(Url);

/// Why text is not a peer's URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says it")]
pub enum InvalidPeerUrl {
    #[error("`{}` is not a URL; write for example https://hq.example.com", .0.escape_debug())]
    Malformed(String),
    #[error("the URL must begin with https:// or http://")]
    Scheme,
    #[error("the URL must not carry a user name or password")]
    Credentials,
    #[error("the URL must not carry a query or fragment")]
    Extra,
}

impl PeerUrl {
    /// Reads `text`.
    ///
    /// # Errors
    /// Which part is not allowed.
    pub fn parse(text: &str) -> Result<Self, InvalidPeerUrl> {
        let mut url =
            Url::parse(text.trim()).map_err(|_| InvalidPeerUrl::Malformed(text.to_owned()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidPeerUrl::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidPeerUrl::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidPeerUrl::Extra);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    /// The URL of `path` (which begins with a slash) below this one.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{self}{path}")
    }

    /// Whether it is https.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The host as text, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0
            .host_str()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
    }

    /// The port, given or the scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(443)
    }

    /// The address, when the host is written as one. The URL standard reads `127.1` and `0x7f000001` as addresses too.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
            Host::Domain(_) => None,
        }
    }
}

impl fmt::Display for PeerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// Whether a daemon may call `address`: any public one, and what the administrator named.
#[must_use]
pub fn may_call(address: IpAddr, allowed_networks: &[IpNet]) -> bool {
    let address = match address {
        IpAddr::V6(six) => six.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    };
    allowed_networks
        .iter()
        .any(|network| network.contains(&address))
        || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, _] = four.octets();
            !(four.is_loopback()
                || four.is_private()
                || four.is_link_local()
                || four.is_multicast()
                || four.is_broadcast()
                || four.is_documentation()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(six) => {
            let head = six.segments()[0];
            // Global unicast is 2000::/3; 6to4 and Teredo inside it can name private IPv4 addresses.
            let teredo = head == 0x2001 && six.segments()[1] == 0;
            let documentation = head == 0x2001 && six.segments()[1] == 0x0db8;
            (0x2000..0x4000).contains(&head) && head != 0x2002 && !teredo && !documentation
        }
    }
}

/// Whether what a link to or from `address` carries may cross it unencrypted: it never leaves this machine or the
/// networks that the administrator named.
#[must_use]
pub fn may_cross_openly(address: IpAddr, named_networks: &[IpNet]) -> bool {
    let address = address.to_canonical();
    is_loopback(address)
        || named_networks
            .iter()
            .any(|network| network.contains(&address))
}

/// Whether `address` is this machine.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(four) => four.is_loopback(),
        IpAddr::V6(six) => {
            six.is_loopback() || six.to_ipv4_mapped().is_some_and(|four| four.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use ipnet::IpNet;

    use super::{PeerUrl, may_call};

    #[test]
    fn urls_are_compared_normalised() {
        let one = PeerUrl::parse("HTTPS://HQ.Example.com:443/shop/").unwrap();
        assert_eq!(one, PeerUrl::parse("https://hq.example.com/shop").unwrap());
        assert_eq!(one.to_string(), "https://hq.example.com/shop");
        assert_eq!(
            PeerUrl::parse("http://a/")
                .unwrap()
                .join("/sync/api/status"),
            "http://a/sync/api/status"
        );
    }

    #[test]
    fn what_is_no_plain_web_address_is_refused() {
        for text in [
            "",
            "hq",
            "ftp://a",
            "file:///etc/passwd",
            "https://u:p@a",
            "https://a?b=c",
            "https://a#b",
            "https://",
        ] {
            assert!(PeerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn private_addresses_are_not_called_in_any_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[::ffff:10.0.0.1]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
            "[2002:7f00:1::]",
            "[64:ff9b::a00:1]",
        ] {
            let url = PeerUrl::parse(&format!("http://{host}/")).unwrap();
            assert!(!may_call(url.address().unwrap(), &[]), "{host}");
        }
        for host in ["93.184.216.34", "[2606:2800:220:1::1]"] {
            let url = PeerUrl::parse(&format!("http://{host}/")).unwrap();
            assert!(may_call(url.address().unwrap(), &[]), "{host}");
        }
        let loopback: IpNet = "127.0.0.0/8".parse().unwrap();
        assert!(may_call("127.0.0.1".parse().unwrap(), &[loopback]));
        assert!(may_call("::ffff:127.0.0.1".parse().unwrap(), &[loopback]));
    }
}
