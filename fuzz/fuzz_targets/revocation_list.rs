#![no_main]

#[path = "../../xds-client/tests/corpus/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    targets::run("revocation_list", data);
});
