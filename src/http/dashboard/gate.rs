//! Before anybody is signed in: the first page, set-up, sign-in, a forgotten password, an invitation.

use super::reply::{Failed, Refusal, Reply, told};
use super::shell::base_of;
use super::visit::{Outcome, Session, Visit};
use crate::flow::people::{Began, SignInError};
use crate::flow::set_up::{FirstUser, Owned};
use crate::flow::sign_in::ByPassword;
use crate::flow::{invite, passwords, set_up as flow_set_up, sign_in as flow_sign_in};
use crate::org::ChangeError;
use crate::pages::{
    Forgot, Gate, Input, Invitation, LinkKind, LinkOver, Name, Reset, SetUp, SignIn, SignInRefusal, Standing,
    Template, query_string,
};
use crate::system::sessions::SignedIn;

impl Visit {
    pub(super) fn gate(&self) -> Gate {
        Gate { host: self.dashboard().host.clone(), csrf: self.csrf() }
    }

    fn gate_page(&self, page: &impl Template) -> Outcome {
        Ok(self.with_gate(Reply::page(page)?))
    }

    fn gate_refused(&self, page: &impl Template) -> Outcome {
        Ok(self.with_gate(Reply::refused(page)?))
    }

    /// On as somebody who is allowed more than before: the session goes on under another secret.
    async fn risen(&self, who: &SignedIn, to: &str) -> Outcome {
        let dashboard = self.dashboard();
        let cookie = self.cookie.as_deref().unwrap_or_default();
        let rotated = dashboard.people.rotated(who, cookie).await?;
        // None where the session ended meanwhile: then the next page asks to sign in.
        let lifetimes = dashboard.people.sessions.lifetimes();
        let set = rotated.map(|secret| dashboard.cookie.set(&secret, lifetimes));
        Ok(set.iter().fold(Reply::see(to), |reply, set| reply.cookie(set)))
    }

    /// A link that leads nowhere, whatever the reason.
    fn link_over(&self, link: LinkKind) -> Outcome {
        let page = LinkOver { gate: self.gate(), link };
        Ok(self.with_gate(Reply::with_status(actix_web::http::StatusCode::NOT_FOUND, &page)?))
    }

    /// Into the dashboard with a session that has just begun.
    fn begun(&self, began: &Began, to: &str) -> Reply {
        let dashboard = self.dashboard();
        Reply::see(to).cookie(&dashboard.cookie.set(&began.cookie, dashboard.people.sessions.lifetimes()))
    }
}

/// The first page: one's own organization, or the way in.
pub(super) async fn home(visit: Visit) -> Outcome {
    let Some(who) = &visit.signed_in else { return Ok(Reply::see("/sign-in")) };
    let orgs = visit.dashboard().people.orgs_of(who.user).await?;
    Ok(match orgs.first() {
        Some(first) => Reply::see(&base_of(first.id)),
        None => Reply::see("/orgs/new"),
    })
}

/// Longest path that a sign-in leads back to: an app's request with all that it may hold is 500 to 2,000 bytes.
const NEXT_BYTES_MAX: usize = 8_000;

/// A path of this server, or its first page: `//evil` and `https:` lead elsewhere.
fn local(next: &str) -> &str {
    let is_local = next.starts_with('/')
        && !next.starts_with("//")
        && next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && next.len() <= NEXT_BYTES_MAX;
    if is_local { next } else { "/" }
}

pub(super) async fn sign_in(visit: Visit) -> Outcome {
    let next = local(visit.query.get("next"));
    if visit.signed_in.is_some() {
        return Ok(Reply::see(next));
    }
    let notice = match visit.query.get("after") {
        "password" => Some("Your password was changed. Sign in with the new one.".to_owned()),
        "out" => Some("You are signed out.".to_owned()),
        _ => None,
    };
    let page =
        SignIn { gate: visit.gate(), email: String::new(), next: next.to_owned(), refused: None, notice };
    Ok(on_the_way(visit.gate_page(&page)?, next))
}

/// A sign-in on the way to the question whether an app may read stands in the window that the app opened.
fn on_the_way(reply: Reply, next: &str) -> Reply {
    let path = next.split('?').next().unwrap_or_default();
    if ["/oauth/authorize", "/authorize"].contains(&path) { reply.keeping_opener() } else { reply }
}

