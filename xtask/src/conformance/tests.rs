use super::{Claims, Extent, outcome};
use crate::workspace::File;

fn claims(text: &str) -> Claims {
    Claims::scan(&[File::new("a/src/lib.rs", text)])
}

/// Rules and tests of each claim.
fn found(text: &str) -> Vec<(String, String)> {
    claims(text).all.into_iter().map(|claim| (claim.rule, claim.test)).collect()
}

#[test]
fn claim_belongs_to_the_test_below_it() {
    for (name, text) in [
        ("plain", "/// Proves: RT-06.\n#[test]\nfn first() {}"),
        ("without a full stop", "/// Proves: RT-06\n#[test]\nfn first() {}"),
        ("tokio", "/// Proves: RT-06.\n#[tokio::test(start_paused = true)]\nasync fn first() {}"),
        ("indented", "mod tests {\n    /// Proves: RT-06.\n    #[test]\n    fn first() {}\n}"),
        ("amid prose", "/// Words.\n/// Proves: RT-06.\n/// More words.\n#[test]\nfn first() {}"),
        ("property", "proptest! {\n    /// Proves: RT-06.\n    #[test]\n    fn first(a in 0..9) {}\n}"),
        ("more attributes", "/// Proves: RT-06.\n#[expect(\n    lint,\n)]\n#[test]\nfn first() {}"),
    ] {
        assert_eq!(found(text), [("RT-06".to_owned(), "first".to_owned())], "{name}");
    }
}

#[test]
fn keyword_of_a_claim_is_its_extent() {
    let text = "/// Proves: RT-06.\n/// Decodes: RT-07,\n/// RT-08.\n#[test]\nfn first() {}";
    let found: Vec<_> = claims(text).all.into_iter().map(|claim| (claim.rule, claim.extent)).collect();
    let expected = [("RT-06", Extent::Enforced), ("RT-07", Extent::Decoded), ("RT-08", Extent::Decoded)];
    assert_eq!(found, expected.map(|(rule, extent)| (rule.to_owned(), extent)));
}

#[test]
fn claim_may_name_several_rules_on_several_lines() {
    let rules: Vec<_> = found("/// Proves: RT-06, RT-07,\n/// LDS-01.\n#[test]\nfn first() {}")
        .into_iter()
        .map(|(rule, _)| rule)
        .collect();
    assert_eq!(rules, ["RT-06", "RT-07", "LDS-01"]);
}

#[test]
fn claim_without_a_test_or_without_ids_is_a_problem() {
    for (name, text, expected) in [
        ("no test", "/// Proves: RT-06.\nfn helper() {}", "a/src/lib.rs:1: `Proves:` stands"),
        ("end of file", "/// Proves: RT-06.", "a/src/lib.rs:1: `Proves:` stands"),
        ("range", "\n/// Proves: RT-06..RT-09.\n#[test]\nfn a() {}", "a/src/lib.rs:2: `RT-06..RT-09` is not"),
        (
            "decoded",
            "/// Decodes: all.\n#[test]\nfn a() {}",
            "a/src/lib.rs:1: `all` is not a rule id; write `/// Decodes:",
        ),
        ("amid a line", "/// Words. Proves: RT-06.\n#[test]\nfn a() {}", "a/src/lib.rs:1: `Proves:` begins"),
        ("blank line", "/// Proves: RT-06.\n\n#[test]\nfn a() {}", "a/src/lib.rs:1: `Proves:` stands"),
    ] {
        let problems = claims(text).problems;
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:?}");
    }
}

const PAGE: &str = "# Title\n\nTier P1:\n\n| ID | status |\n| --- | --- |\n| RT-06 | not yet |\n| RT-07 | enforced: gone |\n\
                    | RT-08 | not ours: why |\n";

#[test]
fn status_column_follows_the_claims_and_keeps_what_is_not_ours() {
    let sources = [File::new(
        "a.rs",
        "/// Proves: RT-06.\n#[test]\nfn second() {}\n/// Proves: RT-06.\n#[test]\nfn first() {}\n",
    )];
    let outcome = outcome(PAGE, &sources);
    assert!(outcome.problems.is_empty(), "{:?}", outcome.problems);
    assert_eq!(outcome.outdated, ["RT-06", "RT-07"]);
    let expected = PAGE.replace("not yet", "enforced: first, second").replace("enforced: gone", "not yet");
    assert_eq!(outcome.text, expected);
    assert_eq!(outcome.summary.to_string(), "P1: 1 enforced, 0 decoded, 1 not yet, 1 not ours");
    let again = super::outcome(&outcome.text, &sources);
    assert_eq!((again.text, again.outdated), (outcome.text, Vec::new()));
}

#[test]
fn rule_is_decoded_until_a_test_sees_it_enforced() {
    let claim = |keyword: &str, test: &str| format!("/// {keyword}: RT-06.\n#[test]\nfn {test}() {{}}\n");
    let decoded = claim("Decodes", "reads");
    let both = format!("{decoded}{}", claim("Proves", "acts"));
    for (text, expected) in [(decoded, "decoded: reads"), (both, "enforced: acts")] {
        let sources = [File::new("a.rs", text)];
        let once = outcome(PAGE, &sources).text;
        assert!(once.contains(&format!("| RT-06 | {expected} |")), "{once}");
        assert_eq!(outcome(&once, &sources).text, once);
    }
}

#[test]
fn summary_is_rewritten() {
    let page = format!(
        "<!-- summary: made by cargo xtask conformance --write -->\nold\n<!-- end of summary -->\n{PAGE}"
    );
    let once = outcome(&page, &[]).text;
    assert!(!once.contains("old") && once.contains("| P1 | 0 | 0 | 2 | 1 |"), "{once}");
    assert_eq!(outcome(&once, &[]).text, once);
}

#[test]
fn claims_and_rows_that_cannot_be_are_problems() {
    for (name, page, claimed, expected) in [
        ("unknown rule", PAGE, "RT-99", "a.rs:1: rule RT-99 is not in docs/conformance.md"),
        ("not ours", PAGE, "RT-08", "a.rs:1: rule RT-08 is claimed here"),
        (
            "twice",
            "| RT-06 | not yet |\n| RT-06 | not yet |\n",
            "RT-06",
            "docs/conformance.md:2: RT-06 stands here",
        ),
        ("former status", "| RT-06 | done: first |\n", "RT-06", "docs/conformance.md:1: the status of RT-06"),
        ("status", "| RT-06 | soon |\n", "RT-06", "docs/conformance.md:1: the status of RT-06"),
        ("no reason", "| RT-06 | not ours:  |\n", "RT-06", "docs/conformance.md:1: the status of RT-06"),
    ] {
        let sources = [File::new("a.rs", format!("/// Proves: {claimed}.\n#[test]\nfn first() {{}}\n"))];
        let problems = outcome(page, &sources).problems;
        assert!(problems.len() == 1 && problems[0].starts_with(expected), "{name}: {problems:?}");
    }
}
