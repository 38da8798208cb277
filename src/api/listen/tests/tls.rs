//! The handshake: what is agreed on in it, how long it may take, and which certificate it shows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Limits, Listening, Router, Terms, hello, limits, rest, terms};
use crate::api::acceptor;
use crate::base::certificate::{Certificate, CertificateFiles, LiveCertificate};
use crate::testing::tls::{Authority, Issued};

const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// A listener with TLS, and the authority that signed its certificate.
pub(super) struct Encrypted {
    pub(super) authority: Authority,
    certificate: Arc<LiveCertificate>,
    pub(super) listening: Listening,
}

impl Encrypted {
    pub(super) async fn start(router: Router, terms: Terms) -> Self {
        let authority = Authority::new();
        let certificate = Arc::new(LiveCertificate::new(loaded(&issued(&authority))));
        let tls = Some(acceptor(Arc::clone(&certificate)).unwrap());
        let listening = Listening::start(router, Terms { tls, ..terms }).await;
        Self {
            authority,
            certificate,
            listening,
        }
    }

    /// A connection that offered `protocols`.
    pub(super) async fn connect(
        &self,
        protocols: &[&str],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.authority.client(protocols));
        let name = ServerName::from(self.listening.address.ip());
        connector
            .connect(name, self.listening.connect().await)
            .await
    }
}

fn issued(authority: &Authority) -> Issued {
    authority.issue(&["127.0.0.1"])
}

fn loaded(issued: &Issued) -> Certificate {
    let folder = tempfile::tempdir().unwrap();
    let files = CertificateFiles {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&files.certificate, &issued.certificate).unwrap();
    std::fs::write(&files.key, &issued.key).unwrap();
    files.load().unwrap()
}

#[tokio::test]
async fn the_protocol_is_what_both_sides_agree_on_in_the_handshake() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut stream = encrypted.connect(offered).await.unwrap();
        let found = stream.get_ref().1.alpn_protocol();
        assert_eq!(found, agreed.map(str::as_bytes), "{offered:?}");
        if agreed != Some("h2") {
            stream.write_all(CLOSING).await.unwrap();
            assert!(rest(&mut stream).await.ends_with("hello"));
        }
    }
    assert!(encrypted.connect(&["spdy/3"]).await.is_err());
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_and_its_slot_is_free_again() {
    let bounds = Limits {
        header_timeout: Duration::from_millis(200),
        ..limits()
    };
    let terms = Terms {
        max_connections: 1,
        ..terms(bounds)
    };
    let encrypted = Encrypted::start(hello(), terms).await;
    // Nothing at all, and the beginning of a record that says it goes on.
    for begun in [&[][..], &[0x16, 3, 1, 2, 0, 1]] {
        let mut slow = encrypted.listening.connect().await;
        slow.write_all(begun).await.unwrap();
        assert_eq!(rest(&mut encrypted.listening.connect().await).await, "");
        rest(&mut slow).await;
        let waiting = Instant::now();
        while encrypted.connect(&[]).await.is_err() {
            assert!(
                waiting.elapsed() < super::LONG,
                "the slot is not free again"
            );
        }
    }
    encrypted.listening.end().await;
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_by_nothing_that_could_be_mistaken_for_http() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    let mut plain = encrypted.listening.connect().await;
    plain.write_all(CLOSING).await.unwrap();
    assert!(!rest(&mut plain).await.contains("HTTP"));
    encrypted.listening.end().await;
}

#[tokio::test]
async fn a_replaced_certificate_is_seen_by_the_next_handshake_and_open_connections_go_on() {
    let encrypted = Encrypted::start(hello(), terms(limits())).await;
    let mut open = encrypted.connect(&[]).await.unwrap();
    let renewed = issued(&encrypted.authority);
    encrypted.certificate.replace(loaded(&renewed));
    let own = CertificateDer::from_pem_slice(renewed.certificate.as_bytes()).unwrap();
    // The same client as before, which could take up its old session if it were allowed to.
    for _ in 0..2 {
        let stream = encrypted.connect(&[]).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        assert_eq!(shown.first(), Some(&own));
    }
    open.write_all(CLOSING).await.unwrap();
    assert!(rest(&mut open).await.ends_with("hello"));
    encrypted.listening.end().await;
}
