//! Certificates: read from PEM files, held against each other, exchanged while the server runs. The edge's handshakes
//! and `doctor` use it; it knows nothing of connections.
//!
//! TLS 1.2 and 1.3 with rustls and ring. Only HTTP/1.1 is offered (ALPN, RFC 7301): what bounds slow clients and stops
//! the query of one that has gone works on a connection, and HTTP/2 puts many requests on one.

mod look;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::context::Timestamp;

pub use look::{Looked, look};

/// What clients may ask for in the handshake.
const ALPN: &[u8] = b"http/1.1";

/// Files that cannot be served from.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{setting} {} cannot be read ({source}). Check the path and that this user may read it.", .path.display())]
    Unreadable {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{setting} {} holds no {what} in PEM form. Check that the two files are not exchanged.", .path.display())]
    NotPem {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// They do not go together, or are of a kind that cannot be used.
    #[error("the certificate {} cannot be used with the private key {} ({source}). They must belong together.",
        .certificate.display(), .private_key.display())]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        private_key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
}

/// When a certificate may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From then on.
    pub from: Timestamp,
    /// Until then.
    pub until: Timestamp,
}

/// A certificate with its key, fit to be served.
#[derive(Debug, Clone)]
pub struct Loaded {
    certified: Arc<CertifiedKey>,
    /// Of the first certificate; `None` where it cannot be read.
    pub validity: Option<Validity>,
}

impl Loaded {
    /// Whether clients are sent the same: the whole chain, because one that lacks a certificate between is refused.
    /// The keys are the same where the first certificates are: each was loaded with a key that belongs to it.
    pub fn is_same(&self, other: &Self) -> bool {
        self.chain() == other.chain()
    }

    /// What clients are sent, the server's own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }
}

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp([Option<FileStamp>; 2]);

/// Device, inode, length, and the time of the last change in seconds and nanoseconds.
type FileStamp = (u64, u64, u64, i64, i64);

impl Files {
    /// Reads both and holds them against each other. Blocks.
    pub fn load(&self) -> Result<Loaded, TlsError> {
        let certificate = read("tls.certificate", &self.certificate)?;
        let key = read("tls.private_key", &self.private_key)?;
        let not_pem = |setting, path: &Path, what| TlsError::NotPem { setting, path: path.to_owned(), what };
        let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.ok().filter(|chain| !chain.is_empty());
        let chain = chain.ok_or_else(|| not_pem("tls.certificate", &self.certificate, "certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(&key)
            .map_err(|_| not_pem("tls.private_key", &self.private_key, "private key"))?;
        let validity = validity(&chain[0]);
        let certified =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|source| TlsError::Unusable {
                certificate: self.certificate.clone(),
                private_key: self.private_key.clone(),
                source,
            })?;
        Ok(Loaded { certified: Arc::new(certified), validity })
    }

    /// Looks at both files, through links: certificate tools exchange a link as often as a file.
    pub fn stamp(&self) -> Stamp {
        Stamp([&self.certificate, &self.private_key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
        }))
    }
}

fn read(setting: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Unreadable { setting, path: path.to_owned(), source })
}

fn validity(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let at = |seconds: i64| Timestamp(seconds.saturating_mul(1_000));
    let valid = certificate.validity();
    Some(Validity { from: at(valid.not_before.timestamp()), until: at(valid.not_after.timestamp()) })
}

/// The arithmetic of every connection here.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The certificate that handshakes are answered with. Connections that have had theirs keep what they agreed on.
#[derive(Debug)]
pub struct Certificates(ArcSwap<CertifiedKey>);

impl Certificates {
    /// Begins with one.
    pub fn new(loaded: &Loaded) -> Arc<Self> {
        Arc::new(Self(ArcSwap::new(Arc::clone(&loaded.certified))))
    }

    /// From the next handshake on another one.
    pub fn exchange(&self, loaded: &Loaded) {
        self.0.store(Arc::clone(&loaded.certified));
    }

    /// How handshakes are held with it.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(folder: &Path, name: &str) -> (Files, rcgen::CertifiedKey<rcgen::KeyPair>) {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let files = Files { certificate: folder.join("c.pem"), private_key: folder.join("k.pem") };
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.private_key, made.signing_key.serialize_pem()).unwrap();
        (files, made)
    }

    #[test]
    fn a_certificate_and_its_key_are_loaded_with_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let (files, made) = written(folder.path(), "localhost");
        let loaded = files.load().unwrap();
        let validity = loaded.validity.unwrap();
        assert!(validity.from < validity.until);
        assert_eq!(loaded.chain(), [made.cert.der().clone()]);
        assert!(loaded.is_same(&files.load().unwrap()));
    }

    #[test]
    fn a_chain_that_differs_behind_the_first_certificate_is_not_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (files, made) = written(folder.path(), "localhost");
        let alone = files.load().unwrap();
        let between = rcgen::generate_simple_self_signed(vec!["between".to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem() + &between.cert.pem()).unwrap();
        let whole = files.load().unwrap();
        assert!(!alone.is_same(&whole) && !whole.is_same(&alone));
    }

    #[test]
    fn files_that_do_not_go_together_are_told_apart_by_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = written(folder.path(), "localhost");
        let other = rcgen::generate_simple_self_signed(vec!["other".to_owned()]).unwrap();
        fs::write(&files.private_key, other.signing_key.serialize_pem()).unwrap();
        assert!(matches!(files.load(), Err(TlsError::Unusable { .. })));
        fs::write(&files.private_key, other.cert.pem()).unwrap();
        assert!(matches!(files.load(), Err(TlsError::NotPem { setting: "tls.private_key", .. })));
        fs::write(&files.certificate, "").unwrap();
        assert!(matches!(files.load(), Err(TlsError::NotPem { setting: "tls.certificate", .. })));
        fs::remove_file(&files.certificate).unwrap();
        let error = files.load().unwrap_err();
        assert!(
            matches!(error, TlsError::Unreadable { .. }) && error.to_string().contains("c.pem"),
            "{error}"
        );
    }

    #[test]
    fn a_changed_file_has_another_stamp_and_an_exchanged_link_too() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = written(folder.path(), "localhost");
        let before = files.stamp();
        assert_eq!(before, files.stamp());
        let elsewhere = folder.path().join("new.pem");
        fs::write(&elsewhere, "longer than before").unwrap();
        fs::remove_file(&files.certificate).unwrap();
        assert_ne!(before, files.stamp());
        std::os::unix::fs::symlink(&elsewhere, &files.certificate).unwrap();
        assert_ne!(before, files.stamp());
    }
}
