//! Ids of the conformance list stay out of the docs of public items: their readers do not have the list.

use super::Violation;
use crate::source::Source;

pub(super) fn inspect(source: &Source) -> Vec<Violation> {
    if !LIBRARIES.iter().any(|library| source.path.starts_with(library)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (index, comment) in source.comments.iter().enumerate() {
        let is_doc = comment.trim_start().starts_with("///") && !source.is_test[index];
        if is_doc
            && let Some(id) = id_in(comment)
            && is_public(source, index)
        {
            let text =
                format!("`{id}`: a rule's id stands in a plain comment below the docs of a public item");
            found.push(Violation::new(&source.path, index + 1, text));
        }
    }
    found
}

/// Whether the docs in this line are those of an item, a field or a function that says `pub`.
fn is_public(source: &Source, line: usize) -> bool {
    let code = source.code[line..].iter().map(|code| code.trim_start());
    code.filter(|code| !code.is_empty() && !code.starts_with('#'))
        .take(1)
        .any(|code| code.starts_with("pub "))
}

fn id_in(comment: &str) -> Option<&str> {
    let words = comment.split(|character: char| !character.is_ascii_alphanumeric() && character != '-');
    words.into_iter().find(|word| {
        let id = word.split_once('-');
        id.is_some_and(|(area, number)| {
            AREAS.contains(&area) && number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

const LIBRARIES: &[&str] = &["mesh-core/src/", "mesh-tonic/src/", "mesh-hyper/src/", "xds-client/src/"];

/// The areas of the conformance list.
const AREAS: &[&str] = &["BS", "CDS", "EDS", "HF", "LB", "LDS", "OB", "RDS", "RT", "RV", "SEC", "TLS", "TR"];
