//! What belongs to no organization. Today: the index of organizations by name, the list of those
//! that were deleted, and what is said of the store as a whole.

pub mod deletions;
pub mod orgs;
pub mod whole;

pub use deletions::Deletion;
pub use orgs::{IndexError, OrgIndex};
