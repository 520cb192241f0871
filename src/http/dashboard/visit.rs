//! Who comes, with what: everything that a handler needs of a request, and the checks that no handler can forget.
//!
//! In this order: the host and the origin are ours; the cookie's session holds; a form carries its session's token;
//! the person is a member of the organization in the address. Who is not finds the same page as where there is no
//! such organization.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use actix_web::http::{ConnectionType, Method, header};
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, Route};

use super::Dashboard;
use super::form::{FORM_BYTES_MAX, Form};
use super::reply::{Failed, Reply};
use crate::context::Timestamp;
use crate::credential::OrgId;
use crate::http::body::{BodyError, discard, read_form};
use crate::http::{Edge, Hosts, Worker};
use crate::metrics::{Refusal as Counted, Route as CountedRoute};
use crate::org::{Member, Person};
use crate::pages::{FailureKind, When};
use crate::system::cookie::{find, form_token, form_token_holds};
use crate::system::sessions::{SignedIn, Visitor};

pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// A handler's outcome.
pub(super) type Outcome = Result<Reply, Failed>;

/// A request of anybody.
pub(super) struct Visit {
    request: HttpRequest,
    worker: Data<Worker>,
    /// When it began.
    pub(super) now: Timestamp,
    /// What it sent; empty for a GET.
    pub(super) form: Form,
    /// What stands behind the question mark.
    pub(super) query: Form,
    /// Whose browser it is.
    pub(super) visitor: Visitor,
    /// The session's cookie, whether or not it holds.
    pub(super) cookie: Option<String>,
    /// Who is signed in.
    pub(super) signed_in: Option<SignedIn>,
    // What its forms are bound to: the session's cookie, or for a visitor one of their own, which the browser may yet have
    // to be given.
    secret: String,
    is_new_visitor: bool,
    /// What just happened, as the page before has left it.
    pub(super) toast: Option<String>,
}

impl Visit {
    pub(super) fn dashboard(&self) -> &Dashboard {
        &self.worker.edge.dashboard
    }

    pub(super) fn edge(&self) -> &Edge {
        &self.worker.edge
    }

    /// A part of the path; empty where the route has none of this name.
    pub(super) fn part(&self, name: &str) -> &str {
        self.request.match_info().get(name).unwrap_or_default()
    }

    /// The path without the query.
    pub(super) fn path(&self) -> &str {
        self.request.path()
    }

    /// Somebody whose session this is, as the author of changes.
    pub(super) fn person(&self, who: &SignedIn) -> Person {
        Person { user: who.user, email: who.record.email.to_string(), address: self.visitor.address }
    }

    /// A moment, seen from this request.
    pub(super) fn when(&self, at: Timestamp) -> When {
        When::from_millis(at.0, self.now.0)
    }

    /// What this request's forms carry against forgery.
    pub(super) fn csrf(&self) -> String {
        form_token(&self.secret)
    }

    /// The cookie that a visitor's forms are bound to, where the browser has it not yet.
    pub(super) fn with_gate(&self, reply: Reply) -> Reply {
        if !self.is_new_visitor {
            return reply;
        }
        reply.cookie(&self.short_cookie("form", &self.secret, GATE_SECONDS))
    }

    /// `name=value` as a cookie of this host, beside the session's.
    pub(super) fn short_cookie(&self, suffix: &str, value: &str, seconds: u32) -> String {
        let name = self.dashboard().cookie.name();
        let secure = if name.starts_with("__Host-") { "; Secure" } else { "" };
        format!("{name}-{suffix}={value}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Lax{secure}")
    }
}

/// How long a visitor's form is good: somebody who goes to look for a password comes back within the day.
const GATE_SECONDS: u32 = 86_400;

/// A request of somebody who is signed in.
pub(super) struct Session {
    visit: Visit,
    /// Who.
    pub(super) who: SignedIn,
    /// Their cookie.
    pub(super) cookie: String,
}

