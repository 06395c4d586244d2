use super::{LIBRARIES, difference, foreign, listing::Listing, surface};
use crate::syntax::Crate;
use crate::workspace::File;

fn parse(name: &str, files: &[(&str, &str)]) -> Listing {
    let files: Vec<_> =
        files.iter().map(|(path, text)| File::new(format!("{name}/src/{path}"), *text)).collect();
    Listing::of(&Crate::parse(name, &files).unwrap())
}

/// The listing of a crate of one file, line by line.
fn lines(text: &str) -> Vec<String> {
    parse("a", &[("lib.rs", text)]).render().lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn listing_has_what_a_user_can_name() {
    for (name, text, expected) in [
        ("private", "struct A; pub(crate) fn b() {} mod c { pub fn d() {} }", &[][..]),
        ("module", "pub mod a { pub fn b(c: u8) -> bool { c > 0 } }", &["mod a", "fn a::b(c: u8) -> bool"]),
        (
            "struct",
            "#[non_exhaustive] #[derive(Clone, thiserror::Error)] pub struct A { pub b: Vec<u8>, c: u8 }",
            &["struct A #[non_exhaustive]", "pub b: Vec<u8>", "private fields", "impl Clone", "impl Error"],
        ),
        ("tuple", "pub struct A(pub u8);", &["struct A", "pub 0: u8"]),
        (
            "enum",
            "pub enum A { #[non_exhaustive] B, C(u8), D { e: u8 } }",
            &["enum A", "variant B #[non_exhaustive]", "variant C(u8)", "variant D { e: u8 }"],
        ),
        (
            "trait",
            "pub trait A: Send + 'static { type B: Clone; const C: u8; fn d(&self); fn e(&self) {} }",
            &[
                "trait A: Send + 'static",
                "type B: Clone",
                "const C: u8",
                "fn d(&self)",
                "provided fn e(&self)",
            ],
        ),
        ("constant", "pub const A: &[u8] = b\"x\";", &["const A: &[u8]"]),
        ("alias", "pub type A<T> = Result<T, ()>;", &["type A<T> = Result<T, ()>"]),
        ("pinned", "pin_project! { pub struct A<F> { #[pin] f: F } }", &["struct A<F>", "private fields"]),
        (
            "test code",
            "#[cfg(test)] pub fn a() {} #[cfg(feature = \"testing\")] pub fn b() {} \
             #[cfg(feature = \"x\")] pub fn c() {}",
            &["fn c() #[cfg(feature = \"x\")]"],
        ),
    ] {
        assert_eq!(lines(text), expected, "{name}");
    }
}

#[test]
fn methods_and_implementations_are_listed_at_their_type() {
    for (name, text, expected) in [
        (
            "methods",
            "pub struct A; impl A { pub fn b(mut self, mut c: u8) {} fn d() {} pub const E: u8 = 1; }",
            &["struct A", "const E: u8", "fn b(self, c: u8)"][..],
        ),
        (
            "implementations",
            "pub struct A; impl Iterator for A { type Item = u8; } trait P {} impl P for A {}",
            &["struct A", "impl Iterator with Item = u8"],
        ),
        (
            "some of the types",
            "pub struct A<T>(T); impl A<u8> { pub fn b() {} } impl<T: Clone> A<T> { pub fn c() {} }",
            &["struct A<T>", "private fields", "impl A<u8>: fn b()", "impl<T: Clone>: fn c()"],
        ),
        (
            "parameters of an associated type",
            "pub trait A { type B<C: Clone>: Into<C>; } pub struct D; impl A for D { type B<C: Clone> = E<C>; } \
             pub struct E<T>(T);",
            &[
                "trait A",
                "type B<C: Clone>: Into<C>",
                "struct D",
                "impl A with B<C: Clone> = E<C>",
                "struct E<T>",
                "private fields",
            ],
        ),
        (
            "a default parameter",
            "pub struct A<T: Clone = u8>(T); impl<T: Clone> A<T> { pub fn b() {} }",
            &["struct A<T: Clone = u8>", "private fields", "fn b()"],
        ),
    ] {
        assert_eq!(lines(text), expected, "{name}");
    }
}

#[test]
fn names_are_the_paths_that_a_user_knows() {
    for (name, text, expected) in [
        (
            "re-export of a private module",
            "mod a { pub struct B; } pub use a::B as C; pub fn d(b: a::B) {}",
            &["struct C", "fn d(b: C)"][..],
        ),
        (
            "re-export of a public one",
            "pub mod a { pub struct B; } pub use a::B;",
            &["use B = a::B", "mod a", "struct a::B"],
        ),
        ("all of a module", "mod a { pub struct B; } pub use a::*;", &["struct B"]),
        ("of another crate", "pub use http::Uri;", &["use Uri = http::Uri"]),
        ("imported", "use http::Uri; pub fn a(uri: &Uri) {}", &["fn a(uri: &http::Uri)"]),
        (
            "through a module",
            "use http::header; pub fn a(b: header::HeaderName) {}",
            &["fn a(b: http::header::HeaderName)"],
        ),
        (
            "std",
            "use std::{io, time::Duration}; pub fn a(b: Duration) -> io::Result<()> {}",
            &["fn a(b: Duration) -> io::Result<()>"],
        ),
        (
            "a private alias",
            "type A<T> = http::Request<T>; pub fn b(a: A<u8>) {}",
            &["fn b(a: http::Request<u8>)"],
        ),
        (
            "an associated type",
            "pub trait A { type B; } pub fn c<T: A>(d: <T as crate::A>::B, e: T::B) {}",
            &["trait A", "type B", "fn c<T: A>(d: <T as A>::B, e: T::B)"],
        ),
    ] {
        assert_eq!(lines(text), expected, "{name}");
    }
}

#[test]
fn modules_are_followed_into_their_files() {
    let files = [
        ("lib.rs", "pub mod a; mod b; pub use b::c::D;"),
        ("a.rs", "pub struct A;"),
        ("b/mod.rs", "pub(crate) mod c;"),
        ("b/c.rs", "use super::super::a::A; pub struct D(pub A);"),
    ];
    assert_eq!(parse("m", &files).render(), "struct D\n    pub 0: a::A\nmod a\nstruct a::A\n");
    let missing = Crate::parse("m", &[File::new("m/src/lib.rs", "pub mod a;")]).err().unwrap();
    assert_eq!(missing.to_string(), "m/src/a/mod.rs: there is no such file");
}

#[test]
fn debug_by_the_macro_for_errors_is_listed() {
    let text = "pub struct A; struct B; debug_with_causes!(A, B);";
    assert_eq!(parse("m", &[("lib.rs", text)]).render(), "struct A\n    impl Debug\n");
}

#[test]
fn unknown_macro_is_refused_since_it_may_hide_items() {
    let refused = Crate::parse("m", &[File::new("m/src/lib.rs", "items! { pub struct A; }")]).err().unwrap();
    assert!(refused.to_string().contains("cannot be read through `items!`"), "{refused}");
}

/// What is said of a crate whose only function has this type as its argument.
fn problems(name: &str, shown: &str) -> Vec<String> {
    let text = format!(
        "type Hidden = {shown}; pub mod policy {{ pub mod lb {{ pub fn a(b: crate::Hidden) {{}} }} }}"
    );
    foreign::problems(name, &parse(name, &[("lib.rs", &text)]))
}

#[test]
fn foreign_types_are_settled_or_excepted() {
    let of =
        |name, shown| problems(name, shown).into_iter().filter(|text| !text.contains("exception")).count();
    for (name, shown, expected) in [
        ("mesh-core", "Option<http::Uri>", 0),
        ("mesh-core", "std::time::Duration", 0),
        ("mesh-core", "h2::Reason", 1),
        ("mesh-core", "Box<dyn rand::Rng>", 0),
        ("mesh-core", "tonic::Status", 1),
        ("mesh-tonic", "tonic::Status", 0),
        ("mesh-tonic", "mesh_core::Mesh", 0),
        ("mesh-tonic", "prost::DecodeError", 1),
        ("mesh-tonic", "rand::Rng", 1),
        ("mesh-hyper", "Vec<xds_proto::X>", 1),
    ] {
        assert_eq!(of(name, shown), expected, "{name} {shown}: {:?}", problems(name, shown));
    }
    let unneeded = problems("mesh-core", "u8");
    assert!(unneeded.iter().any(|text| text.starts_with("nothing shows rand any more")), "{unneeded:?}");
}

#[test]
fn error_of_variants_must_be_able_to_grow() {
    for (name, text, expected) in [
        ("open", "#[derive(thiserror::Error)] #[non_exhaustive] pub enum A { B }", 0),
        ("closed", "#[derive(thiserror::Error)] pub enum A { B }", 1),
        ("closed, by hand", "pub enum A { B } impl std::error::Error for A {}", 1),
        ("opaque", "#[derive(thiserror::Error)] pub struct A(u8);", 0),
        ("no error", "pub enum A { B }", 0),
    ] {
        let problems = surface("mesh-hyper", &[File::new("mesh-hyper/src/lib.rs", text)]).unwrap().problems;
        assert_eq!(problems.len(), expected, "{name}: {problems:?}");
    }
}

#[test]
fn difference_is_listed_under_its_block() {
    let old = "# words\nstruct A\n    pub b: u8\n    pub c: u8\nstruct D\n";
    let new = "# other words\nstruct A\n    pub b: u16\n    pub c: u8\nstruct E\n    pub f: u8\n";
    let expected = " struct A\n-    pub b: u8\n+    pub b: u16\n-struct D\n+struct E\n+    pub f: u8\n";
    assert_eq!(difference(old, new), expected);
    assert_eq!(difference(old, old), "");
}

#[test]
fn name_that_cannot_be_found_is_a_problem() {
    for name in LIBRARIES {
        let sources = [File::new(format!("{name}/src/lib.rs"), "pub fn a(b: Missing) {}")];
        let found = surface(name, &sources).unwrap().problems;
        assert!(found.iter().any(|text| text.contains("names Missing, which cannot be found")), "{found:?}");
    }
}
