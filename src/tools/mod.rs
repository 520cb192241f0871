//! (being built)
pub mod encode;