impl Deref for Session {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl Session {
    /// As the author of changes.
    pub(super) fn person(&self) -> Person {
        self.visit.person(&self.who)
    }
}

/// A request of a member, in their organization.
pub(super) struct Inside {
    session: Session,
    /// The organization, as far as their role goes.
    pub(super) member: Member,
}

impl Deref for Inside {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

/// A route for anybody.
pub(super) fn open<F, R>(route: Route, handler: F) -> Route
where
    F: Fn(Visit) -> R + Copy + 'static,
    R: Future<Output = Outcome> + 'static,
{
    serve(route, handler)
}

/// A route for who is signed in.
pub(super) fn person<F, R>(route: Route, handler: F) -> Route
where
    F: Fn(Session) -> R + Copy + 'static,
    R: Future<Output = Outcome> + 'static,
{
    serve(route, move |visit| async move { handler(session(visit).map_err(|_| Failed::SignIn)?).await })
}

/// A route for a member of the organization in its path.
pub(super) fn member<F, R>(route: Route, handler: F) -> Route
where
    F: Fn(Inside) -> R + Copy + 'static,
    R: Future<Output = Outcome> + 'static,
{
    serve(route, move |visit| async move {
        let session = session(visit).map_err(|_| Failed::SignIn)?;
        let org: OrgId = session.part("org").parse().map_err(|_| Failed::NOT_FOUND)?;
        let member = session.dashboard().people.registry.enter(org, &session.person()).await?;
        handler(Inside { session, member }).await
    })
}

/// The request of who is signed in; of anybody else as it was.
pub(super) fn session(visit: Visit) -> Result<Session, Box<Visit>> {
    match (visit.signed_in.clone(), visit.cookie.clone()) {
        (Some(who), Some(cookie)) => Ok(Session { visit, who, cookie }),
        _ => Err(Box::new(visit)),
    }
}

fn serve<F, R>(route: Route, handler: F) -> Route
where
    F: Fn(Visit) -> R + Copy + 'static,
    R: Future<Output = Outcome> + 'static,
{
    route.to(move |request: HttpRequest, payload: Payload, worker: Data<Worker>| async move {
        let metrics = worker.edge.metrics.clone();
        let (started, id) = (metrics.now(), worker.request_ids.next());
        let mut response = Box::pin(answer(&request, payload, &worker, handler, &id.to_string())).await;
        response.headers_mut().insert(crate::http::mcp::REQUEST_ID.clone(), id.header());
        metrics.answered(CountedRoute::Dashboard, response.status().as_u16(), started);
        response
    })
}

async fn answer<F, R>(
    request: &HttpRequest,
    mut payload: Payload,
    worker: &Data<Worker>,
    handler: F,
    id: &str,
) -> HttpResponse
where
    F: Fn(Visit) -> R,
    R: Future<Output = Outcome>,
{
    let edge = &*worker.edge;
    if edge.hosts.check(request.headers(), request.uri().authority()).is_err() {
        edge.metrics.refused(Counted::Foreign);
        return crate::http::mcp::foreign();
    }
    let form = match *request.method() == Method::POST {
        false => Form::default(),
        true => match read_form(request, &mut payload, FORM_BYTES_MAX, edge.body_timeout).await {
            Ok(bytes) => Form::parse(&bytes),
            Err(error) => {
                edge.metrics.refused(error.counted());
                discard(request, &mut payload, edge.body_max_bytes).await;
                let mut refused = match error {
                    BodyError::TooLarge => super::failure(FailureKind::TooLarge),
                    error => error.response(FORM_BYTES_MAX),
                };
                refused.head_mut().set_connection_type(ConnectionType::Close);
                return refused;
            }
        },
    };
    // Where to go on after a sign-in: the page itself, or for what was sent the page that it came from is not known.
    let back = match *request.method() == Method::POST {
        true => "/".to_owned(),
        false => request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned(),
    };
    let outcome = match visit(request, worker, form).await {
        Ok(visit) => handler(visit).await,
        Err(failed) => Err(failed),
    };
    match outcome {
        Ok(reply) => reply.into_response(),
        Err(failed) => failed.response(&back, id),
    }
}

async fn visit(request: &HttpRequest, worker: &Data<Worker>, form: Form) -> Result<Visit, Failed> {
    let edge = &*worker.edge;
    let dashboard = &edge.dashboard;
    let people = &dashboard.people;
    if dashboard.only_from_here && !Hosts::is_from_here(request.headers()) {
        return Err(Failed::Page(FailureKind::InTheClear));
    }
    let text = |name: header::HeaderName| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let cookies = text(header::COOKIE);
    let cookie = dashboard.cookie.find(cookies).map(str::to_owned);
    let signed_in = match &cookie {
        Some(cookie) => people.signed_in(cookie).await?,
        None => None,
    };
    if let Some(who) = &signed_in
        && let Err(wait) = people.take_request(who.user)
    {
        edge.metrics.refused(Counted::PersonRate);
        return Err(Failed::TooMany(wait.as_secs().max(1)));
    }
    let name = dashboard.cookie.name();
    let (secret, is_new_visitor) = match (&signed_in, &cookie) {
        (Some(_), Some(cookie)) => (cookie.clone(), false),
        _ => match find(cookies, &format!("{name}-form")).filter(|value| is_gate(value)) {
            Some(value) => (value.to_owned(), false),
            None => (dashboard.once.token()?, true),
        },
    };
    if *request.method() == Method::POST && !form_token_holds(&secret, form.get("csrf")) {
        return Err(Failed::Page(FailureKind::Stale));
    }
    let toast =
        find(cookies, &format!("{name}-toast")).and_then(|value| super::shell::read_toast(&secret, value));
    Ok(Visit {
        now: people.context.clock.now(),
        query: Form::parse(request.query_string().as_bytes()),
        visitor: Visitor { agent: text(header::USER_AGENT).to_owned(), address: edge.peers.address(request) },
        request: request.clone(),
        worker: worker.clone(),
        form,
        cookie,
        signed_in,
        secret,
        is_new_visitor,
        toast,
    })
}

/// Whether a value is one that this server gave a visitor's browser.
fn is_gate(value: &str) -> bool {
    value.len() == 32 && value.bytes().all(|byte| byte.is_ascii_hexdigit())
}
