//! The public surface of the library crates: a committed listing each, and rules about what it may show.
//!
//! A listing has a block for every path that a user can name, with fields, variants, methods and implementations. It is
//! made from the sources, with stable Rust; what only the feature `testing` shows is left out. A change of the surface is
//! therefore seen in review, and `cargo xtask public-api --write` is what agrees to it.

mod difference;
mod exposure;
mod foreign;
mod listing;
mod member;
mod printer;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::Failure;
use crate::syntax::Crate;
use crate::workspace::{self, File};

use difference::difference;
use listing::Listing;

/// The crates that others build on.
const LIBRARIES: [&str; 4] = ["mesh-core", "xds-client", "mesh-tonic", "mesh-hyper"];

/// Where the listings stand.
const FOLDER: &str = "docs/public-api";

/// One crate's surface, as its sources have it.
struct Surface {
    /// The listing's file, relative to the root.
    path: String,
    /// What the file should say.
    text: String,
    /// What the surface shows and should not.
    problems: Vec<String>,
}

/// Fails unless every listing says what the sources say, and shows no type that it may not.
///
/// # Errors
/// What differs, with `+` and `-`, and every rule that is broken.
pub fn check(root: &Path) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for surface in surfaces(root)? {
        // A crate without a listing yet differs in all of it.
        let known = File::read(root, &surface.path).map_or_else(|_| String::new(), |file| file.text);
        if known != surface.text {
            problems.push(format!(
                "{} differs from the sources:\n{}if this is meant, run: cargo xtask public-api --write",
                surface.path,
                difference(&known, &surface.text)
            ));
        }
        problems.extend(surface.problems);
    }
    verdict(&problems)
}

/// Rewrites the listings from the sources. Rules that are broken are reported all the same.
///
/// # Errors
/// When a listing cannot be written, and every rule that is broken.
pub fn write(root: &Path) -> Result<(), Failure> {
    let mut problems = Vec::new();
    for surface in surfaces(root)? {
        std::fs::create_dir_all(root.join(FOLDER)).map_err(|error| Failure::during(FOLDER, error))?;
        std::fs::write(root.join(&surface.path), &surface.text)
            .map_err(|error| Failure::during(&surface.path, error))?;
        problems.extend(surface.problems);
    }
    verdict(&problems)
}

fn surfaces(root: &Path) -> Result<Vec<Surface>, Failure> {
    let sources = workspace::files(root, ".rs")?;
    LIBRARIES.into_iter().map(|name| surface(name, &sources)).collect()
}

fn surface(name: &str, sources: &[File]) -> Result<Surface, Failure> {
    let krate = Crate::parse(name, sources)?;
    let listing = Listing::of(&krate);
    let path = format!("{FOLDER}/{name}.txt");
    let text = format!(
        "# The public items of {name}. Made by: cargo xtask public-api --write\n{}",
        listing.render()
    );
    let mut problems = foreign::problems(name, &listing);
    for block in listing.blocks.values() {
        let is_error = block.lines.iter().any(|line| line == "impl Error" || line == "impl error::Error");
        if block.head.starts_with("enum ") && is_error && !block.head.contains("#[non_exhaustive]") {
            problems.push(format!("{name}: `{}` is an error; errors are #[non_exhaustive]", block.head));
        }
        for unknown in &block.unknown {
            problems.push(format!("{name}: `{}` names {unknown}, which cannot be found", block.head));
        }
    }
    Ok(Surface { path, text, problems })
}

fn verdict(problems: &[String]) -> Result<(), Failure> {
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join("\n"))) }
}
