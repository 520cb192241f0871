//! `POST /oauth/register`: a client registers itself (RFC 7591 §3).

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::{BODY_BYTES_MAX, Failed, let_go, no_store, serve};
use crate::credential::secret::PlainSecret;
use crate::flow::register as flow_register;
use crate::http::body::{BodyError, read_json};
use crate::http::{Edge, Worker};
use crate::metrics::Route;
use crate::oauth::error::{Code, Refusal};

pub(in crate::http) async fn register(
    request: HttpRequest,
    mut payload: Payload,
    worker: Data<Worker>,
) -> HttpResponse {
    serve(&request, &mut payload, &worker, Route::OAuth, answer).await
}

async fn answer(request: &HttpRequest, payload: &mut Payload, edge: &Edge) -> Result<HttpResponse, Failed> {
    let turn = flow_register::turn(&edge.oauth, edge.peers.address(request))?;
    let body = match read_json(request, payload, BODY_BYTES_MAX, edge.body_timeout).await {
        // A document of this size is wrong as such (RFC 7591 §3.2.2), not only large.
        Err(BodyError::TooLarge) => {
            let_go(request, payload).await;
            let text = format!("client metadata has at most {BODY_BYTES_MAX} bytes");
            return Err(Refusal::new(Code::InvalidClientMetadata, text).into());
        }
        read => read?,
    };
    let registered = flow_register::register(&edge.oauth, turn, &body).await?;
    let told = registered.record.client.registered(
        registered.id.as_str(),
        registered.record.created_at.0 / 1_000,
        registered.secret.as_ref().map(PlainSecret::reveal),
    );
    Ok(no_store(&mut HttpResponse::Created()).json(told))
}
