//! A browser as far as the server can tell: it keeps cookies, follows redirects, and sends the forms that it was given.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::server::{Home, TestServer};
use crate::wire::Answer;

pub(crate) const PASSWORD: &str = "seven quiet rivers upstream";

/// A server whose passwords cost little: what they cost is not what these tests are about.
pub(crate) fn serve(home: &Home) -> TestServer {
    serve_with(home, &[])
}

pub(crate) fn serve_with(home: &Home, more: &[(&str, &str)]) -> TestServer {
    let cheap = [("SEQUEL__PASSWORDS__MEMORY_KIB", "8192"), ("SEQUEL__PASSWORDS__ITERATIONS", "1")];
    home.serve_with(&cheap.iter().chain(more).copied().collect::<Vec<_>>())
}

pub(crate) struct Browser<'a> {
    server: &'a TestServer,
    cookies: BTreeMap<String, String>,
    /// The token of the form on the page that was seen last.
    pub(crate) csrf: String,
}

impl<'a> Browser<'a> {
    pub(crate) fn new(server: &'a TestServer) -> Self {
        Self { server, cookies: BTreeMap::new(), csrf: String::new() }
    }

    /// The browser of a new user, who has a password and is signed in.
    pub(crate) fn of(server: &'a TestServer, email: &str) -> Self {
        let made = server.done("POST", "/users", json!({ "email": email }));
        let link = made["link"].as_str().unwrap();
        let mut browser = Self::new(server);
        let path = link.split_once("/reset/").map(|(_, token)| format!("/reset/{token}")).unwrap();
        assert_eq!(browser.get(&path).status, 200);
        let set = browser.post(&path, &[("password", PASSWORD)]);
        assert_eq!((set.status, set.header("location")), (303, Some("/sign-in?after=password")));
        browser.sign_in(email, PASSWORD);
        browser
    }

    pub(crate) fn sign_in(&mut self, email: &str, password: &str) {
        assert_eq!(self.get("/sign-in").status, 200);
        let answer = self.post("/sign-in", &[("email", email), ("password", password)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
    }

    /// The same browser, looked at from elsewhere: what it sends, a thief sends as well.
    pub(crate) fn copy(&self) -> Self {
        Self { server: self.server, cookies: self.cookies.clone(), csrf: self.csrf.clone() }
    }

    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.get(name).map(String::as_str)
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        let answer = self.send("GET", path, &[], b"");
        if let Some((_, rest)) = answer.text().split_once("name=\"csrf\" value=\"") {
            self.csrf = rest.split('"').next().unwrap().to_owned();
        }
        answer
    }

    /// Sends a form as it stands on the page that was seen last.
    pub(crate) fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let csrf = self.csrf.clone();
        let fields: Vec<_> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        self.post_bare(path, &fields)
    }

    /// The same without the token.
    pub(crate) fn post_bare(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.send("POST", path, &[("Content-Type", "application/x-www-form-urlencoded")], body.as_bytes())
    }

    pub(crate) fn send(&mut self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut headers = vec![("Cookie", cookies.as_str())];
        headers.extend(more);
        let answer = self.server.http(method, path, &headers, body);
        for (_, set) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Sends a form and looks where that leads.
    pub(crate) fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let answer = self.post(path, fields);
        assert_eq!(answer.status, 303, "{}", answer.text());
        let to = answer.header("location").unwrap().to_owned();
        self.get(&to)
    }
}

/// The first key in a text.
pub(crate) fn key_in(text: &str) -> Option<String> {
    // A page marks the part of it that stays visible.
    let text: String = text.replace("</span>", "").replace("</b>", "");
    let mut rest = text.as_str();
    while let Some(at) = rest.find("sql_") {
        let key: String = rest[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if key.len() == 79 - 4 {
            return Some(key);
        }
        rest = &rest[at + 4..];
    }
    None
}

/// An organization with an owner, whose browser this is.
pub(crate) fn owner<'a>(server: &'a TestServer, org: &str, email: &str) -> (Browser<'a>, String) {
    server.org(org);
    let browser = Browser::of(server, email);
    let add = json!({ "user": email, "role": "owner" });
    server.done("POST", &format!("/orgs/{org}/members"), add);
    let id = server.done("GET", &format!("/orgs/{org}"), Value::Null)["id"].as_str().unwrap().to_owned();
    (browser, format!("/orgs/{id}"))
}
