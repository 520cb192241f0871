//! The fuzzer's side of `sequel_fuzz::encode`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sequel_fuzz::encode::holds(data));
