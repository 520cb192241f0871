//! *Allow this app?* over HTTP: an app's request becomes a question, and a person's answer goes back to the app.
//!
//! What an app may ask, and what of an answer counts, is decided by `flow::consent`; here it becomes a page. Nobody is
//! sent anywhere by a redirect: the way back is a page of ours that goes on by itself (`pages::ConsentSent` says why).
//!
//! **Invariant:** one click allows nothing (`one_click_on_a_page_that_came_up_under_the_cursor_allows_nothing`).
//! **Invariant:** what an app wrote into its request chooses nothing for the person
//! (`what_an_app_writes_into_its_request_chooses_nothing`; both in `tests/it/consent.rs`).

use actix_web::http::StatusCode;
use url::form_urlencoded;

use super::form::Form;
use super::reply::{Failed, Reply};
use super::visit::{Outcome, Session, Visit, session};
use crate::flow::consent as flow;
use crate::flow::consent::{Checked, ConsentView, DecideError, Rejected, SendBack};
use crate::flow::oauth::{OAuth, Target};
use crate::http::sentence::sentence;
use crate::oauth::redirect::RedirectKind;
use crate::oauth::scope::Scope;
use crate::pages::{
    Consent, ConsentNone, ConsentOrg, ConsentSent, Input, Name, NoConsent, NotHere, Pick, SentTo, Told,
};

/// Where an app is reached, as pages write it.
pub(super) fn sent_to(kind: RedirectKind, host: &str) -> SentTo {
    let host = host.to_owned();
    match kind {
        RedirectKind::Loopback => SentTo::ThisComputer(host),
        RedirectKind::PrivateScheme => SentTo::Scheme(host),
        RedirectKind::HttpsHost => SentTo::Host(host),
    }
}

/// How long access lasts, as it is sent and read; `None` is until somebody revokes it.
pub(super) fn lifetime(days: Option<u32>, oauth: &OAuth) -> Pick {
    match days {
        None => {
            let unused = oauth.settings().refresh.as_secs() / 86_400;
            Pick::new("", format!("Until it is revoked, or {unused} days without use"))
        }
        Some(1) => Pick::new("1", "1 day"),
        Some(days) => Pick::new(days.to_string(), format!("{days} days")),
    }
}

