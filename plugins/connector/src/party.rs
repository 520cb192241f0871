//! Whom a handle is opened for, as far as a connector has to know.

use std::sync::Arc;

/// A label that says which handles belong together, and nothing else: a connector compares it, and shares out evenly
/// among different ones what they have to share. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Party(Arc<str>);

impl Party {
    /// The same label is the same party.
    pub fn new(label: &str) -> Self {
        Self(label.into())
    }
}
