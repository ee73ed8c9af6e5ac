#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokshift_fuzz::experiments(bytes));
