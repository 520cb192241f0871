//! A certificate authority of a test's own. Shared by the tests of whatever talks to PostgreSQL over TLS.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// Who signs certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM form.
pub(crate) type Identity = (String, String);

impl Authority {
    pub(crate) fn make() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {}", NEXT.fetch_add(1, Ordering::SeqCst));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a host.
    pub(crate) fn sign(&self, name: &str) -> Identity {
        self.sign_but(name, |_| {})
    }

    /// The same, with something else about it.
    pub(crate) fn sign_but(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A certificate for a person or role.
    pub(crate) fn sign_for_role(&self, role: &str) -> Identity {
        self.sign_but("client", |params| params.distinguished_name.push(DnType::CommonName, role))
    }
}

/// A certificate that nobody but itself vouches for, as an authority's, with these names: what `openssl req -x509` makes.
pub(crate) fn self_signed(names: &[&str]) -> Identity {
    let mut params =
        CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
