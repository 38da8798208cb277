//! Certificates made here, in files as an operator has them.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustix::fs::{FileType, Mode};

use super::{CertificateFiles, LiveCertificate, Standing, authorities};

struct Made {
    folder: tempfile::TempDir,
}

impl Made {
    /// `cert.pem` and `key.pem` for `names`, valid in 2026 and 2027, and `other.pem`, a key of something else.
    fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2028, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let made = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        made.write("cert.pem", &certificate.pem());
        made.write("key.pem", &key.serialize_pem());
        made.write("other.pem", &KeyPair::generate().unwrap().serialize_pem());
        made
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self, certificate: &str, key: &str) -> CertificateFiles {
        CertificateFiles {
            certificate: self.path(certificate),
            key: self.path(key),
        }
    }
}

#[test]
fn a_certificate_says_for_whom_and_how_long_it_is() {
    let made = Made::new(&["hq.example.com", "*.shop.example.com", "192.0.2.1"]);
    let certificate = made.files("cert.pem", "key.pem").load().unwrap();
    for name in ["hq.example.com", "a.shop.example.com", "192.0.2.1"] {
        assert!(certificate.names(name), "{name}");
    }
    for name in ["example.com", "a.b.shop.example.com", "192.0.2.2", "", "-"] {
        assert!(!certificate.names(name), "{name}");
    }
    let soon = SignedDuration::from_hours(14 * 24);
    for (at, expected) in [
        ("2025-12-31T23:59:59Z", Standing::NotYetValid),
        ("2026-01-01T00:00:00Z", Standing::Valid),
        ("2027-12-17T23:59:59Z", Standing::Valid),
        ("2027-12-18T00:00:01Z", Standing::ExpiresSoon),
        ("2028-01-01T00:00:01Z", Standing::Expired),
    ] {
        let at: Timestamp = at.parse().unwrap();
        assert_eq!(certificate.standing(at, soon), expected, "{at}");
    }
}

#[test]
fn each_fault_of_the_files_is_told_with_the_file_at_fault() {
    let made = Made::new(&["a.example"]);
    made.write("empty.pem", "");
    made.write("notes.pem", "-----BEGIN CERTIFICATE-----\nnothing\n");
    made.write(
        "junk.pem",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    made.write("locked.pem", locked);
    made.write(
        "odd.pem",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    // A reader that shows what it did not understand would show the key.
    let key = std::fs::read_to_string(made.path("key.pem")).unwrap();
    made.write("flat.pem", &key.replace('\n', ""));
    made.write("half.pem", key.split_at(key.len() / 2).0);
    made.write("open.pem", &key.replacen("KEY-----", "KEY--", 1));
    let pipe = made.path("pipe.pem");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    for (certificate, key, of_key, words) in [
        ("cert.pem", "flat.pem", true, "breaks off"),
        ("cert.pem", "half.pem", true, "breaks off"),
        ("cert.pem", "open.pem", true, "is not whole"),
        ("cert.pem", "pipe.pem", true, "no regular file"),
        ("none.pem", "key.pem", false, "No such file"),
        ("cert.pem", "none.pem", true, "No such file"),
        ("empty.pem", "key.pem", false, "no certificate in PEM form"),
        ("notes.pem", "key.pem", false, "no certificate"),
        ("junk.pem", "key.pem", false, "is no certificate"),
        ("key.pem", "key.pem", false, "no certificate in PEM form"),
        ("cert.pem", "cert.pem", true, "no private key in PEM form"),
        ("cert.pem", "locked.pem", true, "openssl pkey -in"),
        ("cert.pem", "odd.pem", true, "cannot be used"),
        ("cert.pem", "other.pem", true, "does not belong"),
    ] {
        let files = made.files(certificate, key);
        let err = files.load().unwrap_err();
        assert!(err.to_string().contains(words), "{err}");
        assert_eq!(err.is_of_key(&files), of_key, "{err}");
        let file = if of_key { key } else { certificate };
        assert!(err.to_string().contains(file), "{err}");
        assert!(!err.to_string().contains('['), "{err}");
    }
}

#[test]
fn a_replaced_certificate_is_another_one() {
    let (one, other) = (Made::new(&["a.example"]), Made::new(&["b.example"]));
    let load = |made: &Made| made.files("cert.pem", "key.pem").load().unwrap();
    let live = LiveCertificate::new(load(&one));
    assert!(live.current().is_same(&load(&one)));
    live.replace(load(&other));
    assert!(live.current().is_same(&load(&other)));
    assert!(live.current().names("b.example"));
}

#[test]
fn only_files_with_authorities_are_taken_as_such() {
    let made = Made::new(&["a.example"]);
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = params
        .self_signed(&KeyPair::generate().unwrap())
        .unwrap()
        .pem();
    let both = made.write("both.pem", &format!("two of them\n{pem}{pem}"));
    assert_eq!(authorities(&both).unwrap().len(), 2);
    for name in ["key.pem", "none.pem"] {
        assert!(authorities(&made.path(name)).is_err(), "{name}");
    }
    assert!(authorities(Path::new("/dev/zero")).is_err());
}
