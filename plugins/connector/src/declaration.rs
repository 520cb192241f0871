//! What a connector asks for, as a value: forms, flags and documents are made from it.
//!
//! Says what settings are called and how they are filled in; what is right in them the connector alone decides.

/// One kind of database and what has to be said to connect one.
#[derive(Debug, PartialEq, Eq)]
pub struct Declaration {
    /// `sqlite`, `postgres`, …: the word that a configured source names it by.
    pub word: &'static str,
    /// What people call it: `SQLite`.
    pub label: &'static str,
    /// Its settings in the order in which they are asked for.
    pub settings: &'static [Setting],
    /// Those of them that decide where secrets are sent and who can read them on their way. Who changes one has to give
    /// the secrets anew: else whoever may edit a source, but not see its password, could have it sent to themselves.
    pub routing: &'static [&'static str],
}

impl Declaration {
    /// One of the settings.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Whether a setting is a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.setting(name).is_some_and(|setting| setting.kind.is_secret())
    }
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in the settings: lower case, with `_` between words.
    pub name: &'static str,
    /// Its label in a form: few words.
    pub label: &'static str,
    /// One or two sentences: what it is, and what happens without it.
    pub help: &'static str,
    /// How it is filled in.
    pub kind: SettingKind,
    /// Whether nothing can be connected without it.
    pub required: bool,
}

/// How a setting is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// A path, a host, a name: one line.
    Line,
    /// A number.
    Number,
    /// Several lines, such as a certificate.
    Lines,
    /// What is sealed, and can be replaced but never shown.
    Secret,
    /// The same in several lines, such as the key of a certificate.
    SecretLines,
    /// One of several; the first is what holds where nothing is said.
    Choice(&'static [&'static str]),
    /// Yes, unless it is taken away.
    On,
}

impl SettingKind {
    /// Whether it is sealed.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Secret | Self::SecretLines)
    }
}
