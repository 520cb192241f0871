//! `/api/v1`: administration over HTTP on a unix socket that only the server's own user can open.
//!
//! The command line is a client of it. Shapes are in [`crate::api`]; what is done lies in `flow` and
//! `org`.

mod acting;
mod apps;
mod audit;
mod backup;
mod keys;
mod members;
mod openapi;
mod orgs;
mod problem;
mod queries;
mod secrets;
mod sources;
mod table;
mod usage;
mod users;

pub use acting::{note_peer, operator};

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web;

use crate::api;
use crate::backup::Exporter;
use crate::context::Context;
use crate::flow::People;
use crate::org::Registry;
use crate::org::audit::Via;
use crate::system::OrgIndex;

pub use openapi::{document, text};
pub use table::{OPERATIONS, Operation};

/// What the administration's handlers share.
pub struct Admin {
    /// All organizations.
    pub registry: Registry,
    /// Organizations by name.
    pub index: OrgIndex,
    /// People and their sessions.
    pub people: People,
    /// Makes backups of the store.
    pub exporter: Exporter,
    /// Time and randomness.
    pub context: Context,
    /// How long a rotated key's old secret lives where nobody says.
    pub rotate_overlap: Duration,
    /// The longest that it may live.
    pub rotate_overlap_max: Duration,
    /// How long a deleted organization can be restored.
    pub delete_grace: Duration,
    /// How long opening and asking a data source may take when it is tested.
    pub test_timeout: Duration,
    /// What the server says of itself.
    pub server: api::Server,
    /// Whether a server or a command that works alone carries changes out, for the audit trail.
    pub via: Via,
}

/// Longest body of an administrative request: settings and names, nothing large.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Adds the administration's routes to an application.
pub fn routes(app: &mut web::ServiceConfig) {
    let json = web::JsonConfig::default().limit(BODY_BYTES_MAX).error_handler(problem::bad_json);
    let query = web::QueryConfig::default().error_handler(problem::bad_query);
    let mut resources = BTreeMap::new();
    for operation in OPERATIONS {
        let resource = resources.remove(operation.path).unwrap_or_else(|| web::resource(operation.path));
        resources.insert(operation.path, resource.route((operation.route)()));
    }
    let scope = resources.into_values().fold(web::scope(api::BASE), |scope, resource| {
        scope.service(resource.default_service(web::to(problem::no_such_method)))
    });
    app.app_data(json).app_data(query).service(scope);
    app.default_service(web::to(problem::no_such_path));
}
