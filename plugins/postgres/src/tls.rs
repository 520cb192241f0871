//! Whose certificate is believed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, SHA384, SHA512, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError,
    RootCertStore, SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::oid::db::rfc5912;
use x509_cert::der::{Decode, Encode};
use x509_cert::time::Validity;

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
        return Ok(Arc::new(Judge { trusted: None, looks_at_name: false, provider }));
    }
    let mut roots = RootCertStore::empty();
    let mut given = Vec::new();
    match &place.ca {
        Some(pem) => {
            given = certificates(pem, "certificate authority")?;
            // Those that can vouch for nobody may still be the server's own.
            roots.add_parsable_certificates(given.iter().cloned());
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() && given.is_empty() {
        return Err(Fault::settings(
            "This server's system trusts no certificate authority. Give the certificate of the authority that signed \
             the database's (setting \"ca\").",
        ));
    }
    let by_authority = if roots.is_empty() {
        None
    } else {
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
        Some(built.map_err(|error| Fault::settings(format!("TLS cannot be set up ({error}).")))?)
    };
    let trusted = Some(Trusted { given, by_authority });
    Ok(Arc::new(Judge { trusted, looks_at_name: place.tls == Tls::VerifyFull, provider }))
}

/// Believes certificates as far as the mode says. That the other end has a certificate's key is looked at in each case.
#[derive(Debug)]
struct Judge {
    /// `None` where any certificate will do.
    trusted: Option<Trusted>,
    looks_at_name: bool,
    provider: Arc<CryptoProvider>,
}

/// Whom a source trusts.
#[derive(Debug)]
struct Trusted {
    /// Certificates that were given for this source: of authorities, or the server's own.
    given: Vec<CertificateDer<'static>>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
}

/// Why a certificate is not believed, where rustls has no word for it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unbelieved(&'static str);

impl Unbelieved {
    fn because(sentence: &'static str) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Self(sentence)))))
    }
}

const SELF_SIGNED: &str = "The server's certificate is signed by itself, and is none of those that are known here. If it is \
                           the right one, give this very certificate as \"ca\".";
const VERSION_1: &str = "The server's certificate is of version 1, which no authority vouches for nowadays. Make one of \
                         version 3 (openssl x509 -req … -extfile with subjectAltName = DNS:host), or give this very \
                         certificate as \"ca\" and choose verify-ca.";

const NAMELESS: &str = "The server's certificate names no host as a subjectAltName, and its common name is not looked at. \
                        Make one that does (openssl req … -addext subjectAltName=DNS:host), or choose verify-ca.";

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(Trusted { given, by_authority }) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        if given.contains(end_entity) {
            return self.verify_given(end_entity, server_name, now);
        }
        let Some(by_authority) = by_authority else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        match by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.looks_at_name => Ok(ServerCertVerified::assertion()),
            Err(
                error @ Error::InvalidCertificate(
                    CertificateError::UnknownIssuer | CertificateError::Other(_),
                ),
            ) => Err(told_apart(end_entity).unwrap_or(error)),
            believed => believed,
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
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms).or_else(|error| {
            // Of a certificate of version 1 rustls does not even take the key.
            let key =
                Certificate::from_der(cert).ok().filter(|read| read.tbs_certificate.version == Version::V1);
            let key = key.and_then(|read| read.tbs_certificate.subject_public_key_info.to_der().ok());
            let key = SubjectPublicKeyInfoDer::from(key.ok_or(error)?);
            verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl Judge {
    /// A server's very certificate was given: nobody has to vouch for it, but it has to be valid, and for the host where
    /// that is looked at.
    fn verify_given(
        &self,
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let read = Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
        let Validity { not_before, not_after } = read.tbs_certificate.validity;
        let now = Duration::from_secs(now.as_secs());
        if now < not_before.to_unix_duration() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > not_after.to_unix_duration() {
            return Err(CertificateError::Expired.into());
        }
        if self.looks_at_name {
            if read.tbs_certificate.version == Version::V1 {
                return Err(Unbelieved::because(NAMELESS));
            }
            verify_server_name(&ParsedCertificate::try_from(certificate)?, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }
}

/// What is unusual about a certificate that no authority vouched for.
fn told_apart(certificate: &CertificateDer<'_>) -> Option<Error> {
    let read = Certificate::from_der(certificate).ok()?.tbs_certificate;
    if read.issuer == read.subject {
        return Some(Unbelieved::because(SELF_SIGNED));
    }
    (read.version == Version::V1).then(|| Unbelieved::because(VERSION_1))
}

/// What a proof of the password is bound to (RFC 5929, `tls-server-end-point`): the certificate's digest, by the algorithm
/// of its signature. `None` where that algorithm has none of its own; PostgreSQL knows no binding there either.
pub(crate) fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let algorithm = match Certificate::from_der(certificate).ok()?.signature_algorithm.oid {
        // MD5 and SHA-1 count as SHA-256.
        rfc5912::MD_5_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_1_WITH_RSA_ENCRYPTION
        | rfc5912::SHA_256_WITH_RSA_ENCRYPTION
        | rfc5912::ECDSA_WITH_SHA_256 => &SHA256,
        rfc5912::SHA_384_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_384 => &SHA384,
        rfc5912::SHA_512_WITH_RSA_ENCRYPTION | rfc5912::ECDSA_WITH_SHA_512 => &SHA512,
        _ => return None,
    };
    Some(digest(algorithm, certificate).as_ref().to_vec())
}

/// What went wrong in a handshake or right behind it, for whoever connects the source.
pub(crate) fn handshake_fault(error: io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::InvalidCertificate(why)) => Fault::settings(unbelieved(why)),
        Some(Error::AlertReceived(alert)) => match alert {
            AlertDescription::ProtocolVersion
            | AlertDescription::HandshakeFailure
            | AlertDescription::InsufficientSecurity => Fault::settings(format!(
                "The server agrees to no way of encrypting that is safe ({alert:?}). It has to offer TLS 1.2 or 1.3."
            )),
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => Fault::settings(format!(
                "The server does not take the client certificate ({alert:?}). Give one that is valid now and that an \
                 authority of the server's ssl_ca_file has signed."
            )),
            _ => Fault::Broken(error),
        },
        _ => Fault::Broken(error),
    }
}

fn unbelieved(why: &CertificateError) -> String {
    match why {
        // The second where there is another authority of that name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "The server's certificate is of an authority that is not known here. Give the authority's certificate \
             (setting \"ca\")."
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => NAMELESS,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "The server's certificate is for another name than the host's. Give the name that the certificate is for, \
             or choose verify-ca."
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "The server's certificate has expired. Renew it."
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "The server's certificate is not valid yet. Look at its dates, and at the clocks of both machines."
        }
        why => {
            let own = if let CertificateError::Other(OtherError(own)) = why { own.downcast_ref() } else { None };
            return match own {
                Some(Unbelieved(sentence)) => (*sentence).to_owned(),
                None => format!(
                    "The server's certificate cannot be believed ({why}). Look at it with openssl s_client -starttls \
                     postgres."
                ),
            };
        }
    }
    .to_owned()
}
