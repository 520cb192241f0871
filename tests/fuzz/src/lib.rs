//! What must hold for every input: one module a target, each with `holds`, which panics where it does not.
//!
//! The fuzzer calls it with what it makes up (`fuzz_targets/`), and `tests/it/fuzz_corpus.rs` with what is
//! committed (`corpus/`), so that the ordinary tests run what was once found.

pub mod credential;
pub mod encode;
pub mod guard;
pub mod jsonrpc;
