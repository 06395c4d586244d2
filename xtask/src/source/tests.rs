use super::{Source, has_word};
use crate::workspace::File;

fn source(text: &str) -> Source {
    Source::parse(&File::new("a/src/lib.rs", text))
}

#[test]
fn comments_and_literals_are_not_code() {
    for (name, text, code) in [
        ("line comment", "a; // tokio", "a;"),
        ("block comment", "a /* tokio /* b */ c */ d", "a                       d"),
        ("text", "a(\"tokio\")", "a(\"     \")"),
        ("escaped quote", r#"a("x\"tokio"); b"#, r#"a("        "); b"#),
        ("raw text", "a(r#\"to\"kio\"#); b", "a(r#\"      \"#); b"),
        ("byte text", "a(b\"tokio\")", "a(b\"     \")"),
        ("name ending in r", "bar\"x\"", "bar\" \""),
        ("raw name", "r#type + b", "r#type + b"),
        ("character", "a('\"'); b", "a(   ); b"),
        ("escaped character", r"a('\''); b", "a(    ); b"),
        ("lifetime", "&'a str", "&'a str"),
        ("label", "'outer: loop {}", "'outer: loop {}"),
    ] {
        assert_eq!(source(text).code[0].trim_end(), code, "{name}");
    }
}

#[test]
fn comments_are_kept_apart() {
    assert_eq!(source("a; // b\n\"// c\"").comments, ["   // b", "      "]);
}

#[test]
fn text_over_several_lines_keeps_the_lines() {
    let source = source("a(\"one\ntwo\");\nb");
    assert_eq!(source.len(), 3);
    assert_eq!(source.code[2], "b");
}

#[test]
fn test_code_is_code_under_cfg_test() {
    let inline = source("a\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nc");
    assert_eq!(inline.is_test, [false, true, true, true, true, false]);
    let sibling = source("#[cfg(test)]\nmod tests;\nc");
    assert_eq!(sibling.is_test, [true, true, false]);
}

#[test]
fn test_files_are_test_code_throughout() {
    for (path, expected) in [
        ("a/src/b/tests.rs", true),
        ("a/src/b/match_tests.rs", true),
        ("a/tests/b.rs", true),
        ("tests/src/lib.rs", true),
        ("a/src/b.rs", false),
        ("a/src/contests.rs", false),
    ] {
        assert_eq!(Source::parse(&File::new(path, "x")).is_test_file(), expected, "{path}");
    }
}

#[test]
fn words_match_only_whole_words() {
    for (line, word, expected) in [
        ("use tokio::sync;", "tokio", true),
        ("use tokio_stream::x;", "tokio", false),
        ("my_tokio()", "tokio", false),
        ("std::time::Instant::now()", "Instant::now", true),
        ("thread::spawn(f)", "thread::", true),
        ("mythread::spawn(f)", "thread::", false),
        ("#[ignore = \"x\"]", "#[ignore", true),
    ] {
        assert_eq!(has_word(line, word), expected, "{line}");
    }
}
