//! What surrounds a page, filled: the organizations of the reader, what just happened.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;

use super::reply::{Failed, Reply};
use super::visit::{Inside, Session, Visit};
use crate::org::ChangeError;
use crate::org::permission::Action;
use crate::pages::{Member, Name, OrgLink, Paging, Room, Shell};

/// How long a toast waits to be shown.
const TOAST_SECONDS: u32 = 60;
/// Longest toast, in bytes; a cookie has about 4 KiB.
const TOAST_BYTES_MAX: usize = 1_000;

/// Where an organization's pages are.
pub(super) fn base_of(org: impl std::fmt::Display) -> String {
    format!("/orgs/{org}")
}

impl Visit {
    /// Which rows of a long list the address asks for, and the way to the others; `at` is the address of the part that
    /// begins with a row.
    pub(super) fn part_of(
        &self,
        total: usize,
        rows: usize,
        at: impl Fn(usize) -> String,
    ) -> (Range<usize>, Paging) {
        let from = self.query.get("from").parse::<usize>().unwrap_or(0).min(total);
        let end = total.min(from + rows);
        let previous = (from > 0).then(|| at(from.saturating_sub(rows)));
        let paging = Paging { shown: end - from, total, previous, next: (end < total).then(|| at(end)) };
        (from..end, paging)
    }

    /// Around a page of a visitor.
    pub(super) fn visitors_shell(&self, here: Room) -> Shell {
        Shell {
            org: None,
            others: Vec::new(),
            member: None,
            here,
            sees_audit: false,
            failing_sources: 0,
            toast: None,
        }
    }
}

impl Session {
    /// Around a page of no organization.
    pub(super) async fn shell(&self, here: Room) -> Result<Shell, ChangeError> {
        self.shell_with(None, here).await
    }

    async fn shell_with(&self, org: Option<String>, here: Room) -> Result<Shell, ChangeError> {
        let mine = self.dashboard().people.orgs_of(self.who.user).await?;
        let links =
            mine.into_iter().map(|mine| OrgLink { name: Name::new(mine.name), base: base_of(mine.id) });
        let (here_now, others): (Vec<_>, Vec<_>) = links.partition(|link| Some(&link.base) == org.as_ref());
        Ok(Shell {
            org: here_now.into_iter().next(),
            others,
            member: Some(Member { email: Name::new(self.who.record.email.to_string()), csrf: self.csrf() }),
            here,
            sees_audit: false,
            failing_sources: 0,
            toast: self.toast.clone(),
        })
    }

    /// A page that may carry a toast: it is shown this once.
    pub(super) fn show(&self, page: &impl crate::pages::Template) -> Result<Reply, Failed> {
        let reply = Reply::page(page)?;
        Ok(if self.toast.is_some() { reply.cookie(&self.short_cookie("toast", "", 0)) } else { reply })
    }

    /// Go there and say what happened, in the past tense.
    pub(super) fn done(&self, to: &str, toast: &str) -> Reply {
        Reply::see(to).cookie(&self.toast_for(&self.cookie, toast))
    }

    /// The cookie of a toast, to be shown to the session with this secret.
    pub(super) fn toast_for(&self, secret: &str, toast: &str) -> String {
        self.short_cookie("toast", &write_toast(secret, toast), TOAST_SECONDS)
    }
}

impl Inside {
    /// Where the organization's pages are.
    pub(super) fn base(&self) -> String {
        base_of(self.member.org_id())
    }

    /// Around a page of the organization.
    pub(super) async fn org_shell(&self, here: Room) -> Result<Shell, ChangeError> {
        let sources = self.member.list_sources()?;
        Ok(Shell {
            sees_audit: self.member.may(Action::Audit),
            failing_sources: sources.iter().filter(|source| source.failing().is_some()).count(),
            ..self.shell_with(Some(self.base()), here).await?
        })
    }
}

fn mac(secret: &str, text: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    BASE64.encode(hmac::sign(&key, format!("sequel toast 1 {text}").as_bytes()))
}

/// A toast as a cookie: what another site may have planted is not shown.
fn write_toast(secret: &str, text: &str) -> String {
    let mut end = text.len().min(TOAST_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    format!("{}.{}", BASE64.encode(text), mac(secret, text))
}

/// The toast of a cookie, if this server wrote it for this session.
pub(super) fn read_toast(secret: &str, value: &str) -> Option<String> {
    use subtle::ConstantTimeEq;
    let (text, presented) = value.split_once('.')?;
    let text = String::from_utf8(BASE64.decode(text).ok()?).ok()?;
    bool::from(mac(secret, &text).as_bytes().ct_eq(presented.as_bytes())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toast_is_shown_to_the_session_that_it_was_written_for() {
        let value = write_toast("secret", "nightly-ü was deleted.");
        assert_eq!(read_toast("secret", &value).as_deref(), Some("nightly-ü was deleted."));
        assert_eq!(read_toast("other", &value), None);
        for forged in ["", ".", "YQ.", "YQ.YQ", &format!("x{value}")] {
            assert_eq!(read_toast("secret", forged), None);
        }
        let long = "ü".repeat(2_000);
        assert!(read_toast("secret", &write_toast("secret", &long)).unwrap().len() <= TOAST_BYTES_MAX);
    }
}
