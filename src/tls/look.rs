//! Looking at what a server on this machine serves: one request whose answer's certificate is looked at, not trusted.
//! Nothing secret may be sent this way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned};

use super::provider;

/// How long each step may take: the server is on this machine.
const STEP: Duration = Duration::from_secs(5);
/// Longest answer that is read: a status and a few headers.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What came back.
#[derive(Debug, Clone)]
pub struct Looked {
    /// The HTTP status.
    pub status: u16,
    /// The certificates that were served, the server's own first; none in the clear.
    pub chain: Vec<CertificateDer<'static>>,
}

/// Asks a server for a path and closes. Blocks for some seconds at most.
pub fn look(at: SocketAddr, secure: bool, path: &str) -> io::Result<Looked> {
    let stream = TcpStream::connect_timeout(&at, STEP)?;
    stream.set_read_timeout(Some(STEP))?;
    stream.set_write_timeout(Some(STEP))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    if !secure {
        return Ok(Looked { status: exchange(stream, &request)?, chain: Vec::new() });
    }
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Onlooker))
        .with_no_client_auth();
    let name = ServerName::IpAddress(at.ip().into());
    let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, stream);
    let status = exchange(&mut stream, &request)?;
    let served = stream.conn.peer_certificates().unwrap_or_default();
    Ok(Looked { status, chain: served.iter().map(|certificate| certificate.clone().into_owned()).collect() })
}

fn exchange(mut stream: impl Read + Write, request: &str) -> io::Result<u16> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // A server that closes without a word of TLS has still answered.
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    let status = answer.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3));
    match status.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()) {
        Some(status) => Ok(status),
        None => Err(read.err().unwrap_or_else(|| io::Error::other("what answers there is no HTTP server"))),
    }
}

/// Takes every certificate: it is compared with a file afterwards.
#[derive(Debug)]
struct Onlooker;

impl ServerCertVerifier for Onlooker {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
