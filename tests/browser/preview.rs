//! Serves every page with made-up content and the product's own headers, for a browser to look at. No part of the
//! product, no store behind it: what is sent to it is counted and thrown away.
//!
//! Prints `http://127.0.0.1:PORT` once it listens, and ends when its standard input does.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ACCEPT_ENCODING;
use actix_web::{App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer, web};
use sequel::pages::{self, Rendered, assets};

/// What is served.
struct Preview {
    pages: HashMap<String, Rendered>,
    /// In the order in which they are made.
    names: Vec<String>,
    posts: AtomicUsize,
    looks: AtomicUsize,
}

fn with(headers: &[(&'static str, &'static str)], status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    for header in headers {
        response.insert_header(*header);
    }
    response
}

async fn names(preview: web::Data<Preview>) -> HttpResponse {
    HttpResponse::Ok().json(&preview.names)
}

async fn page(path: web::Path<(String, String)>, preview: web::Data<Preview>) -> HttpResponse {
    let (page, sample) = path.into_inner();
    match preview.pages.get(&format!("{page}/{sample}")) {
        Some(page) => {
            let status = StatusCode::from_u16(page.status).expect("a page has a status");
            with(pages::PAGE, status).body(page.html.clone())
        }
        None => HttpResponse::NotFound().finish(),
    }
}

async fn asset(request: HttpRequest) -> HttpResponse {
    let Some(asset) = assets::find(request.path()) else { return HttpResponse::NotFound().finish() };
    let accepted = request.headers().get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let mut response = with(pages::ASSET, StatusCode::OK);
    response.content_type(asset.media_type);
    if accepted.is_some_and(|encodings| encodings.contains("gzip")) {
        response.insert_header(("Content-Encoding", "gzip")).body(asset.gzip.clone())
    } else {
        response.body(asset.bytes)
    }
}

/// The first call comes at the second look.
async fn progress(preview: web::Data<Preview>) -> HttpResponse {
    if preview.looks.fetch_add(1, Ordering::SeqCst) == 0 {
        return HttpResponse::NoContent().finish();
    }
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body("Claude Code called list_data_sources, just now")
}

/// Counts what is sent, and takes its time, so that a second click finds the first one under way. Says how many there
/// were, and which origin the browser told.
async fn taken(request: HttpRequest, preview: web::Data<Preview>) -> HttpResponse {
    // A browser also asks for an icon.
    if request.method() != actix_web::http::Method::POST {
        return HttpResponse::NotFound().finish();
    }
    let count = preview.posts.fetch_add(1, Ordering::SeqCst) + 1;
    actix_web::rt::time::sleep(Duration::from_millis(400)).await;
    let origin = request.headers().get("origin").and_then(|value| value.to_str().ok()).unwrap_or("none");
    with(pages::PAGE, StatusCode::OK).body(format!("<!doctype html><title>{count} {origin}</title>"))
}

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let all = pages::all_samples();
    let name = |page: &Rendered| format!("{}/{}", page.page, page.sample);
    let preview = web::Data::from(Arc::new(Preview {
        names: all.iter().map(name).collect(),
        pages: all.iter().map(|page| (name(page), page.clone())).collect(),
        posts: AtomicUsize::new(0),
        looks: AtomicUsize::new(0),
    }));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(preview.clone())
            .route("/", web::get().to(names))
            .route("/assets/{name}", web::get().to(asset))
            .route("/pages/{page}/{sample}", web::get().to(page))
            .route("/orgs/{org}/install/{tool}/progress", web::get().to(progress))
            .default_service(web::to(taken))
    })
    .workers(1)
    .bind(("127.0.0.1", 0))?;
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    std::thread::spawn(move || {
        // Whoever started this holds the other end, and it closes however they end.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        actix_web::rt::System::new().block_on(handle.stop(false));
    });
    println!("http://{address}");
    std::io::stdout().flush()?;
    server.await
}
