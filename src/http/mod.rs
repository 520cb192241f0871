//! The edge: extract, call once, encode. Owns HTTP and nothing of what is decided.
//!
//! The public server has `POST /mcp`, OAuth's endpoints (`oauth`), the probes, and the dashboard (`dashboard`); the
//! administration under `/api/v1` is served on a unix socket only (`api`).

mod accept;
mod answer;
pub mod api;
mod batch;
mod bearer;
mod body;
mod cors;
mod dashboard;
mod health;
mod listen;
mod mcp;
pub mod metrics;
mod missing;
mod oauth;
mod origin;
mod paced;
mod peer;
mod progress;
mod request_id;
mod sentence;
mod sse;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::Method;
use actix_web::{HttpRequest, Resource, web};

pub use bearer::Challenge;
pub use dashboard::{Dashboard, FirstCalls, Once, ROUTES as DASHBOARD};
pub use listen::StreamTimes;
pub use origin::Hosts;
pub use paced::{Pace, Paced};
pub use peer::Peers;

use crate::flow::OAuth;
use crate::mcp::ServerFacts;
use crate::metrics::Metrics;
use crate::org::Registry;
use crate::tools::Tools;

/// What the public server's handlers share.
pub struct Edge {
    /// All organizations.
    pub registry: Registry,
    /// What carries tool calls out.
    pub tools: Tools,
    /// What the server says of itself to MCP clients.
    pub facts: ServerFacts,
    /// Which hosts and origins are ours.
    pub hosts: Hosts,
    /// What a client without a valid credential is told.
    pub challenge: Challenge,
    /// What MCP clients are given: the public URL of the endpoint.
    pub mcp_url: String,
    /// Whose word about a client's address is taken.
    pub peers: Peers,
    /// What is counted.
    pub metrics: Metrics,
    /// Most bytes of a request's body.
    pub body_max_bytes: usize,
    /// How long a request's body may take.
    pub body_timeout: std::time::Duration,
    /// How streams of change notices are bounded in time.
    pub streams: StreamTimes,
    /// Clients, grants and tokens.
    pub oauth: OAuth,
    /// What the dashboard's pages are made of.
    pub dashboard: Dashboard,
    /// False before start-up is over and again once a shutdown has begun.
    pub ready: Arc<AtomicBool>,
}

pub use request_id::RequestIds;

/// What one worker thread has of its own. Counting requests and references in what all workers share would
/// send a cache line back and forth for every request.
pub struct Worker {
    /// Shared by all of them.
    pub edge: Arc<Edge>,
    /// Numbers this worker's requests.
    pub request_ids: RequestIds,
    /// What the server says of itself, in memory of this worker's own.
    pub facts: ServerFacts,
}

impl Edge {
    fn is_ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }
}

/// A route: what it is, and how it is served.
pub struct Route {
    /// Its path.
    pub path: &'static str,
    /// The methods that do something.
    pub methods: &'static [&'static str],
    /// Who may use it.
    pub access: Access,
    resource: fn(Resource) -> Resource,
}

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody; what is sent says which OAuth client it is, and proves it where that has a secret.
    Client,
    /// Whoever has a valid credential.
    Credential,
    /// Whoever is signed in.
    Person,
    /// Whoever is a member of the organization in the path, as far as their role goes.
    Member,
}

/// The routes for machines. What is in neither this table nor the dashboard's is not served.
pub const ROUTES: &[Route] = &[
    Route { path: "/mcp", methods: &["POST"], access: Access::Credential, resource: |r| r.to(mcp::endpoint) },
    document("/.well-known/oauth-protected-resource", |r| r.get(oauth::resource)),
    document("/.well-known/oauth-protected-resource/mcp", |r| r.get(oauth::resource)),
    // Clients that know the endpoint alone look beside it, those of OpenID Connect under another name.
    document("/.well-known/oauth-authorization-server", |r| r.get(oauth::authorization_server)),
    document("/.well-known/oauth-authorization-server/mcp", |r| r.get(oauth::authorization_server)),
    document("/.well-known/openid-configuration", |r| r.get(oauth::authorization_server)),
    document("/.well-known/openid-configuration/mcp", |r| r.get(oauth::authorization_server)),
    document("/mcp/.well-known/openid-configuration", |r| r.get(oauth::authorization_server)),
    endpoint("/oauth/register", |r| r.post(oauth::register)),
    endpoint("/oauth/token", |r| r.post(oauth::token)),
    endpoint("/oauth/revoke", |r| r.post(oauth::revoke)),
    // Where clients of 2025-03-26 go without having looked for metadata.
    endpoint("/register", |r| r.post(oauth::register)),
    endpoint("/token", |r| r.post(oauth::token)),
    Route {
        path: "/healthz",
        methods: &["GET"],
        access: Access::Public,
        resource: |r| r.get(health::healthz),
    },
    Route {
        path: "/readyz",
        methods: &["GET", "HEAD"],
        access: Access::Public,
        resource: |r| r.get(health::readyz).head(health::readyz),
    },
];

/// What a client reads before it asks for anything.
const fn document(path: &'static str, resource: fn(Resource) -> Resource) -> Route {
    Route { path, methods: &["GET", "OPTIONS"], access: Access::Public, resource }
}

/// What a client sends something to, and proves itself there what it has to.
const fn endpoint(path: &'static str, resource: fn(Resource) -> Resource) -> Route {
    Route { path, methods: &["POST", "OPTIONS"], access: Access::Client, resource }
}

/// All routes of the public server.
fn all_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(dashboard::ROUTES)
}

/// Adds the public routes to an application.
pub fn routes(app: &mut web::ServiceConfig) {
    for route in all_routes() {
        let no_such_method =
            |request: HttpRequest, worker: web::Data<Worker>| missing::method(request, worker, route.methods);
        let resource = web::resource(route.path).default_service(web::to(no_such_method));
        let mut resource = (route.resource)(resource);
        if route.methods.contains(&"OPTIONS") {
            resource = resource.route(web::method(Method::OPTIONS).to(cors::preflight));
        }
        app.service(resource);
    }
    app.default_service(web::to(missing::path));
}
