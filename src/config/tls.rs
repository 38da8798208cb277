//! The keys that name files with certificates. The files are opened too, so that all their faults are told with the
//! others.

use std::path::PathBuf;

use config::ValueKind;
use jiff::{SignedDuration, Timestamp};

use crate::base::certificate::{Certificate, CertificateFiles, Standing, authorities};
use crate::config::reader::{Reader, filled};

/// Whether files that the settings name are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Files {
    /// By whoever will use them.
    Opened,
    /// Not by a command that only has to know the settings, and may have no right to.
    Left,
}

/// `[SECTION.tls]`: both keys, or none.
pub(super) fn read_tls(
    reader: &mut Reader,
    section: &str,
    files: Files,
) -> Option<CertificateFiles> {
    let key_of = |name: &str| format!("{section}.tls.{name}");
    let [certificate_key, key_key] = ["certificate", "key"].map(key_of);
    let set = [&certificate_key, &key_key].map(|key| reader.is_set(key));
    let certificate = reader.optional(&certificate_key, path);
    let key = reader.optional(&key_key, path);
    match set {
        [true, false] => reader.fault(&key_key, missing("certificate")),
        [false, true] => reader.fault(&certificate_key, missing("key")),
        _ => {}
    }
    let found = CertificateFiles {
        certificate: certificate?,
        key: key?,
    };
    if files == Files::Opened {
        match found.load() {
            Ok(certificate) => {
                if let Some(words) = out_of_date(&certificate, Timestamp::now()) {
                    reader.warn(&certificate_key, words);
                }
            }
            Err(err) if err.is_of_key(&found) => reader.fault(&key_key, err.to_string()),
            Err(err) => reader.fault(&certificate_key, err.to_string()),
        }
    }
    Some(found)
}

/// `outgoing.ca_file`.
pub(super) fn read_ca_file(reader: &mut Reader, files: Files) -> Option<PathBuf> {
    let key = "outgoing.ca_file";
    let file = reader.optional(key, path)?;
    if files == Files::Opened
        && let Err(err) = authorities(&file)
    {
        reader.fault(key, err.to_string());
    }
    Some(file)
}

fn path(value: &ValueKind) -> Result<PathBuf, String> {
    filled(value).map(PathBuf::from)
}

fn missing(other: &str) -> String {
    format!("is not set, but {other} is; set both, or none for plain HTTP")
}

fn out_of_date(certificate: &Certificate, now: Timestamp) -> Option<String> {
    match certificate.standing(now, SignedDuration::ZERO) {
        Standing::Expired => Some(format!(
            "the certificate expired at {}; callers will refuse it until it is renewed",
            certificate.expires_at()
        )),
        Standing::NotYetValid => Some(format!(
            "the certificate is valid only from {} on; callers will refuse it until then",
            certificate.valid_from()
        )),
        Standing::Valid | Standing::ExpiresSoon => None,
    }
}
