//! `POST /oauth/token` (RFC 6749 §3.2) and `POST /oauth/revoke` (RFC 7009).

use actix_web::http::header;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use url::form_urlencoded;

use super::{BODY_BYTES_MAX, Failed, no_store, serve};
use crate::flow::{give_back, redeem};
use crate::http::body::read_form;
use crate::http::{Edge, Worker};
use crate::metrics::Route;
use crate::oauth::token::{Header, Tokens};

pub(in crate::http) async fn token(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    serve(&request, &mut payload, &worker, Route::OAuth, answer_token).await
}

pub(in crate::http) async fn revoke(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    serve(&request, &mut payload, &worker, Route::OAuth, answer_revoke).await
}

async fn answer_token(
    request: &HttpRequest,
    payload: &mut Payload,
    edge: &Edge,
) -> Result<HttpResponse, Failed> {
    let params = form(request, payload, edge).await?;
    let from = edge.peers.address(request);
    let issued = redeem::token(&edge.oauth, &authorization(request), &params, from).await?;
    let left_ms = issued.access_expires_at.0 - edge.tools.context.clock.now().0;
    Ok(no_store(&mut HttpResponse::Ok()).json(Tokens {
        access_token: issued.access.reveal(),
        token_type: "Bearer",
        expires_in: (left_ms / 1_000).max(0),
        refresh_token: issued.refresh.reveal(),
        scope: issued.scopes,
    }))
}

async fn answer_revoke(
    request: &HttpRequest,
    payload: &mut Payload,
    edge: &Edge,
) -> Result<HttpResponse, Failed> {
    let params = form(request, payload, edge).await?;
    give_back::revoke(&edge.oauth, &authorization(request), &params, edge.peers.address(request)).await?;
    Ok(no_store(&mut HttpResponse::Ok()).finish())
}

/// The form's fields. What stands in the URL is not looked at: secrets do not belong there (RFC 6749 §3.2).
async fn form(
    request: &HttpRequest,
    payload: &mut Payload,
    edge: &Edge,
) -> Result<Vec<(String, String)>, Failed> {
    let body = read_form(request, payload, BODY_BYTES_MAX, edge.body_timeout).await?;
    Ok(form_urlencoded::parse(&body).into_owned().collect())
}

/// What the client says in the header. Two of them are none that could be believed.
fn authorization(request: &HttpRequest) -> Header {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    match (values.next(), values.next()) {
        (None, _) => Header::Missing,
        (Some(value), None) => Header::read(value.as_bytes()),
        (Some(_), Some(_)) => Header::Malformed,
    }
}
