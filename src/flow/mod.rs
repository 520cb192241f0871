//! Use cases that span what belongs to an organization and what does not: one a file.

pub mod consent;
pub mod create_org;
pub mod delete_org;
pub mod find_org;
pub mod give_back;
pub mod invite;
pub mod keys;
pub mod members;
pub mod oauth;
pub mod passwords;
pub mod people;
pub mod purge_orgs;
pub mod redeem;
pub mod register;
pub mod rename_org;
pub mod rotate_secrets;
pub mod set_up;
pub mod sign_in;
mod throttle;
pub mod trail;
pub mod users;

pub use oauth::{OAuth, OAuthError, OAuthSettings};
pub use people::{Began, MyOrg, People, PeopleParts, PeopleState, SignInError};
pub use throttle::SignInLimits;

#[cfg(test)]
mod oauth_tests;
#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod tests;
