//! What is wrong with a peer's certificate, in words, and what to do about it.

use std::fmt::Display;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{CertificateError, InvalidMessage};

/// What a TLS fault says of the certificate of `host`; `None` when it says nothing of one.
pub(super) fn fault_of_certificate(host: &str, err: &rustls::Error) -> Option<String> {
    let rustls::Error::InvalidCertificate(fault) = err else {
        return None;
    };
    Some(match fault {
        CertificateError::UnknownIssuer => {
            "it is signed by an authority that this site does not know; if that authority is your own, name the file with its certificate in outgoing.ca_file".to_owned()
        }
        CertificateError::BadSignature => {
            "it is signed by another authority than the one this site knows under that name; if that authority is your own, name the file with its present certificate in outgoing.ca_file".to_owned()
        }
        CertificateError::NotValidForName => {
            format!("it is not for {host}; call the peer by a name in its certificate, or have its administrator get one for {host}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = named(presented);
            format!("it is for {names}, not for {host}; call the peer by a name in its certificate, or have its administrator get one for {host}")
        }
        CertificateError::Expired => expired(""),
        CertificateError::ExpiredContext { not_after, .. } => {
            expired(&format!(" at {}", time(*not_after)))
        }
        CertificateError::NotValidYet => not_yet(""),
        CertificateError::NotValidYetContext { not_before, .. } => {
            not_yet(&format!(" before {}", time(*not_before)))
        }
        // webpki has no variant of its own for it in rustls.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is an authority's own certificate, which cannot be a site's; have the peer's administrator make one that is signed by it".to_owned()
        }
        fault => format!("{fault}; the peer's administrator must replace it"),
    })
}

/// What a TLS fault says that has nothing to do with certificates, where its own words would not help.
pub(super) fn fault_of_handshake(err: &rustls::Error) -> Option<&'static str> {
    match err {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(
            "what listens there does not speak TLS; check the port of the URL, and whether the peer has a certificate",
        ),
        _ => None,
    }
}

fn expired(when: &str) -> String {
    format!("it expired{when}; the peer's administrator must renew it")
}

fn not_yet(when: &str) -> String {
    format!("it is not valid{when}; check the clocks of both sites")
}

/// Names as webpki gives them, `DnsName("a.example")`, and no more of them than a person reads.
fn named(presented: &[String]) -> String {
    let bare = |name: &String| {
        name.split_once(['(', '"'])
            .map_or(name.as_str(), |(_, rest)| rest)
            .trim_matches(['(', ')', '"'])
            .to_owned()
    };
    let mut names: Vec<String> = presented.iter().take(5).map(bare).collect();
    match presented.len() {
        0 => names.push("no name".to_owned()),
        count if count > names.len() => names.push("others".to_owned()),
        _ => {}
    }
    names.join(", ")
}

fn time(at: UnixTime) -> impl Display {
    let seconds = i64::try_from(at.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::{fault_of_certificate, named};

    #[test]
    fn names_are_shown_bare_and_not_all_of_them() {
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            named(&names)
        };
        let (dns, ip) = ("DnsName(\"a.example\")", "IpAddress(127.0.0.1)");
        assert_eq!(names(&[dns, ip]), "a.example, 127.0.0.1");
        assert_eq!(names(&[]), "no name");
        let many = names(&[dns; 7]);
        assert!(many.ends_with("a.example, others"), "{many}");
    }

    #[test]
    fn only_faults_of_certificates_are_told_as_such() {
        let fault = |err: &rustls::Error| fault_of_certificate("hq", err);
        let revoked = fault(&CertificateError::Revoked.into()).unwrap();
        assert!(revoked.contains("must replace it"), "{revoked}");
        assert_eq!(fault(&rustls::Error::HandshakeNotComplete), None);
    }
}
