use proptest::prelude::*;

use super::*;

fn full(pattern: &str) -> FullRegex {
    FullRegex::new(pattern).unwrap()
}

/// Proves: RV-07.
#[test]
fn expressions_are_read_as_re2_reads_them() {
    let rows = [
        (r"\w+", "az_09", true),
        (r"\w+", "é", false),
        (r"\W", "é", true),
        (r"[\w-]+", "a-b", true),
        (r"[^\w]", "é", true),
        (r"\d", "٣", false),
        (r"\D", "٣", true),
        (r"[\d.]+", "1.5", true),
        (r"a\sb", "a b", true),
        (r"a\sb", "a\u{a0}b", false),
        (r"é\b.*", "é", false),
        (r"a\b.*", "aé", true),
        (r"a\B.", "aé", false),
        (r"a\B.", "ab", true),
        ("é+", "éé", true),
        ("(?i)É", "é", true),
        (".", "é", true),
        ("[^a]", "é", true),
        (r"\pL+", "aé", true),
        (r"\p{Greek}", "λ", true),
        ("(?s).", "\n", true),
        (".", "\n", false),
        ("(?m)a$\n^b", "a\nb", true),
        ("(?U)a+", "aaa", true),
        ("(?P<name>a)", "a", true),
        ("(?<name>a)", "a", true),
        ("[[:word:]]+", "a_1", true),
        ("(?:a|ab)(?:c|bcd)", "abcd", true),
        ("a{1000}", &"a".repeat(1000), true),
    ];
    for (pattern, text, matches) in rows {
        assert_eq!(full(pattern).matches(text), matches, "{pattern:?} on {text:?}");
    }
    let refused = [
        ("[a&&b]", "operations on classes"),
        ("[a--b]", "operations on classes"),
        ("[a[b]]", "classes in classes"),
        ("(?x)a b", "flags"),
        ("(?u:a)", "flags"),
        ("(?-u:a)", "flags"),
        (r"\b{start}a", "word boundaries"),
        (r"\<a", "word boundaries"),
        ("a{1001}", "at most 1000"),
        ("a{1,1001}", "at most 1000"),
        ("(?:a{1001,})", "at most 1000"),
    ];
    for (pattern, reason) in refused {
        let error = FullRegex::new(pattern).unwrap_err().to_string();
        assert!(error.contains(reason), "{pattern:?}: {error}");
    }
}

/// Proves: SEC-06.
#[test]
fn classes_that_re2_has_in_ascii_are_small() {
    for pattern in [r"/svc/v\d+/.*", r"/\w{1,20}/\d+", r"[^\s]+\.\w+\b", r"(?:\W|\D|\S)+"] {
        assert!(full(pattern).size() < 8 << 10, "{pattern}: {}", full(pattern).size());
        let capturing = CapturingRegex::new(pattern).unwrap();
        assert!(capturing.size() < 24 << 10, "{pattern}: {}", capturing.size());
    }
    // to read these takes time, though nothing is left of them
    for (nothing, cost) in [
        (r"\pL{0}", 4 << 10),
        (r"[\pL]{0}", 4 << 10),
        (r"(?i)\p{Any}{0}", 64 << 10),
        (r"(?i)[à-ü]{0}", 64 << 10),
    ] {
        let (one, three) = (full(nothing).size(), full(&nothing.repeat(3)).size());
        assert!(one > cost && three > 3 * cost, "{nothing}: {one}, {three}");
        let error = FullRegex::new(&nothing.repeat(65)).unwrap_err().to_string();
        assert!(error.contains("its 65 classes of Unicode are more than the limit of 64"), "{error}");
    }
    let unicode = full(r"\pL{1,20}").size();
    assert!(unicode > 100 << 10, "{unicode}");
}

/// Proves: SEC-06.
#[test]
fn long_expressions_and_large_programs_are_refused() {
    let long = "é".repeat(17_000);
    let error = FullRegex::new(&long).unwrap_err().to_string();
    assert!(error.contains("its 34000 bytes are more than the limit of 32768"), "{error}");
    assert!(error.len() < 600, "the expression is cut off");
    for pattern in
        ["(a{1000}){1000}", &r"\pL".repeat(10_000), r"(?:\pL{1000}){1000}", "(?:(?:){1000}){1000}b{9}"]
    {
        let sizes = [
            FullRegex::new(pattern).map(|regex| regex.size()),
            CapturingRegex::new(pattern).map(|regex| regex.size()),
        ];
        for size in sizes {
            assert!(
                size.as_ref().is_ok_and(|size| *size < 4 << 20) || size.is_err(),
                "{pattern:.20}: {size:?}"
            );
        }
    }
}

#[test]
fn matches_are_replaced() {
    let rows = [
        ("a", "bab", "X", "bXb"),
        ("a", "bbb", "X", "bbb"),
        ("(a)(b)?", "ab a", "<${1}${2}>", "<ab> <a>"),
        ("", "ab", "-", "-a-b-"),
        ("a*", "baac", "", "bc"),
        ("a", "a", "$$${1}", "$"),
        (r"^/users/(\d+)/.*$", "/users/17/posts/3", "${1}", "17"),
        ("é", "aéb", "e", "aeb"),
    ];
    for (pattern, text, replacement, expected) in rows {
        let regex = CapturingRegex::new(pattern).unwrap();
        assert_eq!(regex.replace_all(text, replacement), expected, "{pattern:?} on {text:?}");
        let peer = regex::Regex::new(pattern).unwrap();
        assert_eq!(peer.replace_all(text, replacement), expected, "{pattern:?} on {text:?}, by regex");
        assert_eq!(regex.groups(), peer.captures_len());
    }
}

#[test]
fn expression_is_shared_by_many_threads() {
    let regex = full("(?:ab|a|b)*c");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..200 {
                    assert!(regex.matches(&("ab".repeat(n) + "c")));
                    assert!(!regex.matches(&"ab".repeat(n)));
                }
            });
        }
    });
}

/// Expressions over a small alphabet, of everything that RE2 and Rust's `regex` read alike.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[ab/]".prop_map(|text| text),
        Just(".".to_owned()),
        Just("[^a]".to_owned()),
        Just("[a-b]".to_owned()),
        Just(r"\b".to_owned()),
        Just("^".to_owned()),
        Just("$".to_owned()),
        Just(r"\w".to_owned()),
        Just(String::new()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
            inner.clone().prop_map(|part| format!("({part})*")),
            inner.clone().prop_map(|part| format!("(?:{part})?")),
            inner.prop_map(|part| format!("(?:{part}){{1,3}}")),
        ]
    })
}

proptest! {
    /// Proves: RV-07.
    #[test]
    fn same_strings_match_as_with_the_regex_crate(
        pattern in expressions(),
        texts in prop::collection::vec("[ab/c]{0,6}", 1..8),
    ) {
        let peer = regex::Regex::new(&format!("^(?:{pattern})$")).unwrap();
        let regex = full(&pattern);
        for text in texts {
            prop_assert_eq!(regex.matches(&text), peer.is_match(&text), "{:?} on {:?}", pattern, text);
        }
    }
}
