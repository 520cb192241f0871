//! What is the same for everybody: the documentation, and the files that pages load.

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::reply::{Failed, Reply};
use super::visit::{Outcome, Visit};
use crate::http::{Worker, accept};
use crate::metrics::Route;
use crate::pages::{self, DocPage, Room, assets, docs};

/// The first document.
pub(super) async fn first(_: Visit) -> Outcome {
    let first = docs::all().first().ok_or(Failed::NOT_FOUND)?;
    Ok(Reply::see(&format!("/docs/{}", first.slug)))
}

/// One document, with what surrounds it for who reads it.
pub(super) async fn one(visit: Visit) -> Outcome {
    let doc = docs::find(visit.part("slug")).ok_or(Failed::NOT_FOUND)?;
    let shell = match super::visit::session(visit) {
        Ok(session) => session.shell(Room::Docs).await?,
        Err(visit) => visit.visitors_shell(Room::Docs),
    };
    Reply::page(&DocPage { shell, doc })
}

/// An embedded file. Its name changes with its content, so that browsers keep it for good.
pub(super) async fn asset(request: HttpRequest, worker: Data<Worker>) -> HttpResponse {
    let metrics = &worker.edge.metrics;
    let started = metrics.now();
    let response = match assets::find(request.path()) {
        None => HttpResponse::NotFound().finish(),
        Some(asset) => {
            let mut response = HttpResponse::Ok();
            for (name, value) in pages::ASSET {
                response.insert_header((*name, *value));
            }
            response.content_type(asset.media_type);
            if accept::names(request.headers(), header::ACCEPT_ENCODING, "gzip") {
                response.insert_header((header::CONTENT_ENCODING, "gzip")).body(asset.gzip.as_slice())
            } else {
                response.body(asset.bytes)
            }
        }
    };
    metrics.answered(Route::Dashboard, response.status().as_u16(), started);
    response
}
