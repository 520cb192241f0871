//! Fields of forms: one shape and one template for all, so that label, help, error and their ties are right everywhere.
//!
//! A context holds the value and the error of each field ([`Input`]); its words are its page's.

use askama::Template;
use askama::filters::HtmlSafe;

use super::filters;

/// What was typed into a field, and what is wrong with it. Typed values survive every error, secrets excepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Input {
    /// As it was typed.
    pub value: String,
    /// One sentence: what to change.
    pub error: Option<String>,
}

impl Input {
    /// A value without an error.
    pub fn of(value: impl Into<String>) -> Self {
        Self { value: value.into(), error: None }
    }

    /// A value and what is wrong with it.
    pub fn wrong(value: impl Into<String>, error: impl Into<String>) -> Self {
        Self { value: value.into(), error: Some(error.into()) }
    }
}

/// One of several values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// What is sent.
    pub value: String,
    /// What is read.
    pub label: String,
}

impl Pick {
    /// A value and its label.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into() }
    }
}

/// How a field is filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A line of text.
    Text,
    /// An email address.
    Email,
    /// A number.
    Number,
    /// Several lines of text.
    Lines,
    /// What is never shown again: a password.
    Secret,
    /// The same in several lines.
    SecretLines,
    /// One of several.
    Choice(Vec<Pick>),
    /// Yes or no.
    Tick,
}

/// A field as it is shown.
#[derive(Debug, Clone, Template)]
#[template(path = "field.html")]
pub struct Field {
    /// Its name in the form, and its id in the page.
    pub name: String,
    /// Its label.
    pub label: String,
    /// How it is filled in.
    pub control: Control,
    /// What was typed. Never that of a secret.
    pub value: String,
    /// What helps to fill it in.
    pub help: Option<String>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// The browser's word for it: `username`, `new-password`, `off`.
    pub autocomplete: &'static str,
    /// Whether it must be filled in.
    pub required: bool,
    /// Whether it is read by machines: hosts, paths.
    pub mono: bool,
    /// Whether it is where typing begins.
    pub first: bool,
    /// Most characters.
    pub longest: Option<usize>,
    /// What has to be typed, for a confirmation.
    pub expect: Option<String>,
}

/// Its template escapes what is in it.
impl HtmlSafe for Field {}

impl Field {
    /// A required line of text.
    pub fn text(name: &str, label: &str, input: &Input) -> Self {
        Self::new(name, label, Control::Text, input)
    }

    /// A required email address.
    pub fn email(name: &str, label: &str, input: &Input) -> Self {
        Self { autocomplete: "username", longest: Some(254), ..Self::new(name, label, Control::Email, input) }
    }

    /// A required secret. What was typed is forgotten.
    pub fn secret(name: &str, label: &str, autocomplete: &'static str, error: Option<&String>) -> Self {
        let input = Input { value: String::new(), error: error.cloned() };
        Self { autocomplete, ..Self::new(name, label, Control::Secret, &input) }
    }

    /// A password that is chosen.
    pub(super) fn new_password(label: &str, error: Option<&String>) -> Self {
        Self::secret("password", label, "new-password", error).help(
            "At least 12 characters. A few random words are easier to remember and harder to guess than symbols.",
        )
    }

    /// One of several.
    pub fn choice(name: &str, label: &str, choices: Vec<Pick>, input: &Input) -> Self {
        Self::new(name, label, Control::Choice(choices), input)
    }

    /// Confirms by typing a name.
    pub(super) fn confirmation(expected: &str, typed: &Input) -> Self {
        let field = Self::text("confirm", &format!("Type {expected} to confirm"), typed).mono().first();
        Self { expect: Some(expected.to_owned()), ..field }
    }

    /// A field of any kind.
    pub fn new(name: &str, label: &str, control: Control, input: &Input) -> Self {
        Self {
            name: name.to_owned(),
            label: label.to_owned(),
            control,
            value: input.value.clone(),
            help: None,
            error: input.error.clone(),
            autocomplete: "off",
            required: true,
            mono: false,
            first: false,
            longest: None,
            expect: None,
        }
    }

    /// With a sentence that helps.
    pub fn help(self, help: &str) -> Self {
        Self { help: Some(help.to_owned()), ..self }
    }

    /// Where typing begins.
    pub fn first(self) -> Self {
        Self { first: true, ..self }
    }

    /// Holds at most so many characters.
    pub fn longest(self, characters: usize) -> Self {
        Self { longest: Some(characters), ..self }
    }

    /// May stay empty.
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    /// Read by machines.
    pub fn mono(self) -> Self {
        Self { mono: true, ..self }
    }

    /// Known to the browser by this word.
    pub fn autocomplete(self, word: &'static str) -> Self {
        Self { autocomplete: word, ..self }
    }

    /// The ids of what describes it, for `aria-describedby`.
    fn described_by(&self) -> Option<String> {
        let ids = [
            self.help.is_some().then(|| format!("{}-help", self.name)),
            self.error.is_some().then(|| format!("{}-error", self.name)),
        ];
        let ids: Vec<String> = ids.into_iter().flatten().collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }

    /// The type of its `<input>`.
    fn input_type(&self) -> &'static str {
        match self.control {
            Control::Email => "email",
            Control::Secret => "password",
            _ => "text",
        }
    }

    /// Whether what was typed may be shown again.
    fn shows(&self) -> bool {
        !matches!(self.control, Control::Secret | Control::SecretLines)
    }

    fn class(&self) -> &'static str {
        if self.mono { "in mono" } else { "in" }
    }
}

/// These fields, with typing to begin in the first of them that has to change.
pub(super) fn arranged(mut fields: Vec<Field>) -> Vec<Field> {
    if let Some(wrong) = fields.iter().position(|field| field.error.is_some()) {
        fields.iter_mut().enumerate().for_each(|(at, field)| field.first = at == wrong);
    }
    fields
}

/// What stands above a form that was not taken: each field that has to change, as a link to it.
#[derive(Debug, Clone, Template)]
#[template(path = "problems.html")]
pub struct Problems {
    fields: Vec<(String, String)>,
}

impl HtmlSafe for Problems {}

impl Problems {
    /// Of these fields; shows nothing where all are well.
    pub fn of<'a>(fields: impl IntoIterator<Item = &'a Field>) -> Self {
        let fields = fields.into_iter().filter(|field| field.error.is_some());
        Self { fields: fields.map(|field| (field.name.clone(), field.label.clone())).collect() }
    }
}
