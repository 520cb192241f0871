//! On whose behalf a statement runs, for the logs of the database that it runs in.

use std::fmt;

/// Longest label, in characters: a name of an organization or a key has at most 100.
const LABEL_CHARS_MAX: usize = 64;

/// Labels without meaning to a connector, which passes them on where the database shows them to its own operator.
/// Empty where nobody in particular asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The organization's id.
    pub organization: String,
    /// Whoever asks: a credential's id.
    pub principal: String,
    /// The request's id, by which our own log knows it.
    pub request: String,
}

impl Origin {
    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        [&self.organization, &self.principal, &self.request].iter().all(|label| label.is_empty())
    }
}

/// `org=… principal=… request=…` in ASCII letters, digits and `-_.`: nothing in it can end a comment or a string.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels =
            [("org", &self.organization), ("principal", &self.principal), ("request", &self.request)];
        let mut blank = "";
        for (what, label) in labels.into_iter().filter(|(_, label)| !label.is_empty()) {
            write!(f, "{blank}{what}=")?;
            blank = " ";
            for char in label.chars().take(LABEL_CHARS_MAX) {
                let is_plain = char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
                write!(f, "{}", if is_plain { char } else { '_' })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_label_ends_a_comment_or_a_string() {
        let origin = Origin {
            organization: "a*/'; DROP".into(),
            principal: "\u{202e}x\n".repeat(100),
            request: String::new(),
        };
        let told = origin.to_string();
        assert!(told.starts_with("org=a__"), "{told}");
        assert!(told.chars().all(|char| char.is_ascii_alphanumeric() || "=-_. ".contains(char)), "{told}");
        assert!(told.len() < 200 && !told.contains("request"), "{told}");
        assert!(Origin::default().is_empty() && Origin::default().to_string().is_empty());
    }
}
