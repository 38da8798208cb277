//! TLS on a listener: which protocols are offered, and with which certificate.
//!
//! Invariant: a certificate that was replaced is shown to nobody any more; a new connection never takes up an old one's
//! secrets (RFC 8446 section 2.2), so that it always sees the certificate of its own time.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio_rustls::TlsAcceptor;

use crate::base::certificate::LiveCertificate;
use crate::base::trust::provider;

/// The name of HTTP/2 in ALPN (RFC 9113 section 3.1).
pub(super) const HTTP_2: &[u8] = b"h2";

/// TLS 1.2 and 1.3 with what `certificate` shows at the time of each handshake; HTTP/2 where the caller takes it.
///
/// # Errors
/// Never in practice: what this program offers does not depend on settings.
pub fn acceptor(certificate: Arc<LiveCertificate>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
