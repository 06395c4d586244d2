//! Regular expressions that the control-server accepts mean the same to RE2 and to `mesh-core`.
//!
//! The corpus is drawn from a fixed seed, out of the constructs of both dialects and of pieces that only one of them knows.

use std::collections::BTreeSet;

use control_server::pipeline::{Input, Links, Validation};
use mesh_core::policy::matcher::FullRegex;
use serde_json::json;
use tests::python::Python;

#[test]
fn accepted_expressions_mean_the_same_to_re2() {
    let Some(python) = Python::find("accepted_expressions_mean_the_same_to_re2") else { return };
    let mut random = Random(SEED);
    let mut patterns: BTreeSet<String> = KNOWN.iter().map(|pattern| (*pattern).to_owned()).collect();
    while patterns.len() < 3000 {
        patterns.insert(random.alternation(3));
    }
    // Istio's word for "there is a value".
    patterns.remove("*");
    let refused = refused(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
    let accepted: Vec<&String> = patterns
        .iter()
        .enumerate()
        .filter(|(index, _)| !refused.contains(index))
        .map(|(_, pattern)| pattern)
        .collect();
    assert!(accepted.len() > 1000, "{} of {} are accepted", accepted.len(), patterns.len());
    let texts = texts(&mut random);
    let answer = python.answer("re2_matches.py", &json!({"patterns": accepted, "texts": texts}));
    let rows = answer.as_array().unwrap();
    let mut matched = 0;
    for (pattern, row) in accepted.iter().zip(rows) {
        let row = row.as_str().unwrap_or_else(|| panic!("RE2 refuses {pattern:?}"));
        let ours = FullRegex::new(pattern).unwrap_or_else(|error| panic!("we refuse {pattern:?}: {error}"));
        for (text, found) in texts.iter().zip(row.chars()) {
            assert_eq!(ours.matches(text), found == '1', "{pattern:?} on {text:?}, and what RE2 says");
        }
        matched += row.matches('1').count();
    }
    assert!(matched > accepted.len(), "{matched} matches of {} expressions", accepted.len());
}

/// The indexes of expressions that the control-server refuses. Each is in an object of its own: all expressions of an object share a budget.
fn refused(patterns: &[&str]) -> BTreeSet<usize> {
    let input = |(index, pattern): (usize, &&str)| {
        let rule = json!({
            "match": [{"headers": {"x": {"regex": pattern}}}], "route": [{"destination": {"host": "a.b"}}],
        });
        let object = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": format!("v{index}")},
            "spec": {"hosts": [format!("v{index}.b")], "http": [rule]},
        });
        Input::Text { name: format!("{index}.json"), text: object.to_string() }
    };
    let inputs: Vec<Input> = patterns.iter().enumerate().map(input).collect();
    let found = Validation::of(&inputs, Links::Inside).diagnostics;
    let index = |file: &str| file.strip_suffix(".json")?.parse().ok();
    found.iter().filter(|one| one.field.ends_with(".regex")).filter_map(|one| index(&one.file)).collect()
}

/// All texts of up to two characters of an alphabet, and some longer ones.
fn texts(random: &mut Random) -> Vec<String> {
    let letters: Vec<String> = ALPHABET.iter().map(|letter| (*letter).to_owned()).collect();
    let pairs = letters.iter().flat_map(|one| letters.iter().map(move |two| format!("{one}{two}")));
    let mut texts: Vec<String> = std::iter::once(String::new()).chain(pairs).chain(letters.clone()).collect();
    for _ in 0..150 {
        let length = 3 + random.below(5);
        texts.push((0..length).map(|_| *random.pick(ALPHABET)).collect());
    }
    texts
}

/// A generator of expressions; xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits fit") % bound
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    fn alternation(&mut self, depth: usize) -> String {
        let count = *self.pick(&[1, 1, 1, 2, 3]);
        (0..count).map(|_| self.concatenation(depth)).collect::<Vec<_>>().join("|")
    }

    fn concatenation(&mut self, depth: usize) -> String {
        let count = *self.pick(&[0, 1, 1, 2, 2, 3]);
        (0..count).map(|_| self.repetition(depth)).collect()
    }

    fn repetition(&mut self, depth: usize) -> String {
        let atom = self.atom(depth);
        let operator = if self.below(3) == 0 { *self.pick(OPERATORS) } else { "" };
        atom + operator
    }

    fn atom(&mut self, depth: usize) -> String {
        match self.below(10) {
            0 | 1 if depth > 0 => format!("{}{})", self.pick(GROUPS), self.alternation(depth - 1)),
            2 | 3 => self.class(),
            4 => (*self.pick(ODD)).to_owned(),
            5 | 6 => (*self.pick(CLASSES)).to_owned(),
            _ => (*self.pick(LITERALS)).to_owned(),
        }
    }

    fn class(&mut self) -> String {
        let count = 1 + self.below(3);
        let items: String = (0..count).map(|_| *self.pick(ITEMS)).collect();
        format!("[{}{items}]", self.pick(&["", "", "^"]))
    }
}

