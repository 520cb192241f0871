//! TLS to the database: always with a server whose certificate is for its name.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sequel_store::OpenError;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::{Address, Tls, refused};

/// The connector that an address wants. Without TLS it is not asked.
pub(crate) fn connector(address: &Address) -> Result<MakeRustlsConnect, OpenError> {
    let mut roots = RootCertStore::empty();
    let refuse = |why: String| refused(&address.to_string(), &why);
    match &address.tls {
        Tls::Off => {}
        Tls::Verified(Some(file)) => {
            for certificate in of_file(file).map_err(refuse)? {
                roots.add(certificate).map_err(|error| {
                    refuse(format!("{} holds an unusable certificate ({error}).", file.display()))
                })?;
            }
        }
        Tls::Verified(None) => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                let why = "this system trusts no certificate authority. Install ca-certificates, or name one with sslrootcert.";
                return Err(refuse(why.to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refuse(format!("TLS cannot be set up ({error}).")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

fn of_file(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let open =
        std::fs::File::open(file).map_err(|error| format!("{} cannot be read ({error}).", file.display()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_reader_iter(BufReader::new(open)).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(format!("{} holds no certificate in PEM form.", file.display())),
    }
}
