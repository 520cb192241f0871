//! Where the database is: the URL of a store, taken apart and checked.
//!
//! Owns which forms are allowed. What is left out on purpose: several hosts, sockets, service files and whatever else
//! would make a connection go where the URL does not say.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use sequel_store::OpenError;
use tokio_postgres::Config;
use url::{Host, Url};

/// How long connecting may take.
pub(crate) const CONNECT_WAIT: Duration = Duration::from_millis(1_200);
/// How long the kernel waits for an acknowledgement of what was sent, before it gives a connection up.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(5);

/// A checked URL. Shows itself without its password.
#[derive(Clone)]
pub struct Address {
    pub(crate) config: Config,
    pub(crate) tls: Tls,
    shown: String,
}

/// Whether and how the connection is encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tls {
    /// In the clear.
    Off,
    /// The server must have a certificate for its name, from an authority of this file or of the system.
    Verified(Option<PathBuf>),
}

impl Address {
    /// Reads `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=disable|verify-full][&sslrootcert=FILE]`.
    /// `password` is for a URL without one.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, OpenError> {
        // Not even what is wrong with it may show the password.
        let unreadable = |why: &str| refused("storage.url", why);
        let url = Url::parse(url).map_err(|_| {
            unreadable("it is no URL. Write postgres://USER@HOST:PORT/DATABASE, with %40 for an @ in a name or password.")
        })?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(unreadable("it does not begin with postgres://."));
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty() && !host.contains(',')) else {
            return Err(unreadable("it names no host, or several. Name one, such as db.example.com."));
        };
        let host = decoded(host).ok_or_else(|| unreadable("its host is not text."))?;
        if host.starts_with('/') {
            return Err(unreadable("it names a socket in place of a host. Name a host, such as localhost."));
        }
        let database = url.path().trim_start_matches('/');
        let user = url.username();
        if database.is_empty() || database.contains('/') || user.is_empty() {
            return Err(unreadable("it must name a user and one database: postgres://USER@HOST/DATABASE."));
        }
        let text = |part: &str| decoded(part).ok_or_else(|| unreadable("a part of it is not text in UTF-8."));
        let (database, user) = (text(database)?, text(user)?);
        let port = url.port().unwrap_or(5432);
        let shown = format!("postgres://{user}@{host}:{port}/{database}");
        let tls = tls(&url, is_loopback(&url), &shown)?;
        let mut config = Config::new();
        config
            .host(host.trim_matches(['[', ']']))
            .port(port)
            .user(&user)
            .dbname(&database)
            .application_name("sequel")
            .connect_timeout(CONNECT_WAIT)
            .keepalives_idle(Duration::from_secs(15))
            .keepalives_interval(Duration::from_secs(5))
            .keepalives_retries(3)
            .tcp_user_timeout(UNACKNOWLEDGED_MAX)
            .ssl_mode(match tls {
                Tls::Off => tokio_postgres::config::SslMode::Disable,
                Tls::Verified(_) => tokio_postgres::config::SslMode::Require,
            });
        if let Some(own) = url.password() {
            config.password(text(own)?);
        } else if let Some(given) = password {
            config.password(given);
        }
        Ok(Self { config, tls, shown })
    }
}

