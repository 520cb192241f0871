//! Where a database is and how it is reached: settings, held against what is allowed.
//!
//! Owns which forms there are. What is left out on purpose: several hosts, sockets, service and password files, paths of
//! certificates on this machine, and whatever else would make a connection go where the settings do not say.

use std::time::Duration;

use sequel_connector::{
    Configuration, Declaration, OpenError, Secret, Secrets, Setting, SettingKind, Settings, nearest,
};
use serde_json::Value;
use url::Url;

/// How certificates are looked at; the first is the default.
const TLS: &[&str] = &["verify-full", "verify-ca", "require", "disable"];
/// Longest statement timeout that a source may ask for; the server's own limit on time holds beside it.
const STATEMENT_SECONDS_MAX: u64 = 3_600;
/// Most characters of a text, and of a certificate chain.
const TEXT_CHARS_MAX: usize = 255;
/// Three of them and what is around fit a record of 64 KiB.
const PEM_CHARS_MAX: usize = 12 * 1024;
/// Most schemas that can be named.
const SCHEMAS_MAX: usize = 100;

const fn setting(name: &'static str, label: &'static str, kind: SettingKind, help: &'static str) -> Setting {
    Setting { name, label, help, kind, required: false }
}

/// What it asks for.
pub const DECLARATION: Declaration = Declaration {
    word: "postgres",
    label: "PostgreSQL",
    settings: &[
        setting(
            "url",
            "Connection URL",
            SettingKind::Secret,
            "postgres://user:password@host:5432/database, in place of the five fields that follow.",
        ),
        setting("host", "Host", SettingKind::Line, "Name or address of the server."),
        setting("port", "Port", SettingKind::Number, "5432 where nothing is said."),
        setting("database", "Database", SettingKind::Line, "Its name."),
        setting(
            "user",
            "User",
            SettingKind::Line,
            "A role that may do no more than read what Sequel shall show: no superuser, no owner of tables.",
        ),
        setting(
            "password",
            "Password",
            SettingKind::Secret,
            "Sealed on save. It can be replaced, never shown.",
        ),
        setting(
            "tls",
            "TLS",
            SettingKind::Choice(TLS),
            "verify-full looks whether the certificate is for this host, verify-ca only who issued it, require not at \
             all; disable sends everything in the clear.",
        ),
        setting(
            "ca",
            "Certificate authority",
            SettingKind::Lines,
            "Certificates in PEM form that the server's must be issued by; the system's where nothing is said.",
        ),
        setting(
            "client_certificate",
            "Client certificate",
            SettingKind::Lines,
            "In PEM form, where the server asks for one.",
        ),
        setting(
            "client_key",
            "Key of the client certificate",
            SettingKind::SecretLines,
            "In PEM form. Sealed on save. It can be replaced, never shown.",
        ),
        setting(
            "schemas",
            "Schemas",
            SettingKind::Line,
            "Those whose tables are listed, with commas between them; all that the role may use where nothing is said.",
        ),
        setting(
            "statement_timeout_seconds",
            "Longest statement in seconds",
            SettingKind::Number,
            "The server stops a statement after it. This server's own limit (query.time_max_ms) holds as well.",
        ),
        setting(
            "samples",
            "Show sample values",
            SettingKind::On,
            "A few short values of each column stand in the description of a table.",
        ),
    ],
    routing: &["host", "port", "user", "tls", "ca"],
};

/// How the connection is encrypted, and whose certificate is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tls {
    /// The certificate must be for the host.
    VerifyFull,
    /// It must be of a known authority.
    VerifyCa,
    /// Any will do.
    Require,
    /// In the clear.
    Disable,
}

/// A configuration that was read.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) tls: Tls,
    pub(crate) ca: Option<String>,
    pub(crate) client_certificate: Option<String>,
    pub(crate) client_key: Option<Secret>,
    pub(crate) schemas: Vec<String>,
    pub(crate) statement_timeout: Option<Duration>,
    pub(crate) samples: bool,
}

fn wrong<T>(sentence: impl Into<String>) -> Result<T, OpenError> {
    Err(OpenError::Settings(sentence.into()))
}

