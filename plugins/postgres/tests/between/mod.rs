//! Somebody in between who ends TLS with a certificate of their own and begins it anew towards the server.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::authority::self_signed;

/// What they change on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tampering {
    Nothing,
    /// The server's offer to bind the proof to the connection is taken away.
    Weakening,
}

const BOUND: &[u8] = b"SCRAM-SHA-256-PLUS\0";

/// Listens until the runtime ends.
pub(crate) struct Between {
    pub(crate) port: u16,
}

impl Between {
    /// Before a server of this host, whose certificate the authority signed for `localhost`.
    pub(crate) fn before(server: u16, authority: &str, tampering: Tampering) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let (acceptor, connector) = (acceptor(), connector(authority));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                // Whoever is found out is hung up on.
                tokio::spawn(async move { carry(client, server, acceptor, connector, tampering).await });
            }
        });
        Self { port }
    }
}

fn acceptor() -> TlsAcceptor {
    let (certificate, key) = self_signed(&["localhost"]);
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
}

fn connector(authority: &str) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

async fn carry(
    mut client: TcpStream,
    server: u16,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    tampering: Tampering,
) -> std::io::Result<()> {
    let mut asked = [0; 8];
    client.read_exact(&mut asked).await?;
    client.write_all(b"S").await?;
    let client = acceptor.accept(client).await?;
    let mut plain = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], server))).await?;
    plain.write_all(&asked).await?;
    plain.read_exact(&mut [0]).await?;
    let server = connector.connect(ServerName::try_from("localhost").unwrap(), plain).await?;
    let (mut from_client, mut to_client) = split(client);
    let (mut from_server, mut to_server) = split(server);
    let answers = async {
        let mut head = vec![0; 4096];
        loop {
            let read = from_server.read(&mut head).await?;
            if read == 0 {
                return to_client.shutdown().await;
            }
            let mut part = head[..read].to_vec();
            let bound = part.windows(BOUND.len()).position(|bytes| bytes == BOUND);
            if let Some(at) = bound.filter(|_| tampering == Tampering::Weakening) {
                part.drain(at..at + BOUND.len());
                // The message is shorter now: kind, then its length.
                let length = u32::try_from(part.len() - 1).unwrap();
                part[1..5].copy_from_slice(&length.to_be_bytes());
            }
            to_client.write_all(&part).await?;
            to_client.flush().await?;
        }
    };
    let (_, answered) = tokio::join!(copy(&mut from_client, &mut to_server), answers);
    answered
}
