//! The fuzzer's side of `sequel_fuzz::jsonrpc`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sequel_fuzz::jsonrpc::holds(data));
