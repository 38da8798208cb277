//! Where a request comes from, a network address or a process on this machine, and whether others could read it.
//!
//! Decides nothing about rights (`auth.rs` does). Invariants: a header counts only from a proxy the operator named;
//! what could carry a token is served only over links on which a token may cross.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;

use crate::api::Audience;
use crate::api::problem::Problem;
use crate::model::url::{is_loopback, may_cross_openly};
use crate::sync::Ctx;

/// The network address a request came from; behind a trusted proxy, the one the proxy saw. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerAddress(pub IpAddr);

/// The process at the other end of a Unix socket, as the kernel names it. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerProcess {
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}

/// Whether a connection by network is encrypted. A request extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// By TLS, which ends here.
    Encrypted,
    /// Not on its way to this listener; before a proxy it may have been.
    Open,
}

/// What answers everybody and takes no secret; `status` below every prefix.
const WITHOUT_SECRETS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
const STATUS: &str = "/sync/api/status";

/// Refuses what came over plain HTTP from elsewhere than this machine, a trusted proxy or a network that the
/// administrator named: a token in it could be read on the way.
pub(super) async fn refuse_open_links(
    State((ctx, audience)): State<(Arc<Ctx>, Audience)>,
    request: Request,
    next: Next,
) -> Response {
    let extensions = request.extensions();
    let (link, sender) = (extensions.get::<Link>(), extensions.get::<CallerAddress>());
    if let (Some(Link::Open), Some(&CallerAddress(sender))) = (link, sender)
        && !takes_no_secret(request.uri().path())
        && !may_send_openly(
            sender,
            [
                &ctx.config.server.trusted_proxies,
                &ctx.config.outgoing.allowed_networks,
            ],
        )
    {
        let words = format!(
            "plain HTTP from {} is not served, because a token could be read on the way; call the https URL of this site",
            sender.to_canonical()
        );
        return audience.refusal(StatusCode::FORBIDDEN, &words);
    }
    next.run(request).await
}

fn takes_no_secret(path: &str) -> bool {
    WITHOUT_SECRETS.contains(&path) || path.ends_with(STATUS)
}

fn may_send_openly(sender: IpAddr, named: [&[IpNet]; 2]) -> bool {
    named
        .iter()
        .any(|networks| may_cross_openly(sender, networks))
}

/// Replaces a trusted proxy's address by that of whom it stands for.
pub(super) async fn see_through_proxies(
    State(ctx): State<Arc<Ctx>>,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(&CallerAddress(proxy)) = request.extensions().get() {
        let address = origin(proxy, request.headers(), &ctx.config.server.trusted_proxies);
        request.extensions_mut().insert(CallerAddress(address));
    }
    next.run(request).await
}

/// Refuses requests over TCP whose `Host` is none of ours: a web page cannot reach the admin API by rebinding its name.
pub(super) async fn check_host(
    State(ctx): State<Arc<Ctx>>,
    request: Request,
    next: Next,
) -> Response {
    let over_tcp = request.extensions().get::<CallerAddress>().is_some();
    let listen = ctx.config.admin.listen.map(|address| address.ip());
    let site = ctx.config.site.url.host();
    let wrong = hosts(&request).find(|host| !is_own_host(host, listen, site));
    if let (true, Some(host)) = (over_tcp, wrong) {
        return Problem::forbidden(format!("`{host}` is not a name of this listener"))
            .with_hint("call it by its address, as localhost, or by the host of site.url")
            .into_response();
    }
    next.run(request).await
}

/// Whom a request says it is for: HTTP/2 says so in its URI, HTTP/1 in a header. Both count; none counts as empty.
fn hosts(request: &Request) -> impl Iterator<Item = &str> {
    let authority = request.uri().authority().map(Authority::as_str);
    let header = request
        .headers()
        .get(HOST)
        .map(|value| value.to_str().unwrap_or_default());
    let neither = authority.or(header).is_none().then_some("");
    authority.into_iter().chain(header).chain(neither)
}

/// The right-most address of `X-Forwarded-For` that is no trusted proxy.
fn origin(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut address = peer.to_canonical();
    let chain: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    for hop in chain.into_iter().rev() {
        if !trusted.iter().any(|network| network.contains(&address)) {
            break;
        }
        // What a trusted proxy did not write as an address says nothing about anybody.
        let Ok(next) = hop.trim().parse::<IpAddr>() else {
            break;
        };
        address = next.to_canonical();
    }
    address
}

