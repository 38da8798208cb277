//! Certificates and private keys as PEM files hold them: read, checked to belong together, and replaced in a running
//! listener while its connections go on.
//!
//! Invariant: what is in use was checked as a whole; a file that is wrong changes nothing.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use rustls::client::verify_server_name;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};
use x509_cert::der::Decode as _;

use crate::base::trust::provider;

/// Certificates are small; what is larger is another file.
const MOST_BYTES: u64 = 4 << 20;

/// Why a file does not hold what it should; says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is not there, or not readable.
    #[error("{} cannot be read: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no certificate in it.
    #[error("{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", .0.display())]
    NoCertificate(PathBuf),
    /// What stands there as a certificate is none.
    #[error("{} holds something that is no certificate: {reason}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// In words.
        reason: String,
    },
    /// There is no private key in it.
    #[error("{} holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)", .0.display())]
    NoKey(PathBuf),
    /// The key can be opened by a person only.
    #[error("{file} holds a key that is encrypted with a password; write it without one: openssl pkey -in {file} -out NEW", file = .0.display())]
    EncryptedKey(PathBuf),
    /// The key is of no kind that can be used.
    #[error("{} holds a private key that cannot be used: {reason}", file.display())]
    UnusableKey {
        /// The file.
        file: PathBuf,
        /// In words.
        reason: String,
    },
    /// The two files do not belong together.
    #[error(
        "the key in {} does not belong to the first certificate in {}; the site's own certificate comes first, those above it behind it",
        key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
}

impl CertificateError {
    /// Whether the key's file is at fault, not the certificate's.
    #[must_use]
    pub fn is_of_key(&self, files: &CertificateFiles) -> bool {
        match self {
            Self::Io { file, .. } => *file == files.key,
            Self::NoKey(_)
            | Self::EncryptedKey(_)
            | Self::UnusableKey { .. }
            | Self::Mismatch { .. } => true,
            Self::NoCertificate(_) | Self::Malformed { .. } => false,
        }
    }
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The site's own certificate, then those above it, in PEM form.
    pub certificate: PathBuf,
    /// The private key of the first certificate, in PEM form.
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads and checks both.
    ///
    /// # Errors
    /// The first thing that is wrong. That it has expired is not: a certificate may be better than none.
    pub fn load(&self) -> Result<Certificate, CertificateError> {
        let chain = certificates(&self.certificate)?;
        let key = private_key(&self.key)?;
        let (valid_from, expires_at) = validity(&self.certificate, chain.first())?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|err| match err {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                CertificateError::Mismatch {
                    certificate: self.certificate.clone(),
                    key: self.key.clone(),
                }
            }
            err => CertificateError::UnusableKey {
                file: self.key.clone(),
                reason: err.to_string(),
            },
        })?;
        Ok(Certificate {
            key: Arc::new(key),
            valid_from,
            expires_at,
        })
    }
}

/// A certificate with those above it, and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    valid_from: Timestamp,
    expires_at: Timestamp,
}

/// How a certificate stands in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is valid, and for longer than the time asked about.
    Valid,
    /// It is valid, but not for that long.
    ExpiresSoon,
    /// It is not valid any more.
    Expired,
    /// It is not valid yet.
    NotYetValid,
}

impl Certificate {
    /// From when on it is valid.
    #[must_use]
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// Until when it is valid.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// How it stands at `now`, where less than `soon` is left soon.
    #[must_use]
    pub fn standing(&self, now: Timestamp, soon: SignedDuration) -> Standing {
        if now < self.valid_from {
            Standing::NotYetValid
        } else if now > self.expires_at {
            Standing::Expired
        } else if self.expires_at.duration_since(now) < soon {
            Standing::ExpiresSoon
        } else {
            Standing::Valid
        }
    }