pub(super) async fn try_sign_in(visit: Visit) -> Outcome {
    let people = &visit.dashboard().people;
    let (email, next) = (visit.form.trimmed("email"), local(visit.form.get("next")));
    let proof = ByPassword::new(email, visit.form.get("password"));
    let refused = match flow_sign_in::sign_in(people, &proof, &visit.visitor, visit.cookie.as_deref()).await {
        Ok(began) => return Ok(visit.begun(&began, next)),
        Err(SignInError::Refused) => SignInRefusal::Mismatch,
        Err(SignInError::Throttled(wait)) => SignInRefusal::Wait(wait.as_secs().max(1)),
        Err(SignInError::Failed(error)) => return Err(error.into()),
    };
    let page = SignIn {
        gate: visit.gate(),
        email: email.to_owned(),
        next: next.to_owned(),
        refused: Some(refused),
        notice: None,
    };
    Ok(on_the_way(visit.gate_refused(&page)?, next))
}

pub(super) async fn sign_out(session: Session) -> Outcome {
    let dashboard = session.dashboard();
    flow_sign_in::sign_out(&dashboard.people, &session.cookie).await?;
    // Whoever was somebody else comes back to what they were asked.
    let next = Some(local(session.form.get("next"))).filter(|next| *next != "/").unwrap_or_default();
    let query = query_string(&[("after", "out"), ("next", next)]);
    Ok(Reply::see(&format!("/sign-in?{query}")).cookie(&dashboard.cookie.clear()))
}

pub(super) async fn forgot(visit: Visit) -> Outcome {
    let sends_mail = visit.dashboard().people.post.is_some();
    visit.gate_page(&Forgot { gate: visit.gate(), sends_mail, asked: false })
}

/// Answers the same, and as fast, whether or not there is such a user.
pub(super) async fn ask_for_link(visit: Visit) -> Outcome {
    let people = &visit.dashboard().people;
    match passwords::ask_by_mail(people, visit.form.trimmed("email"), &visit.visitor).await {
        Ok(()) | Err(SignInError::Failed(ChangeError::Invalid(_))) => {}
        Err(error) => return Err(error.into()),
    }
    visit.gate_page(&Forgot { gate: visit.gate(), sends_mail: true, asked: true })
}

