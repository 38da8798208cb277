//! Sites that speak TLS, with certificates of an authority of the test's own.

use std::net::SocketAddr;

use super::daemon::{Site, SiteBuilder};
use super::tls::{Authority, Issued};

impl SiteBuilder {
    /// Has peers reach the site at `https://ADDRESS`, with a certificate of `authority`, which the site itself trusts
    /// too.
    pub fn encrypted(self, authority: &Authority, address: &str) -> Self {
        let at = format!("{address}:{}", self.port());
        self.trusting(authority)
            .certified("server.tls", &authority.issue(&[address]))
            .with("server.listen", at.as_str())
            .reached_at(&format!("https://{at}"))
    }

    /// Has the site trust `authority`.
    pub fn trusting(self, authority: &Authority) -> Self {
        let file = self.folder().join("ca.pem");
        std::fs::write(&file, authority.pem()).expect("a file with the authority");
        self.with("outgoing.ca_file", file.display().to_string())
    }

    /// Sets the certificate of the listener whose section this is, `server.tls` or `admin.tls`.
    pub fn certified(self, section: &str, issued: &Issued) -> Self {
        let [certificate, key] = ["certificate", "key"].map(|what| {
            let file = self.folder().join(format!("{section}.{what}.pem"));
            file.display().to_string()
        });
        write(&certificate, &key, issued);
        self.with(&format!("{section}.certificate"), certificate)
            .with(&format!("{section}.key"), key)
    }
}

impl Site {
    /// Puts another certificate in the place of that of the peer listener; the daemon learns of it by SIGHUP.
    pub fn renew(&self, issued: &Issued) {
        let path = |what: &str| {
            let file = self.folder().join(format!("server.tls.{what}.pem"));
            file.display().to_string()
        };
        write(&path("certificate"), &path("key"), issued);
    }

    /// Where peers reach the site.
    pub fn peer_address(&self) -> SocketAddr {
        let url = self.url();
        let (_, address) = url.split_once("://").expect("a URL");
        address.parse().expect("an address")
    }
}

fn write(certificate: &str, key: &str, issued: &Issued) {
    std::fs::write(certificate, &issued.certificate).expect("a certificate is written");
    std::fs::write(key, &issued.key).expect("a key is written");
}
