//! From a place to a connection that is let in: policy, TLS, authentication.
//!
//! **Invariants:** no password goes out in the clear (`a_server_that_asks_for_the_password_in_the_clear_gets_none`);
//! nothing that a server sends here takes more than bounded memory, work and time
//! (`a_server_that_answers_garbage_is_given_up`).

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::frontend;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use sequel_connector::Egress;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::fault::{Fault, Told};
use crate::place::Place;
use crate::tls::{end_point, handshake_fault};
use crate::wire::{Wire, take, text, unexpected};

/// How long connecting may take, from the name to being let in. Below what opening a source may take.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Most messages until a server lets somebody in: a dozen parameters and some notices are usual.
const MESSAGES_MAX: usize = 200;
/// Most rounds of SCRAM's hash that a server may ask for, some 0.1 s of work. PostgreSQL asks for 4,096.
const ROUNDS_MAX: u32 = 200_000;
/// The oldest server.
const VERSION_MIN: u32 = 13;

/// What is needed to connect, again and again.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) place: Place,
    pub(crate) egress: Arc<Egress>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
}

/// A connection that was let in.
pub(crate) struct Entered {
    pub(crate) wire: Wire,
    pub(crate) key: CancelKey,
    /// What the server said of itself: version, whether the role is a superuser.
    pub(crate) said: BTreeMap<String, String>,
}

/// By what a query is cancelled.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CancelKey {
    process: i32,
    secret: i32,
}

impl Route {
    /// Connects and is let in.
    pub(crate) async fn enter(&self) -> Result<Entered, Fault> {
        let entering = async {
            let stream = self.egress.connect(&self.place.host, self.place.port, CONNECT_TIME).await?;
            let mut wire = self.wrapped(stream).await?;
            let parameters = [
                ("user", self.place.user.as_str()),
                ("database", self.place.database.as_str()),
                ("application_name", "sequel"),
                ("client_encoding", "UTF8"),
            ];
            frontend::startup_message(parameters, &mut wire.output)?;
            if let Err(error) = wire.send().await {
                // A server that did not like our certificate has hung up by now, and has said why.
                return Err(wire.read().await.err().unwrap_or(error).into());
            }
            self.authenticate(&mut wire).await?;
            let (key, said) = ready(&mut wire).await?;
            new_enough(&said)?;
            Ok(Entered { wire, key, said })
        };
        let late =
            || Fault::Broken(io::Error::new(io::ErrorKind::TimedOut, "the server did not let us in in time"));
        let entered = tokio::time::timeout(CONNECT_TIME, entering).await.unwrap_or_else(|_| Err(late()));
        // What a server thinks of a client's certificate comes behind the handshake.
        entered.map_err(|fault| match fault {
            Fault::Broken(error) => handshake_fault(error),
            fault => fault,
        })
    }

    /// Asks the server at `peer` to end what a connection is doing, and waits until it has taken that up.
    pub(crate) async fn cancel(&self, peer: SocketAddr, key: CancelKey) -> Result<(), Fault> {
        let cancelling = async {
            // The same address as the query's, so it was judged; a name may lead elsewhere by now.
            self.egress.check(peer.ip()).map_err(Fault::Policy)?;
            let mut wire = self.wrapped(TcpStream::connect(peer).await?).await?;
            frontend::cancel_request(key.process, key.secret, &mut wire.output);
            wire.send().await?;
            wire.closed().await;
            Ok(())
        };
        tokio::time::timeout(CONNECT_TIME, cancelling)
            .await
            .unwrap_or_else(|_| Err(Fault::Broken(io::ErrorKind::TimedOut.into())))
    }

    /// The socket under TLS, where the place wants it.
    async fn wrapped(&self, mut stream: TcpStream) -> Result<Wire, Fault> {
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        let Some(config) = &self.tls else { return Ok(Wire::new(Box::new(stream), peer)) };
        let mut asked = BytesMut::new();
        frontend::ssl_request(&mut asked);
        stream.write_all_buf(&mut asked).await?;
        // Exactly one byte: what somebody slipped in behind it in the clear is no part of the conversation.
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        match &answer {
            b"S" => {}
            b"N" => {
                return Err(Fault::settings(
                    "The server offers no TLS. Switch it on there (ssl = on), or choose \"disable\" where the network \
                     is trusted.",
                ));
            }
            _ => return Err(Fault::Broken(unexpected(answer[0]))),
        }
        let name = ServerName::try_from(self.place.host.clone()).map_err(|_| {
            Fault::settings(
                "The host is no name that a certificate can be for. Write it as in the certificate.",
            )
        })?;
        let connected = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        let stream = connected.map_err(handshake_fault)?;
        let end_point = stream.get_ref().1.peer_certificates().and_then(|chain| end_point(chain.first()?));
        let mut wire = Wire::new(Box::new(stream), peer);
        wire.end_point = end_point;
        Ok(wire)
    }

