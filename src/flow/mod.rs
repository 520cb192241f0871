//! Use cases that span what belongs to an organization and what does not: one a file.

pub mod create_org;
pub mod delete_org;
pub mod find_org;
pub mod purge_orgs;
pub mod rename_org;

#[cfg(test)]
mod tests;