impl Place {
    /// Reads a configuration; a member that is not known is refused.
    pub(crate) fn read(given: &Configuration) -> Result<Self, OpenError> {
        let Configuration { settings, secrets } = given;
        if let Some(unknown) =
            settings.keys().chain(secrets.keys()).find(|name| DECLARATION.setting(name).is_none())
        {
            return wrong(unknown_setting(unknown));
        }
        let mut secrets = secrets.clone();
        let from_url = match secrets.remove("url") {
            Some(url) => Some(of_url(url.expose())?),
            None => None,
        };
        let fields = ["host", "port", "database", "user"];
        if from_url.is_some() && fields.iter().any(|field| !is_empty(settings.get(*field))) {
            return wrong("Give either the URL or host, port, database and user, not both.");
        }
        let (address, mut url_secrets) = from_url.unwrap_or_else(|| (settings.clone(), Secrets::new()));
        // Of the URL first: beside it the other may be one that was stored before.
        let password = url_secrets.remove("password").or_else(|| secrets.remove("password"));
        let needed = |name: &str| match line(&address, name)? {
            Some(text) => Ok(text),
            None => {
                wrong(format!("Say what the {name} is, or give a URL such as postgres://user@host/database."))
            }
        };
        let host = needed("host")?;
        check_host(&host)?;
        let place = Self {
            host,
            port: number(&address, "port", 65_535)?.unwrap_or(5432) as u16,
            database: needed("database")?,
            user: needed("user")?,
            password,
            tls: tls(address.get("tls").or(settings.get("tls")))?,
            ca: pem(settings, "ca")?,
            client_certificate: pem(settings, "client_certificate")?,
            client_key: secrets.remove("client_key").map(|key| Secret::new(with_lines(key.expose()))),
            schemas: schemas(settings.get("schemas"))?,
            statement_timeout: number(settings, "statement_timeout_seconds", STATEMENT_SECONDS_MAX)?
                .map(Duration::from_secs),
            samples: match settings.get("samples") {
                None => true,
                Some(Value::Bool(samples)) => *samples,
                Some(_) => return wrong("The setting \"samples\" is true or false."),
            },
        };
        if place.client_certificate.is_some() != place.client_key.is_some() {
            return wrong(
                "A client certificate needs its key, and a key its certificate. Give both or neither.",
            );
        }
        if place.tls == Tls::Require && place.ca.is_some() {
            return wrong(
                "With \"require\" nobody looks at the certificate authority. Choose verify-ca or verify-full, or leave \
                 the authority out.",
            );
        }
        if place.tls == Tls::Disable && (place.ca.is_some() || place.client_certificate.is_some()) {
            return wrong(
                "Certificates mean nothing without TLS. Choose verify-full, or leave the certificates out.",
            );
        }
        Ok(place)
    }

    /// The same in canonical form: fields in place of a URL, and defaults left out.
    pub(crate) fn canonical(&self) -> Configuration {
        let mut settings = Settings::from_iter([
            ("host".to_owned(), Value::from(self.host.as_str())),
            ("database".to_owned(), self.database.as_str().into()),
            ("user".to_owned(), self.user.as_str().into()),
        ]);
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                settings.insert(name.to_owned(), value);
            }
        };
        set("port", (self.port != 5432).then(|| self.port.into()));
        set("tls", (self.tls != Tls::VerifyFull).then(|| TLS[self.tls as usize].into()));
        set("ca", self.ca.as_deref().map(Value::from));
        set("client_certificate", self.client_certificate.as_deref().map(Value::from));
        set("schemas", (!self.schemas.is_empty()).then(|| self.schemas.clone().into()));
        set("statement_timeout_seconds", self.statement_timeout.map(|time| time.as_secs().into()));
        set("samples", (!self.samples).then(|| false.into()));
        let secrets = [("password", &self.password), ("client_key", &self.client_key)];
        let secrets =
            secrets.into_iter().filter_map(|(name, secret)| Some((name.to_owned(), secret.clone()?)));
        Configuration { settings, secrets: secrets.collect() }
    }
}

fn unknown_setting(unknown: &str) -> String {
    let shown: String = unknown.chars().take(64).collect();
    if ["hostaddr", "sslrootcert", "sslcert", "sslkey", "passfile", "service", "options"].contains(&unknown) {
        return format!(
            "The setting \"{shown}\" is not allowed, because it would reach past this form. Leave it out."
        );
    }
    let known = DECLARATION.settings.iter().map(|setting| setting.name);
    let guess =
        nearest(unknown, known.clone()).map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
    let known: Vec<_> = known.collect();
    format!("PostgreSQL data sources have no setting \"{shown}\"; there are {}.{guess}", known.join(", "))
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    }
}

/// One line of text; `None` where it is empty.
fn line(settings: &Settings, name: &str) -> Result<Option<String>, OpenError> {
    let value = settings.get(name);
    if is_empty(value) {
        return Ok(None);
    }
    match value {
        Some(Value::String(text)) => {
            let text = text.trim();
            if text.chars().count() > TEXT_CHARS_MAX || text.chars().any(char::is_control) {
                return wrong(format!(
                    "The setting \"{name}\" has at most {TEXT_CHARS_MAX} characters and no control characters."
                ));
            }
            Ok(Some(text.to_owned()))
        }
        _ => wrong(format!("The setting \"{name}\" is a text.")),
    }
}

/// A number from 1 on, as JSON or as the text of a form.
fn number(settings: &Settings, name: &str, most: u64) -> Result<Option<u64>, OpenError> {
    let value = settings.get(name);
    if is_empty(value) {
        return Ok(None);
    }
    let number = match value {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number| (1..=most).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => wrong(format!("The setting \"{name}\" is a whole number from 1 to {most}.")),
    }
}

fn pem(settings: &Settings, name: &str) -> Result<Option<String>, OpenError> {
    let value = settings.get(name);
    if is_empty(value) {
        return Ok(None);
    }
    match value {
        Some(Value::String(text))
            if text.len() <= PEM_CHARS_MAX && text.contains("-----BEGIN CERTIFICATE-----") =>
        {
            Ok(Some(with_lines(text)))
        }
        _ => wrong(format!(
            "The setting \"{name}\" is the text of a certificate (-----BEGIN CERTIFICATE-----…), not the path of a file."
        )),
    }
}

