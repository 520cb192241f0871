//! What looking at a store from outside finds, whichever embedded backend wrote it.

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The version of the store's schema or format.
    pub version: u32,
    /// The newest version that this build knows.
    pub known: u32,
    /// What is wrong with it; `None` where nothing was found.
    pub damage: Option<String>,
}
