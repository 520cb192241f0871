//! What belongs to no organization: the people and their sessions, the index of organizations by name, the list of
//! those that were deleted, and what is said of the store as a whole.

pub mod clients;
pub mod cookie;
pub mod deletions;
pub mod email;
pub mod hashing;
pub mod memberships;
pub mod orgs;
pub mod password;
pub mod sessions;
mod table;
pub mod users;
pub mod whole;

pub use clients::Clients;
pub use deletions::Deletion;
pub use memberships::Memberships;
pub use orgs::OrgIndex;
pub use sessions::Sessions;
pub use table::TableError;
pub use users::Users;
