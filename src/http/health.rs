//! Probes: `/healthz` while the process lives, `/readyz` while requests can be served.

use actix_web::{HttpResponse, web};

use super::Worker;
use crate::metrics::Route;

/// 200 as long as there is a process to answer.
pub(super) async fn healthz(worker: web::Data<Worker>) -> HttpResponse {
    let metrics = &worker.edge.metrics;
    metrics.answered(Route::Healthz, 200, metrics.now());
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// 200 while the store answers and no shutdown has begun; 503 otherwise.
pub(super) async fn readyz(worker: web::Data<Worker>) -> HttpResponse {
    let metrics = &worker.edge.metrics;
    let started = metrics.now();
    let (mut response, text) = if !worker.edge.is_ready() {
        (HttpResponse::ServiceUnavailable(), "starting or shutting down\n")
    } else if worker.edge.registry.store_answers().await {
        (HttpResponse::Ok(), "ready\n")
    } else {
        (HttpResponse::ServiceUnavailable(), "the store does not answer\n")
    };
    let response = response.content_type("text/plain; charset=utf-8").body(text);
    metrics.answered(Route::Readyz, response.status().as_u16(), started);
    response
}
