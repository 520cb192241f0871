//! The fuzzer's side of `sequel_fuzz::credential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sequel_fuzz::credential::holds(data));
