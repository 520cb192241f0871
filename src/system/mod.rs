//! What belongs to no organization. Today: the index of organizations by name.

mod orgs;

pub use orgs::{IndexError, OrgIndex};
