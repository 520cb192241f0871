//! The fuzzer's side of `sequel_fuzz::guard`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sequel_fuzz::guard::holds(data));
