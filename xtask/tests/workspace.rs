//! The workspace keeps its own rules.

/// Imports, forbidden words, sizes of files, Cargo.lock.
#[test]
fn workspace_keeps_its_layering() {
    if let Err(failure) = xtask::layering::check(&xtask::workspace::root()) {
        panic!("\n{failure}\n");
    }
}

/// docs/public-api lists what the library crates show, and they show no type of a crate that may change under users.
#[test]
fn public_surface_is_the_committed_listing() {
    if let Err(failure) = xtask::public_api::check(&xtask::workspace::root()) {
        panic!("\n{failure}\n");
    }
}

/// The code of xds-proto is what its declarations make.
#[test]
fn generated_messages_are_those_declared() {
    if let Err(failure) = xtask::protos::check(&xtask::workspace::root()) {
        panic!("\n{failure}\n");
    }
}

/// docs/conformance.md has one row per rule, and its status column is what the tests claim.
#[test]
fn conformance_page_says_what_the_tests_prove() {
    if let Err(failure) = xtask::conformance::check(&xtask::workspace::root()) {
        panic!("\n{failure}\n");
    }
}
