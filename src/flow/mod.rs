//! Use cases that span what belongs to an organization and what does not: one a file.

pub mod create_org;
pub mod find_org;