const SEED: u64 = 0x5eed_0000_cafe_0001;
const ALPHABET: &[&str] = &[
    "a", "b", "k", "K", "S", "1", "_", " ", "\n", "-", ".", "{", "}", "[", "&", "é", "É", "ſ", "\u{212a}",
    "𝒜",
];
const LITERALS: &[&str] = &[
    "a",
    "a",
    "b",
    "k",
    "K",
    "S",
    "1",
    "_",
    " ",
    "-",
    "\\.",
    "\\{",
    "}",
    "]",
    "\\[",
    "&",
    "é",
    "\\x61",
    "\\x{212A}",
    "\\n",
    "\\-",
    "\\&",
    "\\ ",
];
const CLASSES: &[&str] = &[
    ".",
    "\\d",
    "\\w",
    "\\s",
    "\\D",
    "\\W",
    "\\S",
    "\\pL",
    "\\PL",
    "\\p{Lu}",
    "\\pN",
    "[[:upper:]]",
    "[[:^word:]]",
];
const ITEMS: &[&str] = &[
    "a",
    "b",
    "k",
    "a-k",
    "K-S",
    "0-9",
    "\\d",
    "\\w",
    "\\W",
    "\\s",
    "[:alpha:]",
    "[:^digit:]",
    "[:^upper:]",
    "\\pL",
    "é",
    "\\-",
    "\\]",
    "&",
    "&&",
    "-",
    "~",
    "\\x61",
    "[",
    ".",
    "_",
    "^",
];
const OPERATORS: &[&str] = &[
    "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,}", "{0}", "{2}?", "++", "**", "{,3}", "{02}",
    "{1001}", "{600}", "{",
];
const GROUPS: &[&str] =
    &["(", "(", "(?:", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?P<n>", "(?i-s:", "(?x:", "(?<n>", "(?-u:"];
const ODD: &[&str] = &[
    "^",
    "$",
    "\\A",
    "\\z",
    "\\b",
    "\\B",
    "(?i)",
    "(?s)",
    "(?m)",
    "(?m)^",
    "(?m)$",
    "(?x)",
    "\\u0061",
    "\\_",
    "\\<",
    "\\Q.\\E",
    "\\C",
    "\\Z",
    "{",
    "\\p{Greek}",
    "[a[b]]",
    "[a&&b]",
    "\\1",
    "\\07",
    "",
];
/// What has been mistaken before, and what people write.
const KNOWN: &[&str] = &[
    "",
    "()",
    "(|a)",
    "a||b",
    "(|a)*",
    "(|a)+b",
    "(a*)*",
    "(a*)+",
    "(a|b)*a",
    "(?i)k",
    "(?i)s",
    "(?i)[k]",
    "(?i)[^k]",
    "(?i)\\w",
    "(?i)[[:upper:]]",
    "(?i)[[:^upper:]]",
    "(?i)\\W",
    "(?i)[^\\W]",
    "(?i)[\\Wk]",
    "(?i)[a-z]+",
    "(?i:k)K",
    "a(?i)k|b",
    "(?m)^a$",
    "(?m)a$\n^b",
    "(?s).",
    ".",
    "[^a]",
    "a$",
    "^a",
    "a^b",
    "a$b",
    "\\Ba\\B",
    "\\ba",
    "a\\b",
    "é\\b",
    "\\bé",
    "\\B",
    "[]a]",
    "[^]a]",
    "[a-]",
    "[-a]",
    "[--a]",
    "[^--a]",
    "[+--]",
    "[a--]",
    "[]-a]",
    "[^-]",
    "[--]",
    "[---]",
    "[a\\-k]",
    "[.]",
    "[*+?]",
    "[&]",
    "[a&b]",
    "}",
    "]",
    "a}",
    "a{2}?",
    "(?U)a+",
    "(?U)a+?",
    "\\pL+",
    "\\p{Lu}\\p{Ll}*",
    "\\PL",
    "[\\pL\\d]",
    "[^\\pL]",
    "\\x{1D49C}",
    "[\\x{1D400}-\\x{1D7FF}]",
    "a{1000}",
    "(?:a{10}){100}",
    "(?:(?:a{10}){10}){10}",
    ".{1000}",
    "[a-z]{1000}",
    "\\w{1000}",
    "\\pL{12}",
    "(?i)[a-z]{1000}",
    "[^a]{1000}",
];
