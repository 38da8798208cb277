//! From a MySQL or MariaDB URL to how it is connected to.
//!
//! Opens nothing. Invariant: a connection that leaves this machine is encrypted and verified unless the URL says
//! otherwise, none falls back to plain text in silence, and a fault never repeats the URL, which may hold a password.

use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use url::Url;

use crate::config::postgres::is_local;

/// The parameters a URL may have; whatever else decides about a session is the engine's.
const PARAMETERS: [&str; 9] = [
    "ssl-mode", "sslmode", "ssl-ca", "sslca", "ssl-cert", "sslcert", "ssl-key", "sslkey", "socket",
];

/// Why text is not the URL of a MySQL or MariaDB database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMysqlUrl {
    /// It is no URL, or one of something else.
    #[error("not a valid mysql:// URL; write for example mysql://shop@localhost/shop")]
    Malformed,
    /// It names no database.
    #[error("names no database; write for example mysql://shop@localhost/shop")]
    NoDatabase,
    /// A parameter is unknown, or has a value that is none of the possible.
    #[error(
        "a parameter of the mysql:// URL cannot be read; there are ssl-mode (DISABLED, REQUIRED, VERIFY_CA, \
         VERIFY_IDENTITY), ssl-ca, ssl-cert, ssl-key and socket"
    )]
    Parameter,
    /// It would send passwords and rows in plain text when the other side offers nothing better.
    #[error(
        "ssl-mode=PREFERRED falls back to plain text in silence; write VERIFY_IDENTITY, or DISABLED if that is meant"
    )]
    FallsBack,
}

/// Reads `mysql://user:password@host:port/database?parameters`; `mariadb://` means the same.
///
/// # Errors
/// [`InvalidMysqlUrl`].
pub fn mysql_options(text: &str) -> Result<MySqlConnectOptions, InvalidMysqlUrl> {
    let url = Url::parse(text).map_err(|_| InvalidMysqlUrl::Malformed)?;
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        return Err(InvalidMysqlUrl::Malformed);
    }
    if url
        .query_pairs()
        .any(|(key, _)| !PARAMETERS.contains(&&*key))
    {
        return Err(InvalidMysqlUrl::Parameter);
    }
    let options: MySqlConnectOptions = text.parse().map_err(|_| InvalidMysqlUrl::Parameter)?;
    if options.get_database().is_none() {
        return Err(InvalidMysqlUrl::NoDatabase);
    }
    let local = options.get_socket().is_some() || is_local(options.get_host());
    let states_mode = url
        .query_pairs()
        .any(|(key, _)| matches!(&*key, "sslmode" | "ssl-mode"));
    match options.get_ssl_mode() {
        // Nobody listens in on this machine: encryption is only what some logins ask for.
        _ if local => Ok(options),
        MySqlSslMode::Preferred if states_mode => Err(InvalidMysqlUrl::FallsBack),
        MySqlSslMode::Preferred => Ok(options.ssl_mode(MySqlSslMode::VerifyIdentity)),
        _ => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidMysqlUrl, mysql_options};
    use sqlx::mysql::MySqlSslMode;

    #[test]
    fn off_host_connections_are_verified_unless_the_url_says_otherwise() {
        for (url, verified) in [
            ("mysql://u:p@db.example.com/shop", true),
            ("mariadb://u@10.0.0.7:3307/shop", true),
            ("mysql://u@[2001:db8::1]/shop", true),
            ("mysql://u@db.example.com/shop?ssl-ca=/etc/ca.pem", true),
            ("mysql://u@db.example.com/shop?ssl-mode=DISABLED", false),
            ("mysql://u@db.example.com/shop?ssl-mode=VERIFY_CA", false),
            ("mysql://u@localhost/shop", false),
            ("mysql://u@127.0.0.1:3306/shop", false),
            ("mysql://u@[::1]/shop", false),
            ("mysql://u@localhost/shop?ssl-mode=PREFERRED", false),
            ("mysql://u@x/shop?socket=/run/mysqld/mysqld.sock", false),
        ] {
            let mode = mysql_options(url).unwrap().get_ssl_mode();
            assert_eq!(
                matches!(mode, MySqlSslMode::VerifyIdentity),
                verified,
                "{url}"
            );
        }
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_repeating_its_password() {
        for (url, expected) in [
            ("postgresql://u:hunter2@h/d", InvalidMysqlUrl::Malformed),
            ("nonsense hunter2", InvalidMysqlUrl::Malformed),
            ("mysql://u:hunter2@h", InvalidMysqlUrl::NoDatabase),
            ("mysql://u:hunter2@h/", InvalidMysqlUrl::NoDatabase),
            (
                "mysql://u:hunter2@h/d?ssl-mode=hunter2",
                InvalidMysqlUrl::Parameter,
            ),
            (
                "mysql://u:hunter2@h/d?charset=latin1",
                InvalidMysqlUrl::Parameter,
            ),
            (
                "mysql://u:hunter2@h/d?ssl-mode=PREFERRED",
                InvalidMysqlUrl::FallsBack,
            ),
        ] {
            let err = mysql_options(url).unwrap_err();
            assert_eq!(err, expected, "{url}");
            assert!(!err.to_string().contains("hunter2"), "{err}");
        }
    }
}