impl Visit {
    fn no_consent(&self, why: NoConsent) -> Outcome {
        let status = StatusCode::from_u16(why.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let reply = Reply::with_status(status, &ConsentNone { gate: self.gate(), why })?;
        Ok(self.with_gate(reply.keeping_opener()))
    }

    /// Back to the app.
    fn send_back(&self, back: &SendBack, told: Told) -> Outcome {
        let sent_to = sent_to(back.target.kind, &back.target.host);
        let page = ConsentSent { gate: self.gate(), sent_to, url: back.url.clone(), told };
        let reply = Reply::page(&page)?.keeping_opener();
        // A site that nobody allowed anything is not gone to unasked: anybody may register one.
        let waits =
            page.opens_a_program() || told == Told::Refused && back.target.kind == RedirectKind::HttpsHost;
        Ok(if waits { reply } else { reply.then(&page.url) })
    }

    /// What became of a request that does not hold.
    fn rejected(&self, rejected: Rejected) -> Outcome {
        match rejected {
            Rejected::Show(problem) => self.no_consent(NoConsent::Broken(problem.to_string())),
            // Nobody is sent anywhere who has not signed in here: else this server's address would lead anywhere.
            Rejected::SendBack(_) if self.signed_in.is_none() => Err(Failed::SignIn),
            Rejected::SendBack(back) => self.send_back(&back, Told::Refused),
            Rejected::Failed(error) => Err(error.into()),
        }
    }
}

/// Where nobody may authorize apps there is nothing here.
fn enabled(visit: &Visit) -> Result<OAuth, Failed> {
    let oauth = visit.edge().oauth.clone();
    if oauth.settings().enabled { Ok(oauth) } else { Err(Failed::NOT_FOUND) }
}

/// The question, as it is first seen.
pub(super) async fn page(visit: Visit) -> Outcome {
    let oauth = enabled(&visit)?;
    let checked = match flow::check(&oauth, visit.query.fields()).await {
        Ok(checked) => checked,
        Err(rejected) => return visit.rejected(rejected),
    };
    let session = session(visit).map_err(|_| Failed::SignIn)?;
    let page = question(&session, &checked, None).await?;
    Ok(Reply::page(&page)?.keeping_opener())
}

/// The answer.
pub(super) async fn decide(session: Session) -> Outcome {
    let (oauth, form) = (enabled(&session)?, &session.form);
    let is_allowed = form.get("decision") == "approve";
    let mut params: Vec<(String, String)> = form
        .fields()
        .iter()
        .filter(|(name, _)| !["csrf", "all", "reach"].contains(&name.as_str()))
        .cloned()
        .collect();
    let reach = if form.all("all").any(|org| org == form.get("org")) { "all" } else { "some" };
    params.push(("reach".to_owned(), reach.to_owned()));
    let error = match flow::decide(&oauth, &session.person(), &session.cookie, &params).await {
        Ok(back) => return session.send_back(&back, if is_allowed { Told::Allowed } else { Told::Denied }),
        Err(error) => error,
    };
    match error {
        DecideError::Rejected(rejected) => session.rejected(rejected),
        DecideError::Used => session.no_consent(NoConsent::Used),
        DecideError::NotHere => session.no_consent(NoConsent::NotHere),
        DecideError::Failed(error) => Err(error.into()),
        DecideError::Choose(text) => {
            let checked = match flow::check(&oauth, &params).await {
                Ok(checked) => checked,
                Err(rejected) => return session.rejected(rejected),
            };
            let page = question(&session, &checked, Some((form, sentence(&text)))).await?;
            Ok(Reply::refused(&page)?.keeping_opener())
        }
    }
}

/// The question: as it is first seen, or with what was chosen and what has to be chosen yet.
async fn question(
    session: &Session,
    checked: &Checked,
    sent: Option<(&Form, String)>,
) -> Result<Consent, Failed> {
    let oauth = &session.edge().oauth;
    let view = flow::look(oauth, checked, &session.person(), &session.cookie).await?;
    let (chosen, error) = match sent {
        Some((form, sentence)) => (Some(form), Some(sentence)),
        None => (None, None),
    };
    let ConsentView {
        client_name,
        client_uri,
        registered_at,
        target,
        scopes,
        orgs,
        mut lifetimes_days,
        fields,
        ..
    } = view;
    let Target { kind, host, .. } = target;
    let asked = fields.iter().filter(|(name, _)| name != flow::NONCE);
    let here = form_urlencoded::Serializer::new(String::new()).extend_pairs(asked).finish();
    // What has no end comes first.
    lifetimes_days.sort_unstable();
    let elsewhere = orgs.iter().filter_map(|org| {
        org.allowed.as_ref().err().map(|why| (Name::new(org.name.clone()), not_here(*why)))
    });
    let elsewhere = elsewhere.collect();
    let open: Vec<_> = orgs.into_iter().filter(|org| org.allowed.is_ok()).collect();
    let orgs = open.into_iter().map(|org| {
        let id = org.id.to_string();
        let is_ticked =
            |source: &str| chosen.is_none_or(|form| form.all("source").any(|ticked| ticked == source));
        ConsentOrg {
            name: Name::new(org.name),
            role: super::members::role(org.role),
            // Which one is read is the person's choice and no default's, also where there is but one: whoever has this
            // page come up under somebody's cursor gets one click, and one click allows nothing.
            is_chosen: chosen.is_some_and(|form| form.get("org") == id),
            sources: org
                .sources
                .into_iter()
                .map(|(source, name)| {
                    let source = source.to_string();
                    let ticked = is_ticked(&source);
                    (source, Name::new(name), ticked)
                })
                .collect(),
            all: chosen.is_some_and(|form| form.all("all").any(|org| org == id)),
            id,
        }
    });
    Ok(Consent {
        orgs: orgs.collect(),
        gate: session.gate(),
        me: Name::new(session.who.record.email.to_string()),
        here: format!("/oauth/authorize?{here}"),
        client: Name::new(client_name),
        client_uri,
        registered: session.when(registered_at),
        sent_to: sent_to(kind, &host),
        sees_schema: scopes.contains(&Scope::SchemaRead),
        runs_queries: scopes.contains(&Scope::QueryRun),
        elsewhere,
        lifetimes: lifetimes_days.into_iter().map(|days| lifetime(days, oauth)).collect(),
        days: Input::of(chosen.map_or("", |form| form.get("days"))),
        fields,
        error,
    })
}

fn not_here(why: flow::NotHere) -> NotHere {
    match why {
        flow::NotHere::Role => NotHere::Role,
        flow::NotHere::Policy => NotHere::Policy,
    }
}
