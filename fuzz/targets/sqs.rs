//! Feeds `sqs`: see `src/backend/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plimsoll::backend::fuzz::sqs(data));
