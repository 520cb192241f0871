//! What belongs to no organization. Today: the index of organizations by name, and the
//! list of those that were deleted.

mod deletions;
mod orgs;

pub use deletions::Deletion;
pub use orgs::{IndexError, OrgIndex};
