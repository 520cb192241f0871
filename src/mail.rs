//! Letters: the few that Sequel sends, over SMTP where it is configured.
//!
//! Text only, from one sender, with links that are made of the configured public URL alone: nothing that a request
//! brought gets into a letter's head. Over a network a connection is encrypted or it is none; without encryption goes
//! only to a relay on this very machine.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use thiserror::Error;
use url::Url;

/// How long one step of handing a letter over may take.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// A letter. `Debug` hides its text, which holds a link.
#[derive(Clone)]
pub struct Letter {
    /// An address.
    pub to: String,
    /// One line.
    pub subject: String,
    /// Plain text.
    pub text: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Letter").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a letter did not go, or never will.
#[derive(Debug, Error)]
pub enum MailError {
    /// The settings make no relay; the sentence says why.
    #[error("{0}")]
    Settings(String),
    /// The address, the subject or the text make no letter.
    #[error("the letter cannot be written ({0})")]
    Letter(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The relay did not take it.
    #[error("the mail relay did not take the letter")]
    Relay(#[source] lettre::transport::smtp::Error),
}

/// What takes letters.
#[async_trait]
pub trait Post: Send + Sync {
    /// Hands one over. It is on its way when this answers, no more.
    async fn send(&self, letter: Letter) -> Result<(), MailError>;
}

/// A relay that speaks SMTP.
pub struct Relay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Relay {
    /// `url` is `smtps://[USER@]HOST[:PORT]` (TLS from the start) or `smtp://…` (STARTTLS; without it on loopback).
    pub fn new(url: &str, password: Option<String>, from: &str) -> Result<Self, MailError> {
        let settings = |why: String| MailError::Settings(why);
        let parsed = Url::parse(url).map_err(|_| settings("mail.url is no URL".into()))?;
        let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let is_loopback =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        type Smtp = AsyncSmtpTransport<Tokio1Executor>;
        let builder = match parsed.scheme() {
            "smtps" => Smtp::relay(host),
            "smtp" if is_loopback => Ok(Smtp::builder_dangerous(host)),
            "smtp" => Smtp::starttls_relay(host),
            _ => return Err(settings("mail.url begins with smtps:// or smtp://".into())),
        };
        let mut builder =
            builder.map_err(|error| settings(format!("mail.url names no usable relay ({error})")))?;
        if let Some(port) = parsed.port() {
            builder = builder.port(port);
        }
        match (parsed.username(), password) {
            ("", None) => {}
            ("", Some(_)) => {
                return Err(settings("mail.password_file is set, but mail.url names no user".into()));
            }
            (user, Some(password)) => {
                let user = percent_decoded(user)
                    .ok_or_else(|| settings("the user of mail.url is no text".into()))?;
                builder = builder.credentials(Credentials::new(user, password));
            }
            (_, None) => return Err(settings("mail.url names a user: set mail.password_file".into())),
        }
        let from = from.parse().map_err(|_| settings("mail.from is no address".into()))?;
        Ok(Self { transport: builder.timeout(Some(STEP_TIMEOUT)).build(), from })
    }
}

/// A URL's user name as it was meant.
fn percent_decoded(text: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(rest.next()?)? * 16 + digit(rest.next()?)?);
    }
    String::from_utf8(bytes).ok()
}

#[async_trait]
impl Post for Relay {
    async fn send(&self, letter: Letter) -> Result<(), MailError> {
        let to: Mailbox = letter.to.parse().map_err(|error| MailError::Letter(Box::new(error)))?;
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(letter.subject)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text)
            .map_err(|error| MailError::Letter(Box::new(error)))?;
        self.transport.send(message).await.map(drop).map_err(MailError::Relay)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};

    use super::*;

    #[test]
    fn settings_that_make_no_relay_say_what_to_change() {
        let refused = |url: &str, password: Option<&str>, from: &str| match Relay::new(
            url,
            password.map(str::to_owned),
            from,
        ) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{url} is a relay"),
        };
        let from = "Sequel <sequel@example.com>";
        assert!(refused("mail.example.com", None, from).contains("mail.url"));
        assert!(refused("http://mail.example.com", None, from).contains("smtps://"));
        assert!(refused("smtps://ada@mail.example.com", None, from).contains("mail.password_file"));
        assert!(refused("smtps://mail.example.com", Some("x"), from).contains("names no user"));
        assert!(refused("smtps://mail.example.com", None, "nobody").contains("mail.from"));
        assert!(Relay::new("smtps://a%40b@mail.example.com:465", Some("x".into()), from).is_ok());
    }

    /// A relay that takes one letter, as a child would write one, and hands back what it was told.
    fn one_letter_relay() -> (u16, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let relay = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let (mut said, mut in_letter) = (String::new(), false);
            stream.write_all(b"220 relay\r\n").unwrap();
            while let Some(Ok(line)) = lines.next() {
                said.push_str(&line);
                said.push('\n');
                let answer: &[u8] = match line.as_str() {
                    "." => b"250 taken\r\n",
                    _ if in_letter => continue,
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => break,
                    _ => b"250 relay\r\n",
                };
                in_letter = line == "DATA";
                stream.write_all(answer).unwrap();
                if line == "." {
                    break;
                }
            }
            said
        });
        (port, relay)
    }

    #[tokio::test]
    async fn a_letter_is_handed_over_and_its_head_cannot_be_written_into() {
        let (port, relay) = one_letter_relay();
        let post =
            Relay::new(&format!("smtp://127.0.0.1:{port}"), None, "Sequel <sequel@example.com>").unwrap();
        let letter = Letter {
            to: "ada@example.com".into(),
            subject: "You are invited\r\nBcc: eve@example.com".into(),
            text: "Follow http://localhost/x\n".into(),
        };
        post.send(letter).await.unwrap();
        let said = relay.join().unwrap();
        assert!(
            said.contains("RCPT TO:<ada@example.com>") && said.contains("Follow http://localhost/x"),
            "{said}"
        );
        assert!(
            !said.lines().any(|line| line.starts_with("Bcc:")) && !said.contains("RCPT TO:<eve"),
            "{said}"
        );
    }

    #[tokio::test]
    async fn a_relay_that_is_away_is_an_error_and_an_address_that_is_two_is_none() {
        let post = Relay::new("smtp://127.0.0.1:1", None, "sequel@example.com").unwrap();
        let letter = |to: &str| Letter { to: to.into(), subject: "x".into(), text: "x".into() };
        assert!(matches!(post.send(letter("ada@example.com")).await, Err(MailError::Relay(_))));
        let two = post.send(letter("ada@example.com, eve@example.com")).await;
        assert!(matches!(two, Err(MailError::Letter(_))));
    }
}