/// `None` for a link that is not good: it has a page of its own.
fn if_good<T>(found: Result<T, ChangeError>) -> Result<Option<T>, Failed> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ChangeError::NotFound(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn reset_page(visit: Visit, error: Option<String>) -> Outcome {
    let found = if_good(passwords::look(&visit.dashboard().people, visit.part("token")).await)?;
    let Some(record) = found else { return visit.link_over(LinkKind::Reset) };
    let is_refused = error.is_some();
    let page = Reset {
        gate: visit.gate(),
        action: visit.path().to_owned(),
        email: Name::new(record.email.to_string()),
        error,
    };
    if is_refused { visit.gate_refused(&page) } else { visit.gate_page(&page) }
}

pub(super) async fn reset(visit: Visit) -> Outcome {
    reset_page(visit, None).await
}

pub(super) async fn set_password(visit: Visit) -> Outcome {
    let people = &visit.dashboard().people;
    let password = visit.form.get("password");
    match passwords::redeem(people, visit.part("token"), password, &visit.visitor).await {
        Ok(_) => Ok(Reply::see("/sign-in?after=password").cookie(&visit.dashboard().cookie.clear())),
        Err(ChangeError::NotFound(_)) => visit.link_over(LinkKind::Reset),
        Err(error) => reset_page(visit, Some(told(error)?)).await,
    }
}

async fn set_up_page(visit: Visit, (email, org): (Input, Input), password_error: Option<String>) -> Outcome {
    if if_good(flow_set_up::look(&visit.dashboard().people, visit.part("token")).await)?.is_none() {
        return visit.link_over(LinkKind::SetUp);
    }
    let is_refused = password_error.is_some() || email.error.is_some() || org.error.is_some();
    let page = SetUp { gate: visit.gate(), action: visit.path().to_owned(), email, password_error, org };
    if is_refused { visit.gate_refused(&page) } else { visit.gate_page(&page) }
}

pub(super) async fn set_up(visit: Visit) -> Outcome {
    // One that was made at the command line and has nobody: it is taken over under its name.
    let free = if_good(flow_set_up::look(&visit.dashboard().people, visit.part("token")).await)?;
    let org = free.and_then(|free| free.into_iter().next()).map_or(String::new(), |(_, name)| name);
    set_up_page(visit, (Input::default(), Input::of(org)), None).await
}

pub(super) async fn complete_set_up(visit: Visit) -> Outcome {
    let people = &visit.dashboard().people;
    let (token, form) = (visit.part("token"), &visit.form);
    let (email, org) = (form.trimmed("email").to_owned(), form.trimmed("org").to_owned());
    let Some(free) = if_good(flow_set_up::look(people, token).await)? else {
        return visit.link_over(LinkKind::SetUp);
    };
    let taken_over = free.into_iter().find(|(_, name)| *name == org).map(|(id, _)| Owned::Existing(id));
    let first = FirstUser {
        // Others see the address's first part until its owner says how they are called.
        name: email.split('@').next().unwrap_or_default().to_owned(),
        email: email.clone(),
        password: form.get("password").to_owned(),
        org: taken_over.unwrap_or_else(|| Owned::New(org.clone())),
    };
    if let Err(error) = crate::flow::people::parse_email(&email) {
        let email = Input::wrong(email, told(error)?);
        return set_up_page(visit, (email, Input::of(org)), None).await;
    }
    if let Err(error) = crate::org::keys::check_name(&org) {
        let org = Input::wrong(org, told(error)?);
        return set_up_page(visit, (Input::of(email), org), None).await;
    }
    match flow_set_up::complete(people, token, first, &visit.visitor).await {
        Ok(began) => Ok(visit.begun(&began, "/")),
        Err(ChangeError::NotFound(_)) => visit.link_over(LinkKind::SetUp),
        Err(error) => match error.into() {
            Refusal::Told(text) => set_up_page(visit, (Input::of(email), Input::of(org)), Some(text)).await,
            Refusal::Name(text) => {
                set_up_page(visit, (Input::of(email), Input::wrong(org, text)), None).await
            }
            Refusal::Failed(failed) => Err(failed),
        },
    }
}

async fn invitation_page(visit: Visit, password_error: Option<String>) -> Outcome {
    let found = if_good(invite::look(&visit.dashboard().people, visit.part("token")).await)?;
    let Some(offer) = found else { return visit.link_over(LinkKind::Invitation) };
    let record = &offer.open.record;
    let is_refused = password_error.is_some();
    let standing = match &visit.signed_in {
        Some(who) if who.record.email.as_str() == record.email => Standing::Invited,
        Some(who) => Standing::Other(Name::new(who.record.email.to_string())),
        None => Standing::Visitor { password_error },
    };
    let by = match record.invited_by {
        Some(user) => visit.dashboard().people.users.get(user).await.map_err(ChangeError::from)?,
        None => None,
    };
    let page = Invitation {
        gate: visit.gate(),
        action: visit.path().to_owned(),
        org: Name::new(offer.open.org_name.clone()),
        by: Name::new(
            by.map_or_else(|| "The operator of this server".to_owned(), |user| user.email.to_string()),
        ),
        email: Name::new(record.email.clone()),
        role: super::members::role(record.role),
        expires: visit.when(record.expires_at),
        standing,
    };
    if is_refused { visit.gate_refused(&page) } else { visit.gate_page(&page) }
}

pub(super) async fn invitation(visit: Visit) -> Outcome {
    invitation_page(visit, None).await
}

pub(super) async fn accept_invitation(visit: Visit) -> Outcome {
    let people = &visit.dashboard().people;
    let token = visit.part("token");
    let accepted = match &visit.signed_in {
        Some(who) => match invite::accept(people, token, &visit.person(who)).await {
            Ok(org) => Ok(visit.risen(who, &base_of(org)).await?),
            Err(error) => Err(error.into()),
        },
        None => {
            let Some(offer) = if_good(invite::look(people, token).await)? else {
                return visit.link_over(LinkKind::Invitation);
            };
            let name = offer.open.record.email.split('@').next().unwrap_or_default().to_owned();
            let new = (name.as_str(), visit.form.get("password"));
            let accepted = invite::accept_as_new(people, token, new, &visit.visitor).await;
            accepted.map(|(org, began)| visit.begun(&began, &base_of(org)))
        }
    };
    match accepted {
        Ok(reply) => Ok(reply),
        Err(SignInError::Failed(ChangeError::NotFound(_))) => visit.link_over(LinkKind::Invitation),
        Err(SignInError::Failed(error)) => invitation_page(visit, Some(told(error)?)).await,
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::local;

    #[test]
    fn after_a_sign_in_one_stays_on_this_server() {
        for own in ["/", "/orgs/4nQx0cRrT1aZ/keys?q=a%20b", "/docs#x"] {
            assert_eq!(local(own), own);
        }
        for foreign in [
            "",
            "//evil.test",
            "/\\evil.test",
            "https://evil.test",
            "evil",
            "/a\tb",
            "/ä",
            "javascript:alert(1)",
        ] {
            assert_eq!(local(foreign), "/", "{foreign:?}");
        }
    }
}
