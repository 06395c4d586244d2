//! "Did you mean".

use strsim::osa_distance;

/// How many letters have to change to get from one word to another, whatever their case.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    osa_distance(&one.to_lowercase(), &other.to_lowercase())
}

/// The candidate that is closest to what was written, as the end of a message: ``; did you mean `x`?`` or nothing.
pub(crate) fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    let found = found.to_lowercase();
    let length = found.chars().count();
    let near = candidates.into_iter().filter_map(|candidate| {
        let (other, allowed) = (candidate.chars().count(), 1 + candidate.chars().count() / 4);
        // Texts of other lengths are as far away at least; most candidates end here.
        let distance = (length.abs_diff(other) <= allowed)
            .then(|| osa_distance(&found, &candidate.to_lowercase()))
            .filter(|distance| *distance <= allowed)?;
        Some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance)
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}
