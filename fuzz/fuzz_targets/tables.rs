#![no_main]

// Libraries may panic over broken tables, as long as it comes back as an error: what leaves the function is a finding.
libfuzzer_sys::fuzz_target!(init: std::panic::set_hook(Box::new(|_| ())), |bytes: &[u8]| tokshift_fuzz::tables(bytes));