    async fn authenticate(&self, wire: &mut Wire) -> Result<(), Fault> {
        let mut scram: Option<ScramSha256> = None;
        let mut is_proven = false;
        for _ in 0..MESSAGES_MAX {
            let mut body = match wire.whole_message().await? {
                (b'R', body) => body,
                (b'E', body) => return Err(Told::read(body).into()),
                (b'N' | b'v', _) => continue,
                (kind, _) => return Err(unexpected(kind).into()),
            };
            match (u32::from_be_bytes(take(&mut body)?), scram.as_mut()) {
                // A server that began SCRAM has to prove itself before it lets anybody in.
                (0, None) => return Ok(()),
                (0, Some(_)) if is_proven => return Ok(()),
                (3, _) if self.tls.is_some() => {
                    frontend::password_message(self.password()?, &mut wire.output)?;
                }
                (3, _) => {
                    return Err(Fault::settings(
                        "The server asks for the password in the clear, and the connection has no TLS. Use TLS, or let \
                         the server use scram-sha-256 (pg_hba.conf).",
                    ));
                }
                (5, None) => {
                    let salt: [u8; 4] = take(&mut body)?;
                    let hash = md5_hash(self.place.user.as_bytes(), self.password()?, salt);
                    frontend::password_message(hash.as_bytes(), &mut wire.output)?;
                }
                (10, None) => {
                    let Some((mechanism, binding)) = bound(body, wire.end_point.as_deref()) else {
                        return Err(Fault::settings(
                            "The server offers no way to sign in that is known here; scram-sha-256 is.",
                        ));
                    };
                    let started = ScramSha256::new(self.password()?, binding);
                    frontend::sasl_initial_response(mechanism, started.message(), &mut wire.output)?;
                    scram = Some(started);
                }
                (11, Some(scram)) if !is_proven => {
                    few_rounds(&body)?;
                    scram.update(&body)?;
                    frontend::sasl_response(scram.message(), &mut wire.output)?;
                }
                (12, Some(scram)) if !is_proven => {
                    scram.finish(&body)?;
                    is_proven = true;
                    continue;
                }
                (7..=9, _) => {
                    return Err(Fault::settings(
                        "The server wants Kerberos or SSPI, which is not known here; use scram-sha-256 (pg_hba.conf).",
                    ));
                }
                _ => return Err(unexpected(b'R').into()),
            }
            wire.send().await?;
        }
        Err(unexpected(b'R').into())
    }

    fn password(&self) -> Result<&[u8], Fault> {
        match &self.place.password {
            Some(password) => Ok(password.expose().as_bytes()),
            None => Err(Fault::settings("The server asks for a password, and none was given. Give one.")),
        }
    }
}

/// How the password is proven: bound to the TLS connection wherever both ends can, so that a proof which somebody in
/// between passes on is none.
fn bound(mut mechanisms: Bytes, end_point: Option<&[u8]>) -> Option<(&'static str, ChannelBinding)> {
    let (mut is_offered, mut is_offered_bound) = (false, false);
    while let Ok(name) = text(&mut mechanisms) {
        match name.as_str() {
            "" => break,
            SCRAM_SHA_256 => is_offered = true,
            SCRAM_SHA_256_PLUS => is_offered_bound = true,
            _ => {}
        }
    }
    match end_point {
        Some(digest) if is_offered_bound => {
            Some((SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(digest.to_vec())))
        }
        // Says that it could have been, so that a server whose offer was taken away notices.
        Some(_) if is_offered => Some((SCRAM_SHA_256, ChannelBinding::unrequested())),
        None if is_offered => Some((SCRAM_SHA_256, ChannelBinding::unsupported())),
        _ => None,
    }
}

/// The server's first message of SCRAM says how often we have to hash: `r=…,s=…,i=4096`.
fn few_rounds(body: &Bytes) -> Result<(), Fault> {
    let rounds = std::str::from_utf8(body)
        .ok()
        .and_then(|text| text.split(',').find_map(|part| part.strip_prefix("i=")))
        .and_then(|rounds| rounds.parse::<u32>().ok());
    match rounds {
        Some(1..=ROUNDS_MAX) => Ok(()),
        _ => Err(Fault::Broken(io::Error::new(io::ErrorKind::InvalidData, "SCRAM asks for too much work"))),
    }
}

/// What comes between being let in and being asked.
async fn ready(wire: &mut Wire) -> Result<(CancelKey, BTreeMap<String, String>), Fault> {
    let (mut key, mut said) = (CancelKey::default(), BTreeMap::new());
    for _ in 0..MESSAGES_MAX {
        match wire.whole_message().await? {
            (b'K', mut body) => {
                key = CancelKey {
                    process: i32::from_be_bytes(take(&mut body)?),
                    secret: i32::from_be_bytes(take(&mut body)?),
                };
            }
            (b'S', mut body) => {
                let name = text(&mut body)?;
                said.insert(name, text(&mut body)?);
            }
            (b'N', _) => {}
            (b'Z', _) => return Ok((key, said)),
            (b'E', body) => return Err(Told::read(body).into()),
            (kind, _) => return Err(unexpected(kind).into()),
        }
    }
    Err(unexpected(b'S').into())
}

fn new_enough(said: &BTreeMap<String, String>) -> Result<(), Fault> {
    let version = said.get("server_version").map_or("", String::as_str);
    let major =
        version.split(|char: char| !char.is_ascii_digit()).next().and_then(|major| major.parse::<u32>().ok());
    match major {
        // Some that speak the protocol say no version that could be compared.
        None => Ok(()),
        Some(VERSION_MIN..) => Ok(()),
        Some(major) => Err(Fault::settings(format!(
            "The server is PostgreSQL {major}; {VERSION_MIN} or later is needed. Update it."
        ))),
    }
}