    /// Whether it names `host`, a name or an address.
    #[must_use]
    pub fn names(&self, host: &str) -> bool {
        let Some((own, host)) = self
            .key
            .cert
            .first()
            .zip(ServerName::try_from(host.to_owned()).ok())
        else {
            return false;
        };
        ParsedCertificate::try_from(own).is_ok_and(|own| verify_server_name(&own, &host).is_ok())
    }

    /// Whether `other` is this very certificate.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.key.cert == other.key.cert
    }
}

/// The certificate a listener shows, which may be replaced at any time: the next handshake shows the new one.
pub struct LiveCertificate {
    current: ArcSwap<Certificate>,
}

impl LiveCertificate {
    /// Begins with `certificate`.
    #[must_use]
    pub fn new(certificate: Certificate) -> Self {
        Self {
            current: ArcSwap::from_pointee(certificate),
        }
    }

    /// What is shown now.
    #[must_use]
    pub fn current(&self) -> Arc<Certificate> {
        self.current.load_full()
    }

    /// Shows `certificate` from now on; connections that are open go on as they began.
    pub fn replace(&self, certificate: Certificate) {
        self.current.store(Arc::new(certificate));
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl fmt::Debug for LiveCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveCertificate").finish_non_exhaustive()
    }
}

/// The authorities in `file`, each fit to be trusted.
///
/// # Errors
/// When it cannot be read, holds none, or holds something else.
pub fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = certificates(file)?;
    let mut roots = RootCertStore::empty();
    for authority in &found {
        roots
            .add(authority.clone())
            .map_err(|err| malformed(file, &err))?;
    }
    Ok(found)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let text = read(file)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|err| malformed(file, &in_words(&err)))?;
    if found.is_empty() {
        return Err(CertificateError::NoCertificate(file.to_owned()));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    let text = read(file)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|err| match err {
        pem::Error::NoItemsFound if is_encrypted(&text) => {
            CertificateError::EncryptedKey(file.to_owned())
        }
        pem::Error::NoItemsFound => CertificateError::NoKey(file.to_owned()),
        err => CertificateError::UnusableKey {
            file: file.to_owned(),
            reason: in_words(&err),
        },
    })
}

/// What is wrong with a PEM file; the reader's own words show bytes.
fn in_words(err: &pem::Error) -> String {
    match err {
        pem::Error::MissingSectionEnd { .. } => {
            "it breaks off before its line -----END; write the file whole".to_owned()
        }
        pem::Error::IllegalSectionStart { .. } => "a line -----BEGIN is not whole".to_owned(),
        err => err.to_string(),
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    const MARK: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    pem.windows(MARK.len()).any(|part| part == MARK)
}

fn validity(
    file: &Path,
    own: Option<&CertificateDer<'_>>,
) -> Result<(Timestamp, Timestamp), CertificateError> {
    let own = own.ok_or_else(|| CertificateError::NoCertificate(file.to_owned()))?;
    let parsed = x509_cert::Certificate::from_der(own).map_err(|err| malformed(file, &err))?;
    let validity = parsed.tbs_certificate().validity();
    let at = |time: x509_cert::time::Time| {
        SignedDuration::try_from(time.to_unix_duration())
            .and_then(Timestamp::from_duration)
            .map_err(|err| malformed(file, &err))
    };
    Ok((at(validity.not_before)?, at(validity.not_after)?))
}

fn malformed(file: &Path, reason: &dyn fmt::Display) -> CertificateError {
    CertificateError::Malformed {
        file: file.to_owned(),
        reason: reason.to_string(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CertificateError> {
    let mut bytes = Vec::new();
    let mut read = || {
        // Opening a named pipe would wait for somebody to write, and the daemon with it.
        if !std::fs::metadata(file)?.is_file() {
            return Err(std::io::Error::other("it is no regular file"));
        }
        std::fs::File::open(file)?
            .take(MOST_BYTES)
            .read_to_end(&mut bytes)
    };
    read().map_err(|source| CertificateError::Io {
        file: file.to_owned(),
        source,
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