/// Characters of a line of PEM.
const PEM_LINE_CHARS: usize = 64;

/// A text in PEM form, the same however it came: pasted into one line, with the line breaks of a form, or with what programs
/// write around it. A certificate that is sent back as it was shown is no other one.
fn with_lines(pem: &str) -> String {
    let mut lines = Vec::new();
    let mut is_inside = false;
    for part in pem.split("-----").map(str::trim).filter(|part| !part.is_empty()) {
        if part.starts_with("BEGIN ") || part.starts_with("END ") {
            is_inside = part.starts_with("BEGIN ");
            lines.push(format!("-----{part}-----"));
        } else if is_inside && part.contains(':') {
            // The headers of a key under a password: said to be one by whoever reads it.
            lines.extend(part.lines().map(|line| line.trim().to_owned()));
        } else if is_inside {
            let body: Vec<char> = part.chars().filter(|char| !char.is_whitespace()).collect();
            lines.extend(body.chunks(PEM_LINE_CHARS).map(|line| line.iter().collect()));
        }
    }
    lines.join("\n")
}

fn tls(value: Option<&Value>) -> Result<Tls, OpenError> {
    match value {
        None | Some(Value::Null) => Ok(Tls::VerifyFull),
        Some(Value::String(mode)) => match mode.as_str() {
            "" | "verify-full" => Ok(Tls::VerifyFull),
            "verify-ca" => Ok(Tls::VerifyCa),
            "require" => Ok(Tls::Require),
            "disable" => Ok(Tls::Disable),
            "allow" | "prefer" => wrong(
                "TLS that is used only where it happens to be offered protects nothing. Choose verify-full.",
            ),
            _ => wrong(format!("The setting \"tls\" is one of {}.", TLS.join(", "))),
        },
        Some(_) => wrong(format!("The setting \"tls\" is one of {}.", TLS.join(", "))),
    }
}

/// A list, or a text with commas.
fn schemas(value: Option<&Value>) -> Result<Vec<String>, OpenError> {
    let names: Vec<&str> = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::String(text)) => text.split(',').collect(),
        Some(Value::Array(names)) => match names.iter().map(Value::as_str).collect() {
            Some(names) => names,
            None => return wrong("The setting \"schemas\" is a list of names."),
        },
        Some(_) => return wrong("The setting \"schemas\" is a list of names."),
    };
    let names: Vec<String> =
        names.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if names.len() > SCHEMAS_MAX || names.iter().any(|name| name.len() > 63 || name.contains('\0')) {
        return wrong(format!(
            "The setting \"schemas\" names at most {SCHEMAS_MAX} schemas of at most 63 bytes each."
        ));
    }
    Ok(names)
}

/// One host: no list, no socket, nothing that only looks like a name.
fn check_host(host: &str) -> Result<(), OpenError> {
    if host.starts_with(['/', '@']) {
        return wrong("Unix sockets are not allowed. Give the name of a host.");
    }
    let is_name = |char: char| char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_');
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    if !is_address && (!host.chars().all(is_name) || host.starts_with('-')) {
        return wrong(
            "The host is one name such as db.example.com, or one address: no list, no port, no brackets. Names beyond \
             ASCII are written in their xn-- form.",
        );
    }
    Ok(())
}

/// Takes `postgres://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?sslmode=MODE]` apart. No error repeats any of it.
fn of_url(text: &str) -> Result<(Settings, Secrets), OpenError> {
    const FORM: &str =
        "Write postgres://user:password@host:5432/database, with %40 for an @ in a name or password.";
    let Ok(url) = Url::parse(text.trim()) else { return wrong(format!("The URL cannot be read. {FORM}")) };
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return wrong(format!("The URL does not begin with postgres://. {FORM}"));
    }
    let part = |text: &str| match decoded(text) {
        Some(text) => Ok(text),
        None => wrong(format!("A part of the URL is not text in UTF-8. {FORM}")),
    };
    let host = part(url.host_str().unwrap_or_default())?;
    let database = part(url.path().trim_start_matches('/'))?;
    let mut settings = Settings::from_iter([
        ("host".to_owned(), Value::from(host.trim_matches(['[', ']']))),
        ("database".to_owned(), database.into()),
        ("user".to_owned(), part(url.username())?.into()),
    ]);
    if let Some(port) = url.port() {
        settings.insert("port".to_owned(), port.into());
    }
    for (name, value) in url.query_pairs() {
        match &*name {
            "sslmode" if !settings.contains_key("tls") => {
                settings.insert("tls".to_owned(), value.into_owned().into());
            }
            // What clients add for their own purposes.
            "application_name" | "connect_timeout" => {}
            name => return wrong(format!("Parameter of the URL: {}", unknown_setting(name))),
        }
    }
    let mut secrets = Secrets::new();
    if let Some(password) = url.password() {
        secrets.insert("password".to_owned(), Secret::new(part(password)?));
    }
    Ok((settings, secrets))
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

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
