//! Whose certificate is believed.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::fault::Fault;
use crate::place::{Place, Tls};

/// What a handshake with the place's server needs; `None` where nothing is encrypted.
pub(crate) fn config(place: &Place) -> Result<Option<Arc<ClientConfig>>, Fault> {
    if place.tls == Tls::Disable {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Fault::settings(format!("TLS cannot be set up ({error}).")))?;
    let verifier = verifier(place, provider)?;
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let config = match (&place.client_certificate, &place.client_key) {
        (Some(chain), Some(key)) => {
            let key = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).map_err(|_| {
                Fault::settings("The key of the client certificate is no private key in PEM form.")
            })?;
            let chain = certificates(chain, "client certificate")?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                Fault::settings(
                    "The client certificate and its key do not belong together, or cannot be used.",
                )
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Some(Arc::new(config)))
}

fn certificates(pem: &str, what: &str) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(Fault::settings(format!("The {what} is not in PEM form."))),
    }
}

fn verifier(place: &Place, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, Fault> {
    if place.tls == Tls::Require {
        return Ok(Arc::new(Lenient { inner: None, provider }));
    }
    let mut roots = RootCertStore::empty();
    match &place.ca {
        Some(pem) => {
            for certificate in certificates(pem, "certificate authority")? {
                roots.add(certificate).map_err(|_| {
                    Fault::settings("The certificate authority holds a certificate that cannot be used.")
                })?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() {
        return Err(Fault::settings(
            "This server's system trusts no certificate authority. Give the certificate of the authority that signed \
             the database's (setting \"ca\").",
        ));
    }
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| Fault::settings(format!("TLS cannot be set up ({error}).")))?;
    Ok(match place.tls {
        Tls::VerifyCa => Arc::new(Lenient { inner: Some(inner), provider }),
        _ => inner,
    })
}

/// Believes a certificate of a known authority for whatever name, or any at all. That the other end has its key is
/// looked at in each case.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What went wrong in a handshake, for whoever connects the source.
pub(crate) fn handshake_fault(error: std::io::Error) -> Fault {
    let certificate = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match certificate {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => Fault::settings(
            "The server's certificate is of an authority that is not known here. Give the authority's certificate \
             (setting \"ca\").",
        ),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => Fault::settings(
            "The server's certificate is for another name than the host's. Give the name that the certificate is for, \
             or choose verify-ca.",
        ),
        Some(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Fault::settings("The server's certificate has expired. Renew it."),
        Some(Error::InvalidCertificate(_)) => {
            Fault::settings("The server's certificate cannot be believed. Look at it with openssl s_client.")
        }
        _ => Fault::Broken(error),
    }
}
