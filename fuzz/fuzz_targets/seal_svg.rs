#![no_main]
#![allow(missing_docs)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sealagent_fuzz::pages::seal_svg(bytes));