fn tls(url: &Url, is_loopback: bool, shown: &str) -> Result<Tls, OpenError> {
    let (mut mode, mut authority) = (None, None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" if mode.is_none() => mode = Some(value.into_owned()),
            "sslrootcert" if authority.is_none() && !value.is_empty() => {
                authority = Some(PathBuf::from(value.into_owned()));
            }
            name => {
                let why = format!(
                    "its parameter {name:?} is unknown here, empty or given twice; there are sslmode and sslrootcert."
                );
                return Err(refused(shown, &why));
            }
        }
    }
    match mode.as_deref() {
        Some("disable") => Ok(Tls::Off),
        None if is_loopback && authority.is_none() => Ok(Tls::Off),
        None | Some("verify-full") => Ok(Tls::Verified(authority)),
        Some(mode @ ("allow" | "prefer" | "require" | "verify-ca")) => Err(refused(
            shown,
            &format!(
                "sslmode={mode} does not say whom it talks to. Use verify-full, with sslrootcert for an authority of your \
                 own, or disable where the network is trusted."
            ),
        )),
        Some(mode) => {
            Err(refused(shown, &format!("there is no sslmode {mode:?}; there are verify-full and disable.")))
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        // For other schemes than http's the host stays a name, also where it is an address.
        Some(Host::Domain(name)) => {
            name.eq_ignore_ascii_case("localhost")
                || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

/// What percent-encoding stands for.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                bytes.push(u8::try_from(digit(high)? * 16 + digit(low)?).ok()?);
                rest = after;
            }
            (b'%', _) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

/// A refusal of what is at `at`.
pub(crate) fn refused(at: &str, why: &str) -> OpenError {
    OpenError::Server { at: at.to_owned(), why: why.to_owned() }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Address {
        Address::parse(url, None).unwrap()
    }

    #[test]
    fn a_url_is_taken_apart() {
        let address = parsed("postgres://us%40er:pass%2Fword@localhost:5433/records");
        assert_eq!(address.config.get_user(), Some("us@er"));
        assert_eq!(address.config.get_password(), Some(&b"pass/word"[..]));
        assert_eq!(address.config.get_dbname(), Some("records"));
        assert_eq!(address.config.get_ports(), [5433]);
        let from_file = Address::parse("postgresql://u@h/d", Some("secret")).unwrap();
        assert_eq!(from_file.config.get_password(), Some(&b"secret"[..]));
        assert_eq!(from_file.config.get_ports(), [5432]);
    }

    #[test]
    fn only_what_names_whom_it_talks_to_leaves_this_machine() {
        for local in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(parsed(&format!("postgres://u@{local}/d")).tls, Tls::Off, "{local}");
        }
        assert_eq!(parsed("postgres://u@db.example.com/d").tls, Tls::Verified(None));
        assert_eq!(parsed("postgres://u@127.0.0.1/d?sslmode=verify-full").tls, Tls::Verified(None));
        let own = parsed("postgres://u@db/d?sslmode=verify-full&sslrootcert=/etc/ca.pem");
        assert_eq!(own.tls, Tls::Verified(Some("/etc/ca.pem".into())));
        assert_eq!(parsed("postgres://u@db/d?sslmode=disable").tls, Tls::Off);
    }

    #[test]
    fn what_would_go_elsewhere_is_refused_without_showing_the_password() {
        for bad in [
            "postgres://u:hunter2@/d",
            "postgres://u:hunter2@a,b/d",
            "postgres://u:hunter2@%2Fvar%2Frun/d",
            "postgres://u:hunter2@h",
            "postgres://u:hunter2@h/",
            "postgres://u:hunter2@h/a/b",
            "postgres://:hunter2@h/d",
            "postgres://u:hunter2@h/d?hostaddr=10.0.0.1",
            "postgres://u:hunter2@h/d?service=x",
            "postgres://u:hunter2@h/d?passfile=x",
            "postgres://u:hunter2@h/d?options=-c",
            "postgres://u:hunter2@h/d?sslmode=require",
            "postgres://u:hunter2@h/d?sslmode=prefer",
            "postgres://u:hunter2@h/d?sslmode=off",
            "postgres://u:hunter2@h/d?sslmode=disable&sslmode=disable",
            "postgres://u:hunter2@h:port/d",
            "mysql://u:hunter2@h/d",
        ] {
            let error = Address::parse(bad, None).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{bad}: {error}");
            assert!(error.ends_with('.'), "{bad}: {error}");
        }
        assert!(!format!("{0} {0:?}", parsed("postgres://u:hunter2@h/d")).contains("hunter2"));
    }
}
