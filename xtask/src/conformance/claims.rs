//! Which test says that it sees which rule kept, and how far.

use std::collections::BTreeSet;

use crate::workspace::File;

/// How far a test sees a rule kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// `/// Proves:`: a call, a connection or a message behaves as the rule says.
    Enforced,
    /// `/// Decodes:`: a field is read and checked, and has no effect yet.
    Decoded,
}

impl Extent {
    const ALL: [Self; 2] = [Self::Enforced, Self::Decoded];

    /// How a claim begins, after the comment's slashes.
    const fn keyword(self) -> &'static str {
        match self {
            Self::Enforced => "Proves:",
            Self::Decoded => "Decodes:",
        }
    }
}

/// One test's claim to one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The rule's id, for example `RT-06`.
    pub rule: String,
    /// How far the test sees it kept.
    pub extent: Extent,
    /// The name of the test function.
    pub test: String,
    /// `file:line` of the claim.
    pub place: String,
}

/// Everything that the tests claim.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// In the order of files and lines.
    pub all: Vec<Claim>,
    /// Claims that belong to no test or do not parse, each with its place.
    pub problems: Vec<String>,
}

impl Claims {
    /// Reads the claims of Rust sources.
    pub fn scan(sources: &[File]) -> Self {
        let mut claims = Self::default();
        for file in sources {
            claims.scan_file(file);
        }
        claims
    }

    /// The tests that see `rule` kept to this extent, in order, each once.
    pub fn tests(&self, rule: &str, extent: Extent) -> Vec<String> {
        let claims = self.all.iter().filter(|claim| claim.rule == rule && claim.extent == extent);
        let tests: BTreeSet<&String> = claims.map(|claim| &claim.test).collect();
        tests.into_iter().cloned().collect()
    }

    fn scan_file(&mut self, file: &File) {
        let lines: Vec<&str> = file.text.lines().map(str::trim).collect();
        let mut index = 0;
        while index < lines.len() {
            let Some((extent, first)) = claim_text(lines[index]) else {
                if let Some(keyword) = claim_amid_line(lines[index]) {
                    let place = format!("{}:{}", file.path, index + 1);
                    self.problems.push(format!("{place}: `{keyword}` begins its line, or it claims nothing"));
                }
                index += 1;
                continue;
            };
            let place = format!("{}:{}", file.path, index + 1);
            let mut text = first.to_owned();
            // A long list goes on until its full stop.
            while !text.ends_with('.')
                && let Some(more) = lines.get(index + 1).and_then(|line| line.strip_prefix("///"))
            {
                index += 1;
                text = format!("{text} {}", more.trim());
            }
            index += 1;
            self.add(extent, &text, test_below(&lines[index..]), &place);
        }
    }

    fn add(&mut self, extent: Extent, text: &str, test: Option<&str>, place: &str) {
        let keyword = extent.keyword();
        let Some(test) = test else {
            self.problems.push(format!(
                "{place}: `{keyword}` stands in the doc comment right above a test's attributes, and only there"
            ));
            return;
        };
        for rule in text.trim_end_matches('.').split(',').map(str::trim) {
            if is_rule_id(rule) {
                let (rule, test, place) = (rule.to_owned(), test.to_owned(), place.to_owned());
                self.all.push(Claim { rule, extent, test, place });
            } else {
                self.problems
                    .push(format!("{place}: `{rule}` is not a rule id; write `/// {keyword} RT-06, RT-07.`"));
            }
        }
    }
}

/// The claim of a line of doc comment: its extent, and what follows the keyword.
fn claim_text(line: &str) -> Option<(Extent, &str)> {
    let comment = line.strip_prefix("///")?.trim_start();
    Extent::ALL.into_iter().find_map(|extent| Some((extent, comment.strip_prefix(extent.keyword())?.trim())))
}

/// The keyword of a claim that begins amid a line of doc comment, after a sentence. In a list of words it is a word like others.
fn claim_amid_line(line: &str) -> Option<&'static str> {
    let comment = line.strip_prefix("///")?;
    let keywords = Extent::ALL.into_iter().map(Extent::keyword);
    keywords.into_iter().find(|keyword| comment.contains(&format!(". {keyword} ")))
}

/// The test function that follows a claim: the rest of the doc comment, attributes with a test's among them, `fn`.
fn test_below<'a>(lines: &[&'a str]) -> Option<&'a str> {
    let mut is_test = false;
    let mut depth = 0_i32;
    for line in lines {
        if depth > 0 || line.starts_with("#[") {
            is_test |= is_test_attribute(line);
            depth += balance(line);
            continue;
        }
        if line.starts_with("//") {
            continue;
        }
        let name = function_name(line)?;
        return is_test.then_some(name);
    }
    None
}

/// `#[test]`, `#[tokio::test]`, `#[tokio::test(..)]`.
fn is_test_attribute(line: &str) -> bool {
    line.strip_prefix("#[")
        .map(|attribute| attribute.split(['(', ']']).next().unwrap_or_default())
        .is_some_and(|path| path == "test" || path.ends_with("::test"))
}

/// Brackets that a line opens less those that it closes.
fn balance(line: &str) -> i32 {
    line.chars().fold(0, |depth, character| match character {
        '[' | '(' => depth + 1,
        ']' | ')' => depth - 1,
        _ => depth,
    })
}

fn function_name(line: &str) -> Option<&str> {
    let words = line.strip_prefix("pub ").unwrap_or(line);
    let words = words.strip_prefix("async ").unwrap_or(words);
    let rest = words.strip_prefix("fn ")?;
    let end =
        rest.find(|character: char| !character.is_alphanumeric() && character != '_').unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

/// Capital letters, a hyphen, digits.
pub(super) fn is_rule_id(text: &str) -> bool {
    text.split_once('-').is_some_and(|(area, number)| {
        !area.is_empty()
            && area.chars().all(|character| character.is_ascii_uppercase())
            && number.len() >= 2
            && number.chars().all(|character| character.is_ascii_digit())
    })
}
