//! An authority of a test's own, the certificates it signs, and who trusts it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::wait;

/// A connection that is encrypted.
pub type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Signs certificates; nobody trusts it but who is told to.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// A new one.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        let key = KeyPair::generate().expect("a key");
        // Authorities are told apart by their names before their keys.
        let name = format!("authority {:?}", key.public_key_raw());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("an authority"),
        }
    }

    /// Its own certificate, which is to be trusted.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for `names`, hosts or addresses, that is valid now.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for_years(names, 2020, 2090)
    }

    /// As [`Self::issue`], valid from the beginning of one year to that of another.
    pub fn issue_for_years(&self, names: &[&str], from: i32, until: i32) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts it alone, and offers `protocols` in the handshake.
    pub fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("a root");
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let protocols = protocols.iter();
        config.alpn_protocols = protocols.map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }
}

/// Connects to `address`, whose certificate has to name it, and goes through with the handshake.
pub fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<Encrypted> {
    let stream = TcpStream::connect_timeout(&address, wait::LONG)?;
    stream.set_read_timeout(Some(wait::LONG))?;
    stream.set_nodelay(true)?;
    let name = ServerName::from(address.ip());
    let session = ClientConnection::new(Arc::clone(client), name).map_err(io::Error::other)?;
    let mut encrypted = StreamOwned::new(session, stream);
    while encrypted.conn.is_handshaking() {
        encrypted.conn.complete_io(&mut encrypted.sock)?;
    }
    Ok(encrypted)
}
