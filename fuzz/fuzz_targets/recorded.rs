#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tokshift_fuzz::recorded_rows(bytes));
