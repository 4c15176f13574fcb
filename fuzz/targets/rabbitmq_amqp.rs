//! Feeds `rabbitmq_amqp`: see `src/backend/fuzz.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plimsoll::backend::fuzz::rabbitmq_amqp(data));
