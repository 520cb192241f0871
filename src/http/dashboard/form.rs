//! What a form sends: `application/x-www-form-urlencoded`, at most so large, each field asked for by name.

use url::form_urlencoded;

/// Longest body of a form: 256 data sources, names and a description are far below.
pub(super) const FORM_BYTES_MAX: usize = 64 * 1024;

/// The fields of a form or of a query string, in their order.
#[derive(Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads what was sent. Bytes that are no UTF-8 become replacement characters, which no name may contain.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// All fields.
    pub(super) fn fields(&self) -> &[(String, String)] {
        &self.0
    }

    /// A field's value; empty where it was not sent. Of several, the first.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// A field's value without the spaces around it, for names and addresses; never for a password.
    pub(super) fn trimmed(&self, name: &str) -> &str {
        self.get(name).trim()
    }

    /// Whether what the form was made of is not what there is any more. A form that was written by hand does not say.
    pub(super) fn is_stale(&self, seen: &str) -> bool {
        !["", seen].contains(&self.get("seen"))
    }

    /// All values of a field that may be sent several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// What somebody is told whose form shows what is not so any more.
pub(super) const STALE: &str = "It was changed by somebody since you opened this. Nothing was saved yet: save again to replace that, or look first.";

/// What a form was made of, to be sent along: whoever saves it is told if that has changed meanwhile.
pub(super) fn seen(shown: &impl serde::Serialize) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, &serde_json::to_vec(shown).unwrap_or_default());
    digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name_and_the_first_of_several_counts() {
        let form = Form::parse(b"name=a%20b&source=1&source=2&name=c&empty=");
        assert_eq!((form.get("name"), form.get("empty"), form.get("missing")), ("a b", "", ""));
        assert_eq!(form.all("source").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn noise_is_a_form_as_well() {
        for bytes in [&b"\xff=\xfe&&==%zz"[..], b"%", b"a"] {
            assert_eq!(Form::parse(bytes).get("name"), "");
        }
    }
}
