//! The parameters of a request (RFC 6749 §3.1, §3.2): none may be there twice, and one without a value is none.

use super::error::{Code, Refusal};

/// Parameters in the order in which they came, decoded.
#[derive(Debug, Clone, Copy)]
pub struct Params<'a>(pub &'a [(String, String)]);

impl<'a> Params<'a> {
    /// A parameter's value; `None` where it was left out or is empty, refused where it is there several times.
    pub fn get(self, name: &str) -> Result<Option<&'a str>, Refusal> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Refusal::new(
                Code::InvalidRequest,
                format!("the parameter {name} is there more than once"),
            )),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }

    /// The same of one that has to be there.
    pub fn need(self, name: &str) -> Result<&'a str, Refusal> {
        let missing = || Refusal::new(Code::InvalidRequest, format!("the parameter {name} is missing"));
        self.get(name)?.ok_or_else(missing)
    }

    /// All values of a parameter that may be there several times.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
pub(super) fn params(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_once_or_not_at_all() {
        let pairs = params(&[("a", "1"), ("b", ""), ("c", "1"), ("c", "1")]);
        let params = Params(&pairs);
        assert_eq!(params.get("a").unwrap(), Some("1"));
        assert_eq!(params.get("b").unwrap(), None, "one without a value counts as left out");
        assert_eq!(params.get("missing").unwrap(), None);
        assert_eq!(params.get("c").unwrap_err().code, Code::InvalidRequest);
        assert_eq!(params.need("b").unwrap_err().code, Code::InvalidRequest);
        assert_eq!(params.all("c").count(), 2);
    }
}
