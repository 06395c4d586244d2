//! Which regular expressions are refused, and what is said. `tests/tests/regex.rs` compares those that pass with RE2 itself.

use crate::finding::Findings;
use crate::kinds::regex::check;
use crate::yaml::FieldPath;

#[test]
fn expressions_that_all_clients_read_alike_pass() {
    for pattern in ACCEPTED {
        assert_eq!(check(pattern).err(), None, "{pattern}");
    }
}

#[test]
fn expressions_that_clients_refuse_or_read_differently_are_refused() {
    for (pattern, message) in REFUSED {
        let found = check(pattern).expect_err(pattern);
        assert!(found.contains(*message), "{pattern}: {found}");
    }
    assert!(check(&"a".repeat(40_000)).is_err());
    assert!(check(&"(".repeat(1000)).is_err());
}

/// X6 of hostile input: a hundred thousand expressions in one object cost as much as the first thousand.
#[test]
fn expressions_of_one_object_have_a_budget() {
    let (mut findings, path) = (Findings::default(), FieldPath::default());
    for index in 0..1000 {
        crate::kinds::check::regex(&format!("/shop/{index}/.*"), &path, &mut findings);
    }
    assert!(!findings.has_errors(), "{findings:?}");
    for index in 0..100_000 {
        crate::kinds::check::regex(&format!("/shop/{index}/.*(["), &path, &mut findings);
    }
    let all: Vec<_> = findings.iter().collect();
    assert!(all.len() < 2000 && all.last().unwrap().message.contains("too many"), "{}", all.len());
    let (mut findings, large) = (Findings::default(), "\\pL".repeat(10));
    for _ in 0..8 {
        crate::kinds::check::regex(&large, &path, &mut findings);
    }
    assert_eq!(findings.iter().count(), 1, "a few large ones");
}

const ACCEPTED: &[&str] = &[
    "",
    "a",
    "a|b",
    "a||b",
    "(|a)",
    "()",
    ".*",
    "/shop\\.Orders/.*",
    "[a-z0-9-]+",
    "[^/]+",
    "[]a]",
    "[a-]",
    "\\d+",
    "\\w\\s\\D\\W\\S",
    "[\\d\\w]",
    "\\bv1\\b",
    "\\Ba",
    "^a$",
    "\\Aa\\z",
    "(?i)abc",
    "(?i:a)b",
    "(?s).",
    "(?m)^a$",
    "(?U)a+",
    "(?-s)a",
    "a?",
    "a*?",
    "a{2}",
    "a{2,}",
    "a{2,5}?",
    "a{0}",
    "a{1000}",
    "(?:a{10}){100}",
    "(?P<name>a)",
    "\\x41",
    "\\x{1F600}",
    "\\.",
    "\\/",
    "\\-",
    "\\t",
    "é",
    "[é-ü]",
    "\\pL",
    "\\PN",
    "\\p{Lu}",
    "[\\pL\\d]",
    "[[:alpha:]]",
    "[[:^digit:]]",
    "}",
    "]",
    "a}",
    "(?:(?:a+)+)+",
    "[a&b]",
    "(?i)[^a-z]",
    "(?i)[[:alpha:]]",
    "(?i)[\\W]",
    "(?i)[[:^alpha:]]",
    ".{1000}",
];

/// With a part of what is said.
const REFUSED: &[(&str, &str)] = &[
    ("a(b", "unclosed group"),
    ("a)", "unopened group"),
    ("*", "repetition"),
    ("a++", "write (?:...)+"),
    ("a**", "write (?:...)*"),
    ("a{2}{3}", "write (?:...){3}"),
    ("(?:a+?)?+", "does not repeat a repetition"),
    ("^*", "repeats no character"),
    ("\\b+", "repeats no character"),
    ("a{2000}", "at most 1000 times"),
    ("a{2,1001}", "at most 1000 times"),
    ("(?:a{100}){11}", "nested repetitions multiplied"),
    ("((a{2,100})?b{3}){11}", "nested repetitions multiplied"),
    ("a{,3}", "write \\{"),
    ("a{3,2}", "invalid repetition"),
    ("a{02}", "to RE2, {02} is text"),
    ("a{x}", "write \\{"),
    ("a{", "write \\{"),
    ("\\u0041", "write \\x{41}"),
    ("\\u{41}", "write \\x{41}"),
    ("\\U00000041", "write \\x{41}"),
    ("[\\u0041-\\u0043]", "write \\x{41}"),
    ("\\Qa.b\\E", "in front of each character"),
    ("\\C", "write ."),
    ("\\Z", "write \\z"),
    ("\\_", "write _"),
    ("\\1", "backreferences"),
    ("(?=a)", "look-around"),
    ("\\<a\\>", "write <"),
    ("\\b{start}a", "\\b and \\B"),
    ("(?x)a b", "i, m, s and U"),
    ("(?u)a", "i, m, s and U"),
    ("(?-u:a)", "i, m, s and U"),
    ("(?R)$", "i, m, s and U"),
    ("(?<name>a)", "(?P<name>...)"),
    ("(?P<a.b>a)", "(?P<name>...)"),
    ("[a-z&&[^b]]", "operations on classes"),
    ("[a--b]", "operations on classes"),
    ("[a~~b]", "operations on classes"),
    ("[--a]", "begins a range"),
    ("[^--a]", "begins a range"),
    ("[]-a]", "write \\]"),
    ("[a[b]]", "write \\["),
    ("[[]", "write \\["),
    ("\\p{Emoji}", "general category"),
    ("\\p{Greek}", "general category"),
    ("\\p{sc=Greek}", "general category"),
    ("\\p{Letter}", "general category"),
    ("\\pC", "general category"),
    ("[\\p{Han}]", "general category"),
    ("(?i)é", "with (?i), a character beyond ASCII"),
    ("(?i:a)\\pL", "with (?i), a class of Unicode"),
    ("(?:.{1000}){1}.{1000}", "too large"),
    ("\\pL{20}", "too large"),
];
