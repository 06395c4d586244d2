//! The page: rows of rules between headings and prose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::claims::{Claims, is_rule_id};

const SUMMARY_BEGINS: &str = "<!-- summary: made by cargo xtask conformance --write -->";
const SUMMARY_ENDS: &str = "<!-- end of summary -->";

/// How a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Proven by these tests.
    Done(Vec<String>),
    /// No test proves it.
    NotYet,
    /// Outside what this project does, for this reason.
    NotOurs(String),
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(tests) => write!(f, "done: {}", tests.join(", ")),
            Self::NotYet => f.write_str("not yet"),
            Self::NotOurs(reason) => write!(f, "not ours: {reason}"),
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
pub struct Summary(BTreeMap<String, [usize; 3]>);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for (tier, [done, not_yet, not_ours]) in &self.0 {
            let separator = if first { "" } else { "; " };
            write!(f, "{separator}{tier}: {done} done, {not_yet} not yet, {not_ours} not ours")?;
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
                    "{place}: the status of {rule} is one of `done: tests`, `not yet`, `not ours: reason`"
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
                let tests = claims.tests(rule);
                *status = if tests.is_empty() { Status::NotYet } else { Status::Done(tests) };
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
                    Status::Done(_) => 0,
                    Status::NotYet => 1,
                    Status::NotOurs(_) => 2,
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
        let mut table = String::from("\n| tier | done | not yet | not ours |\n| --- | --- | --- | --- |\n");
        for (tier, [done, not_yet, not_ours]) in &self.0 {
            table.push_str(&format!("| {tier} | {done} | {not_yet} | {not_ours} |\n"));
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

fn parse_status(text: &str) -> Option<Status> {
    if text == "not yet" {
        return Some(Status::NotYet);
    }
    if let Some(tests) = text.strip_prefix("done: ") {
        return Some(Status::Done(tests.split(", ").map(str::to_owned).collect()));
    }
    let reason = text.strip_prefix("not ours: ")?.trim();
    (!reason.is_empty()).then(|| Status::NotOurs(reason.to_owned()))
}
