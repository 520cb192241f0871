//! `/api/v1`: administration over HTTP on a unix socket that only the server's own user can open.
//!
//! The command line is a client of it. Shapes are in [`crate::api`]; what is done lies in `flow` and
//! `org`.

mod acting;
mod audit;
mod keys;
mod orgs;
mod problem;
mod sources;
mod usage;

pub use acting::note_peer;

use std::time::Duration;

use actix_web::web;

use crate::api;
use crate::context::Context;
use crate::org::Registry;
use crate::org::audit::Via;
use crate::system::OrgIndex;

/// What the administration's handlers share.
pub struct Admin {
    /// All organizations.
    pub registry: Registry,
    /// Organizations by name.
    pub index: OrgIndex,
    /// Time and randomness.
    pub context: Context,
    /// How long a rotated key's old secret lives where nobody says.
    pub rotate_overlap: Duration,
    /// The longest that it may live.
    pub rotate_overlap_max: Duration,
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
    app.app_data(json).app_data(query).service(
        web::scope(api::BASE)
            .service(web::resource("/server").get(orgs::server))
            .service(web::resource("/orgs").get(orgs::list).post(orgs::create))
            .service(web::resource("/orgs/{org}/keys").get(keys::list).post(keys::create))
            .service(web::resource("/orgs/{org}/keys/{key}").patch(keys::change).delete(keys::delete))
            .service(web::resource("/orgs/{org}/keys/{key}/rotate").post(keys::rotate))
            .service(web::resource("/orgs/{org}/sources").get(sources::list).post(sources::add))
            .service(web::resource("/orgs/{org}/sources/{source}").delete(sources::remove))
            .service(web::resource("/orgs/{org}/sources/{source}/test").post(sources::test))
            .service(web::resource("/orgs/{org}/audit").get(audit::list))
            .service(web::resource("/orgs/{org}/usage").get(usage::list)),
    );
    app.default_service(web::to(problem::no_such_path));
}
