//! From a PostgreSQL URL to how it is connected to, for the site database and for the state.
//!
//! Opens nothing. Invariant: a connection that leaves this machine is encrypted and verified unless the URL says
//! otherwise, and a fault never repeats the URL, which may hold a password.

use std::net::IpAddr;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::{Host, Url};

use crate::model::url::is_loopback;

/// Why text is not the URL of a PostgreSQL database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPostgresUrl {
    /// It is no URL, or one of something else.
    #[error("not a valid postgresql:// URL; write for example postgresql://shop@localhost/shop")]
    Malformed,
    /// The driver does not take one of its parameters.
    #[error("a part of the postgresql:// URL cannot be read, such as an unknown sslmode")]
    Part,
}

/// Reads a URL as <https://www.postgresql.org/docs/current/libpq-connect.html> describes it.
///
/// # Errors
/// [`InvalidPostgresUrl`].
pub fn postgres_options(text: &str) -> Result<PgConnectOptions, InvalidPostgresUrl> {
    let url = Url::parse(text).map_err(|_| InvalidPostgresUrl::Malformed)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err(InvalidPostgresUrl::Malformed);
    }
    let options: PgConnectOptions = text.parse().map_err(|_| InvalidPostgresUrl::Part)?;
    let states_mode = url
        .query_pairs()
        .any(|(key, _)| matches!(&*key, "sslmode" | "ssl-mode"));
    let local = options.get_socket().is_some() || is_local(options.get_host());
    // The driver's own default falls back to plain text in silence.
    Ok(if local || states_mode {
        options
    } else {
        options.ssl_mode(PgSslMode::VerifyFull)
    })
}

/// Whether a connection to `host` stays on this machine.
#[must_use]
pub fn is_local(host: &str) -> bool {
    if host.is_empty() || host.starts_with('/') || host == "localhost" {
        return true;
    }
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    address
        .or_else(|| written_address(host))
        .is_some_and(is_loopback)
}

/// The address in any spelling that the URL standard knows, such as `127.1`.
fn written_address(host: &str) -> Option<IpAddr> {
    match Host::parse(host) {
        Ok(Host::Ipv4(address)) => Some(address.into()),
        Ok(Host::Ipv6(address)) => Some(address.into()),
        Ok(Host::Domain(_)) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::postgres_options;
    use sqlx::postgres::PgSslMode;

    #[test]
    fn off_host_connections_are_verified_unless_the_url_says_otherwise() {
        for (url, verified) in [
            ("postgresql://u:p@db.example.com/shop", true),
            ("postgres://u@10.0.0.7:5433/shop", true),
            ("postgres://u@[2001:db8::1]/shop", true),
            ("postgresql://u@db.example.com/shop?sslmode=disable", false),
            ("postgresql://u@localhost/shop", false),
            ("postgresql://u@127.0.0.1:5432/shop", false),
            ("postgresql://u@[::1]/shop", false),
            ("postgresql://u@%2Fvar%2Frun%2Fpostgresql/shop", false),
            ("postgresql:///shop?host=/var/run/postgresql", false),
        ] {
            let mode = postgres_options(url).unwrap().get_ssl_mode();
            assert_eq!(matches!(mode, PgSslMode::VerifyFull), verified, "{url}");
        }
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_its_password() {
        for url in [
            "mysql://u:hunter2@h/d",
            "nonsense hunter2",
            "postgres://u:hunter2@h/d?sslmode=hunter2",
        ] {
            let message = postgres_options(url).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
