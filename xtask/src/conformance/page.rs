//! The page: rows of rules between headings and prose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::claims::{Claims, Extent, is_rule_id};

const SUMMARY_BEGINS: &str = "<!-- summary: made by cargo xtask conformance --write -->";
const SUMMARY_ENDS: &str = "<!-- end of summary -->";

const ENFORCED: &str = "enforced: ";
const DECODED: &str = "decoded: ";
const NOT_YET: &str = "not yet";
const NOT_OURS: &str = "not ours: ";

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// These tests see a call, a connection or a message behave as the rule says.
    Enforced(Vec<String>),
    /// These tests see the field read and checked; it has no effect yet.
    Decoded(Vec<String>),
    /// No test claims it.
    NotYet,
    /// Outside what this project does, for this reason.
    NotOurs(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enforced(tests) => write!(f, "{ENFORCED}{}", tests.join(", ")),
            Self::Decoded(tests) => write!(f, "{DECODED}{}", tests.join(", ")),
            Self::NotYet => f.write_str(NOT_YET),
            Self::NotOurs(reason) => write!(f, "{NOT_OURS}{reason}"),
        }
    }
}

/// A line of the page.
#[derive(Debug, Clone)]
enum Line {
    Prose(String),
    Row { rule: String, tier: String, status: Status },
}

/// How many rules stand where, by tier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary(BTreeMap<String, [usize; 4]>);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (tier, [enforced, decoded, not_yet, not_ours]) in &self.0 {
            let separator = if first { "" } else { "; " };
            write!(
                f,
                "{separator}{tier}: {enforced} enforced, {decoded} decoded, {not_yet} not yet, {not_ours} not ours"
            )?;
            first = false;
        }
        Ok(())
    }
}

/// The page, read.
#[derive(Debug, Clone, Default)]
pub struct Page {
    lines: Vec<Line>,
    /// Rows that do not parse or stand twice.
    pub problems: Vec<String>,
}

impl Page {
    /// Reads a page.
    pub fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let mut tier = String::new();
        let mut seen = BTreeSet::new();
        let mut in_summary = false;
        for (index, line) in text.lines().enumerate() {
            in_summary = (in_summary || line == SUMMARY_BEGINS) && line != SUMMARY_ENDS;
            if in_summary && line != SUMMARY_BEGINS {
                continue;
            }
            if let Some(named) = line.strip_prefix("Tier ") {
                named.trim_end_matches(':').clone_into(&mut tier);
            }
            let Some((rule, status)) = row(line) else {
                page.lines.push(Line::Prose(line.to_owned()));
                continue;
            };
            let place = format!("{}:{}", super::PAGE, index + 1);
            if !seen.insert(rule.to_owned()) {
                page.problems.push(format!("{place}: {rule} stands here for the second time"));
            }
            let status = parse_status(status).unwrap_or_else(|| {
                page.problems.push(format!(
                    "{place}: the status of {rule} is one of `enforced: tests`, `decoded: tests`, `not yet`, `not ours: reason`"
                ));
                Status::NotYet
            });
            page.lines.push(Line::Row { rule: rule.to_owned(), tier: tier.clone(), status });
        }
        page
    }

    /// How `rule` stands; `None` if the page has no such rule.
    pub fn status(&self, rule: &str) -> Option<&Status> {
        self.lines.iter().find_map(|line| match line {
            Line::Row { rule: found, status, .. } if found == rule => Some(status),
            _ => None,
        })
    }

    /// The rules that stand otherwise on `other`.
    pub fn rules_unlike(&self, other: &Self) -> Vec<String> {
        self.lines
            .iter()
            .filter_map(|line| match line {
                Line::Row { rule, status, .. } if other.status(rule) != Some(status) => Some(rule.clone()),
                _ => None,
            })
            .collect()
    }

    /// The page with its status column made from `claims`.
    pub fn with(mut self, claims: &Claims) -> Self {
        for line in &mut self.lines {
            if let Line::Row { rule, status, .. } = line
                && !matches!(status, Status::NotOurs(_))
            {
                *status = claimed(rule, claims);
            }
        }
        self
    }

    /// Counts the rows.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for line in &self.lines {
            if let Line::Row { tier, status, .. } = line {
                let counts = summary.0.entry(tier.clone()).or_default();
                let column = match status {
                    Status::Enforced(_) => 0,
                    Status::Decoded(_) => 1,
                    Status::NotYet => 2,
                    Status::NotOurs(_) => 3,
                };
                counts[column] += 1;
            }
        }
        summary
    }

    /// The page as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Prose(prose) => {
                    text.push_str(prose);
                    if prose == SUMMARY_BEGINS {
                        text.push('\n');
                        text.push_str(&self.summary().table());
                        continue;
                    }
                }
                Line::Row { rule, status, .. } => text.push_str(&format!("| {rule} | {status} |")),
            }
            text.push('\n');
        }
        text
    }
}

impl Summary {
    fn table(&self) -> String {
        let mut table = String::from(
            "\n| tier | enforced | decoded | not yet | not ours |\n| --- | --- | --- | --- | --- |\n",
        );
        for (tier, [enforced, decoded, not_yet, not_ours]) in &self.0 {
            table.push_str(&format!("| {tier} | {enforced} | {decoded} | {not_yet} | {not_ours} |\n"));
        }
        table.push('\n');
        table
    }
}

/// The rule and the status of a row of rules.
fn row(line: &str) -> Option<(&str, &str)> {
    let (rule, status) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
    is_rule_id(rule).then_some((rule, status))
}

/// How `rule` stands by the claims; a test that sees it enforced outweighs those that see it decoded.
fn claimed(rule: &str, claims: &Claims) -> Status {
    let enforced = claims.tests(rule, Extent::Enforced);
    if !enforced.is_empty() {
        return Status::Enforced(enforced);
    }
    let decoded = claims.tests(rule, Extent::Decoded);
    if decoded.is_empty() { Status::NotYet } else { Status::Decoded(decoded) }
}

fn parse_status(text: &str) -> Option<Status> {
    let tests = |list: &str| list.split(", ").map(str::to_owned).collect();
    if text == NOT_YET {
        return Some(Status::NotYet);
    }
    if let Some(list) = text.strip_prefix(ENFORCED) {
        return Some(Status::Enforced(tests(list)));
    }
    if let Some(list) = text.strip_prefix(DECODED) {
        return Some(Status::Decoded(tests(list)));
    }
    let reason = text.strip_prefix(NOT_OURS)?.trim();
    (!reason.is_empty()).then(|| Status::NotOurs(reason.to_owned()))
}
