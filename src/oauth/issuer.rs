//! The answer that a person carries back to the client (RFC 6749 §4.1.2), which says on success and on error who it is
//! from (RFC 9207), so that a client that speaks to several servers cannot be led to give one's code to another.

use super::error::Refusal;
use super::redirect::RedirectUri;

/// What a client is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A code.
    Code(&'a str),
    /// No.
    Refused(&'a Refusal),
}

/// The URL to go to.
pub fn answer(issuer: &str, redirect: &RedirectUri, state: Option<&str>, answer: Answer<'_>) -> String {
    let mut url = redirect.as_str().to_owned();
    let mut separator = if url.contains('?') { '&' } else { '?' };
    let mut add = |name: &str, value: &str| {
        url.push(separator);
        separator = '&';
        url.push_str(name);
        url.push('=');
        encode_into(&mut url, value);
    };
    match answer {
        Answer::Code(code) => add("code", code),
        Answer::Refused(refusal) => {
            add("error", refusal.code.word());
            add("error_description", &refusal.description);
        }
    }
    if let Some(state) = state {
        add("state", state);
    }
    add("iss", issuer);
    url
}

/// `application/x-www-form-urlencoded` (RFC 6749, appendix B), with `%20` for a space, which every decoder knows.
fn encode_into(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Code;
    use super::*;

    const ISSUER: &str = "https://honest.as.example";

    #[test]
    fn success_and_error_say_who_they_are_from() {
        // The shape of RFC 9207 §2.3 and of RFC 6749 §4.1.2.1.
        let to = RedirectUri::parse("https://client.example/cb").unwrap();
        assert_eq!(
            answer(
                ISSUER,
                &to,
                Some("ZWVlNDBlYzA1NjdkMDNhYjg3ZjUxZjAyNGQzMTM2NzI"),
                Answer::Code("x1848ZT64p4IirMPT0R")
            ),
            "https://client.example/cb?code=x1848ZT64p4IirMPT0R&state=ZWVlNDBlYzA1NjdkMDNhYjg3ZjUxZjAyNGQzMTM2NzI&iss=https%3A%2F%2Fhonest.as.example"
        );
        let refusal = Refusal::new(Code::AccessDenied, "no, thank you");
        assert_eq!(
            answer(ISSUER, &to, None, Answer::Refused(&refusal)),
            "https://client.example/cb?error=access_denied&error_description=no%2C%20thank%20you&iss=https%3A%2F%2Fhonest.as.example"
        );
    }

    #[test]
    fn a_query_that_is_there_stays_and_a_state_cannot_add_to_it() {
        let to = RedirectUri::parse("cursor://mcp/cb?a=1").unwrap();
        let url = answer(ISSUER, &to, Some("x&code=evil#\u{e9}\r\n"), Answer::Code("c"));
        assert_eq!(
            url,
            "cursor://mcp/cb?a=1&code=c&state=x%26code%3Devil%23%C3%A9%0D%0A&iss=https%3A%2F%2Fhonest.as.example"
        );
    }
}
