//! Holds `docs/conformance.md` to the tests.
//!
//! A test claims rules in its doc comment: `/// Proves: RT-06, RT-07.` where it sees a call, a connection or a message
//! behave as they say, `/// Decodes: CDS-18.` where it sees a field read and checked that has no effect yet. The page has
//! one row per rule. The status column is made from the claims; rows `not ours: reason` are written by hand and stay.

mod claims;
mod page;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use claims::{Claim, Claims, Extent};
pub use page::{Page, Status, Summary};

use crate::Failure;
use crate::workspace::{self, File};

/// Where the page stands.
pub const PAGE: &str = "docs/conformance.md";

/// The page as it is, and as the tests of the workspace would have it.
#[derive(Debug)]
pub struct Outcome {
    /// What the page should say.
    pub text: String,
    /// The rules whose rows say something else now.
    pub outdated: Vec<String>,
    /// Claims that cannot be, each with its place; empty when all is well.
    pub problems: Vec<String>,
    /// How many rules stand where.
    pub summary: Summary,
}

/// Compares the page of the workspace at `root` with its tests.
///
/// # Errors
/// When a file cannot be read.
pub fn compare(root: &Path) -> Result<Outcome, Failure> {
    let page = File::read(root, PAGE)?;
    let sources = workspace::files(root, ".rs")?;
    Ok(outcome(&page.text, &sources))
}

/// Compares a page with sources.
fn outcome(text: &str, sources: &[File]) -> Outcome {
    let claims = Claims::scan(sources);
    let page = Page::parse(text);
    let mut problems = claims.problems.clone();
    problems.extend(page.problems.iter().cloned());
    for claim in &claims.all {
        match page.status(&claim.rule) {
            None => problems.push(format!("{}: rule {} is not in {PAGE}", claim.place, claim.rule)),
            Some(Status::NotOurs(_)) => problems.push(format!(
                "{}: rule {} is claimed here, but {PAGE} says that it is not ours; correct that row",
                claim.place, claim.rule
            )),
            Some(Status::Enforced(_) | Status::Decoded(_) | Status::NotYet) => {}
        }
    }
    let made = page.clone().with(&claims);
    let outdated = made.rules_unlike(&page);
    Outcome { text: made.render(), outdated, problems, summary: made.summary() }
}

/// Fails unless the page says what the tests say.
///
/// # Errors
/// Every problem, one a line.
pub fn check(root: &Path) -> Result<Summary, Failure> {
    let page = File::read(root, PAGE)?;
    let mut outcome = compare(root)?;
    if outcome.text != page.text {
        outcome.problems.push(format!(
            "{PAGE} differs from what the tests claim ({}); run: cargo xtask conformance --write",
            if outcome.outdated.is_empty() { "the summary".to_owned() } else { outcome.outdated.join(", ") }
        ));
    }
    verdict(outcome)
}

/// Rewrites the page from the tests. Claims that cannot be are reported all the same.
///
/// # Errors
/// When the page cannot be written, or a claim cannot be.
pub fn write(root: &Path) -> Result<Summary, Failure> {
    let outcome = compare(root)?;
    std::fs::write(root.join(PAGE), &outcome.text).map_err(|error| Failure::during(PAGE, error))?;
    verdict(outcome)
}

fn verdict(outcome: Outcome) -> Result<Summary, Failure> {
    if outcome.problems.is_empty() {
        Ok(outcome.summary)
    } else {
        Err(Failure::new(outcome.problems.join("\n")))
    }
}
