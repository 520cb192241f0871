//! Everything that is tested from outside the modules, in one binary, so that it links once.
//!
//! `architecture` reads the source. All others are black-box tests: the real binary as a child process,
//! spoken to over loopback as a stranger would. Each starts what it needs on a folder and a port of its
//! own, and stops it by its process id.

mod admin_api;
mod apps;
mod architecture;
mod audit;
mod backing;
mod backup;
mod backup_files;
mod browser;
mod canaries;
mod command_line;
mod consent;
mod credentials;
mod crowds;
mod dashboard;
mod data_folder;
mod data_postgres;
mod deleted_org;
mod disconnect;
mod doctor;
mod documentation;
mod events;
mod faults;
mod fuzz_corpus;
mod hostile_http;
mod hosts;
// A server's inside, with a clock that a test may move.
#[path = "../../benches/grants/inside.rs"]
mod inside;
mod limits;
mod listening;
mod long_lived;
mod metrics;
mod neighbours;
mod oauth;
mod packaging;
mod people;
mod postgres;
mod progress;
mod protocol;
// The way to a database that its own tests disturb.
#[path = "../postgres/proxy.rs"]
mod proxy;
mod queries;
mod rates;
mod reverse_proxy;
mod revocation;
mod rooms;
mod routes;
mod schema;
mod server;
mod shells;
mod sources;
mod tls;
mod tools;
mod traces;
mod usage;
mod waiting;
mod whole;
mod wire;
