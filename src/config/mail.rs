//! `[mail]`: the relay that letters go through.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::ConfigError;
use super::key::{Key, Kind, text};

/// The `[mail]` section.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// `smtps://[USER@]HOST[:PORT]` or `smtp://…`; empty: no letters.
    pub url: String,
    /// A file that holds the user's password; empty for none.
    pub password_file: PathBuf,
    /// The sender: an address, with a name before it where wanted.
    pub from: String,
}

pub(super) const KEYS: &[Key] = &[
    text(
        "mail.url",
        "empty, or the URL of a relay such as \"smtps://sequel@mail.example.com\"; its password goes into mail.password_file",
        is_relay,
    ),
    Key { path: "mail.password_file", kind: Kind::Path, secret: false },
    text("mail.from", "empty, or an address such as \"Sequel <sequel@example.com>\"", |from| {
        from.is_empty() || (from.contains('@') && !from.contains(['\r', '\n']) && from.len() <= 320)
    }),
];

fn is_relay(text: &str) -> bool {
    text.is_empty()
        || url::Url::parse(text).is_ok_and(|url| {
            let is_bare = matches!(url.path(), "" | "/") && url.query().is_none();
            matches!(url.scheme(), "smtp" | "smtps")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && url.password().is_none()
                && is_bare
        })
}

impl Mail {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match !self.url.is_empty() && self.from.is_empty() {
            true => Err(ConfigError::Contradiction(
                "mail.url names a relay, but mail.from no sender; set mail.from to an address.".to_owned(),
            )),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_an_smtp_url_without_a_password() {
        for good in
            ["", "smtps://mail.example.com", "smtp://u%40x@mail.example.com:587", "smtp://127.0.0.1:25"]
        {
            assert!(is_relay(good), "{good}");
        }
        for bad in
            ["mail.example.com", "https://mail.example.com", "smtps://u:p@mail.example.com", "smtp://h/x"]
        {
            assert!(!is_relay(bad), "{bad}");
        }
    }

    #[test]
    fn a_relay_without_a_sender_is_refused() {
        let mail = Mail { url: "smtps://mail.example.com".into(), ..Mail::default() };
        assert!(mail.check().unwrap_err().to_string().contains("mail.from"));
    }
}
