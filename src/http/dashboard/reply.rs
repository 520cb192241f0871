//! What a handler answers with, and the failures that have a page of their own.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::flow::people::SignInError;
use crate::http::sentence::sentence;
use crate::org::ChangeError;
use crate::pages::{self, Failure, FailureKind, Template};

/// A handler's answer, before the headers that all of them have.
pub(super) struct Reply {
    response: HttpResponse,
}

impl Reply {
    /// A page.
    pub(super) fn page(page: &impl Template) -> Result<Self, Failed> {
        Self::with_status(StatusCode::OK, page)
    }

    /// A page that says what is wrong with what was sent.
    pub(super) fn refused(page: &impl Template) -> Result<Self, Failed> {
        Self::with_status(StatusCode::UNPROCESSABLE_ENTITY, page)
    }

    pub(super) fn with_status(status: StatusCode, page: &impl Template) -> Result<Self, Failed> {
        let body = page.render().map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a page could not be rendered");
            Failed::Page(FailureKind::Internal)
        })?;
        let mut response = HttpResponse::build(status);
        for (name, value) in pages::PAGE {
            response.insert_header((*name, *value));
        }
        Ok(Self { response: response.body(body) })
    }

    /// Go and look there, after something was done: 303, so that a reload repeats nothing. `to` is a path of ours.
    pub(super) fn see(to: &str) -> Self {
        let mut response = HttpResponse::SeeOther();
        response.insert_header((header::LOCATION, to));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        Self { response: response.finish() }
    }

    /// A line of text for a script.
    pub(super) fn text(line: String) -> Self {
        let response = HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .content_type("text/plain; charset=utf-8")
            .body(line);
        Self { response }
    }

    /// Nothing to say yet.
    pub(super) fn nothing() -> Self {
        Self {
            response: HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish(),
        }
    }

    /// A file to be saved.
    pub(super) fn download(name: &str, json: Vec<u8>) -> Self {
        let response = HttpResponse::Ok()
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header(("X-Content-Type-Options", "nosniff"))
            .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
            .content_type("application/json")
            .body(json);
        Self { response }
    }

    /// Then go on there, without a redirect (`pages::ConsentSent` says why). `to` may be anybody's.
    pub(super) fn then(mut self, to: &str) -> Self {
        // An address that no header can hold is still the page's link.
        if let Ok(value) = HeaderValue::from_str(&format!("0; url={to}")) {
            self.response.headers_mut().insert(header::HeaderName::from_static("refresh"), value);
        }
        self
    }

    /// A page that another site may have opened in a window of its own, whose end it waits for.
    pub(super) fn keeping_opener(mut self) -> Self {
        let name = header::HeaderName::from_bytes(pages::OPENER.as_bytes());
        if let Ok(name) = name {
            self.response.headers_mut().insert(name, HeaderValue::from_static(pages::OPENER_KEPT));
        }
        self
    }

    /// With a cookie.
    pub(super) fn cookie(mut self, set: &str) -> Self {
        // Cookies are made of digits, letters and what this module writes around them.
        if let Ok(value) = HeaderValue::from_str(set) {
            self.response.headers_mut().append(header::SET_COOKIE, value);
        }
        self
    }

    pub(super) fn into_response(self) -> HttpResponse {
        self.response
    }
}

/// What has a page of its own instead of the one that was asked for.
pub(super) enum Failed {
    /// As it is.
    Page(FailureKind),
    /// Who has to sign in first.
    SignIn,
    /// Too often; again after so many seconds.
    TooMany(u64),
}

impl Failed {
    pub(super) const NOT_FOUND: Self = Self::Page(FailureKind::NotFound);

    /// The answer. `back` is where to go on; `id` stands in the log beside what happened.
    pub(super) fn response(&self, back: &str, id: &str) -> HttpResponse {
        let (kind, wait) = match self {
            Self::SignIn => {
                let next: String = url::form_urlencoded::byte_serialize(back.as_bytes()).collect();
                return Reply::see(&format!("/sign-in?next={next}")).response;
            }
            Self::Page(kind) => (*kind, (*kind == FailureKind::Unavailable).then_some(1)),
            Self::TooMany(seconds) => (FailureKind::TooMany, Some(*seconds)),
        };
        // Only a fault of ours has something in the log to look for.
        let request_id =
            matches!(kind, FailureKind::Internal | FailureKind::Unavailable).then(|| id.to_owned());
        let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let failure = Failure { kind, request_id, back: "/".to_owned() };
        let mut response = match Reply::with_status(status, &failure) {
            Ok(reply) => reply.response,
            Err(_) => HttpResponse::InternalServerError().finish(),
        };
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}

/// What a form can tell, in its own page; the rest has a page of its own.
pub(super) enum Refusal {
    /// What to change: a sentence.
    Told(String),
    /// The name is taken: a sentence for the field of the name.
    Name(String),
    /// A page of its own.
    Failed(Failed),
}

/// What to change, as one sentence, where a form has one place for it.
pub(super) fn told(error: ChangeError) -> Result<String, Failed> {
    match error.into() {
        Refusal::Told(text) | Refusal::Name(text) => Ok(text),
        Refusal::Failed(failed) => Err(failed),
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NameTaken { what, name } => {
                Self::Name(format!("There is {what} named {name} already. Choose another name."))
            }
            ChangeError::Invalid(text) | ChangeError::Limit(text) => Self::Told(sentence(&text)),
            error => Self::Failed(error.into()),
        }
    }
}

impl From<ChangeError> for Failed {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound(_) => Self::NOT_FOUND,
            ChangeError::Forbidden => Self::Page(FailureKind::Forbidden),
            ChangeError::NameTaken { .. }
            | ChangeError::Invalid(_)
            | ChangeError::Limit(_)
            | ChangeError::Conflict => Self::Page(FailureKind::Stale),
            ChangeError::TooFast { wait, .. } => Self::TooMany(wait.as_secs().max(1)),
            ChangeError::Busy | ChangeError::StoreFull | ChangeError::StoreUnavailable(_) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a page could not be served");
                Self::Page(FailureKind::Unavailable)
            }
            ChangeError::TimedOut | ChangeError::Unknown | ChangeError::Internal(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "a page could not be served");
                Self::Page(FailureKind::Internal)
            }
        }
    }
}

impl From<SignInError> for Failed {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Refused => Self::SignIn,
            SignInError::Throttled(wait) => Self::TooMany(wait.as_secs().max(1)),
            SignInError::Failed(error) => error.into(),
        }
    }
}

impl From<crate::context::RngError> for Failed {
    fn from(error: crate::context::RngError) -> Self {
        ChangeError::from(error).into()
    }
}