fn is_own_host(host: &str, listen: Option<IpAddr>, site: &str) -> bool {
    let name = without_port(host);
    if let Ok(address) = name.parse::<IpAddr>() {
        // Rebinding needs a name: an address can only be this machine's own.
        return is_loopback(address)
            || listen.is_some_and(|listen| listen.is_unspecified() || listen == address);
    }
    name.eq_ignore_ascii_case("localhost") || name.eq_ignore_ascii_case(site)
}

fn without_port(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    host.split_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::{
        HeaderMap, IpAddr, IpNet, Request, hosts, is_own_host, may_send_openly, origin,
        takes_no_secret,
    };
    use axum::body::Body;

    #[test]
    fn a_request_is_for_whom_its_uri_and_its_header_say() {
        for (uri, header, expected) in [
            ("/x", Some("a"), &["a"][..]),
            ("https://b/x", None, &["b"]),
            ("https://b:1/x", Some("a"), &["b:1", "a"]),
            ("/x", None, &[""]),
        ] {
            let mut request = Request::builder().uri(uri);
            if let Some(header) = header {
                request = request.header("host", header);
            }
            let request = request.body(Body::empty()).unwrap();
            assert_eq!(hosts(&request).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn plain_http_is_served_where_nobody_else_can_read_it() {
        let proxies: Vec<IpNet> = vec!["203.0.113.7/32".parse().unwrap()];
        let named: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        for (sender, served) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("::1", true),
            ("203.0.113.7", true),
            ("203.0.113.8", false),
            ("::ffff:10.1.1.1", true),
            ("192.168.1.1", false),
            ("2001:db8::1", false),
        ] {
            let sender = sender.parse().unwrap();
            assert_eq!(
                may_send_openly(sender, [&proxies, &named]),
                served,
                "{sender}"
            );
        }
        for (path, open) in [
            ("/healthz", true),
            ("/phoenix_kit/sync/api/status", true),
            ("/sync/api/register-connection", false),
            ("/api/v1/site", false),
            ("/healthz/", false),
        ] {
            assert_eq!(takes_no_secret(path), open, "{path}");
        }
    }

    #[test]
    fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let cases = [
            ("nobody forwarded", "10.0.0.1", None, "10.0.0.1"),
            ("a stranger claims", "9.9.9.9", Some("1.2.3.4"), "9.9.9.9"),
            ("one proxy", "10.0.0.1", Some("1.2.3.4"), "1.2.3.4"),
            (
                "a forged head",
                "10.0.0.1",
                Some("8.8.8.8, 1.2.3.4"),
                "1.2.3.4",
            ),
            (
                "two proxies",
                "10.0.0.1",
                Some("1.2.3.4, 10.0.0.2"),
                "1.2.3.4",
            ),
            (
                "only proxies",
                "10.0.0.1",
                Some("10.0.0.3, 10.0.0.2"),
                "10.0.0.3",
            ),
            ("nonsense", "10.0.0.1", Some("1.2.3.4, unknown"), "10.0.0.1"),
            (
                "a mapped proxy",
                "::ffff:10.0.0.1",
                Some("1.2.3.4"),
                "1.2.3.4",
            ),
        ];
        for (name, peer, forwarded, expected) in cases {
            let mut headers = HeaderMap::new();
            if let Some(forwarded) = forwarded {
                headers.insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(
                origin(peer.parse().unwrap(), &headers, &trusted),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn only_this_listeners_own_names_are_answered() {
        let listen: Option<IpAddr> = Some("192.168.1.5".parse().unwrap());
        for host in [
            "localhost:7441",
            "LOCALHOST",
            "127.0.0.1:7441",
            "[::1]:7441",
            "192.168.1.5:7441",
            "hq.example.com",
        ] {
            assert!(is_own_host(host, listen, "hq.example.com"), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:7441",
            "192.168.1.6",
            "localhost.evil.example",
            "[::1",
        ] {
            assert!(!is_own_host(host, listen, "hq.example.com"), "{host}");
        }
        let everywhere: Option<IpAddr> = Some("0.0.0.0".parse().unwrap());
        assert!(is_own_host("203.0.113.7:7441", everywhere, "hq"));
        assert!(!is_own_host("evil.example", everywhere, "hq"));
    }
}
