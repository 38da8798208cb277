//! Whom this machine trusts when it calls somebody over TLS: the system's authorities and those the operator named.
//!
//! The system's are found where OpenSSL looks for them, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// The cryptography of every TLS connection.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// TLS 1.2 and 1.3 towards servers whose certificate leads to an authority of the system or to one of `authorities`.
/// A system without authorities is no error: every server is then refused that `authorities` do not vouch for.
///
/// # Errors
/// When one of `authorities` cannot be one.
pub fn client_config(
    authorities: &[CertificateDer<'static>],
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for err in &found.errors {
        tracing::warn!(%err, "an authority of the system cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    trusting(roots)
}

/// As [`client_config`], for calls that never use TLS: nobody is trusted.
///
/// # Errors
/// As [`client_config`]; never in practice.
pub fn without_authorities() -> Result<ClientConfig, rustls::Error> {
    trusting(RootCertStore::empty())
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
