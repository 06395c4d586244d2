//! "Did you mean".

use strsim::osa_distance;

/// How many letters have to change to get from one word to another, whatever their case.
pub(crate) fn distance(one: &str, other: &str) -> usize {
    osa_distance(&one.to_lowercase(), &other.to_lowercase())
}

/// The candidate that is closest to what was written, as the end of a message: ``; did you mean `x`?`` or nothing.
pub(crate) fn did_you_mean<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(found, candidates).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// The candidate that is closest to what was written, if one is close enough for a slip.
pub(crate) fn nearest<'a>(found: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    let (length, letters) = (found.chars().count(), Letters::of(&found));
    let near = candidates.into_iter().filter_map(|candidate| {
        let (other, allowed) = (candidate.chars().count(), 1 + candidate.chars().count() / 4);
        // Texts of other lengths or letters are as far away at least; most candidates end here.
        let is_far = length.abs_diff(other) > allowed || letters.distance_to(candidate) > allowed;
        let distance = (!is_far).then(|| distance_of_middles(&found, &candidate.to_lowercase()))?;
        (distance <= allowed).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// The distance of two texts, found in what differs between their beginnings and their ends.
fn distance_of_middles(one: &str, other: &str) -> usize {
    if !(one.is_ascii() && other.is_ascii()) {
        return osa_distance(one, other);
    }
    let same = |(one, other): &(u8, u8)| one == other;
    let start = one.bytes().zip(other.bytes()).take_while(same).count();
    let (one, other) = (&one[start..], &other[start..]);
    let end = one.bytes().rev().zip(other.bytes().rev()).take_while(same).count();
    osa_distance(&one[..one.len() - end], &other[..other.len() - end])
}

/// How often each letter is in a text, whatever its case; `None` if it has others than ASCII.
struct Letters(Option<[u8; 64]>);

impl Letters {
    fn of(text: &str) -> Self {
        let mut counts = [0_u8; 64];
        for byte in text.bytes() {
            let count = &mut counts[usize::from(byte.to_ascii_lowercase() & 63)];
            *count = count.saturating_add(1);
        }
        Self((text.is_ascii() && text.len() < usize::from(u8::MAX)).then_some(counts))
    }

    /// At most the number of letters that have to change.
    fn distance_to(&self, other: &str) -> usize {
        let (Some(own), Some(other)) = (self.0, Self::of(other).0) else { return 0 };
        let pairs = own.into_iter().zip(other);
        let (missing, more) = pairs.fold((0, 0), |(missing, more), (own, other)| {
            (missing + usize::from(other.saturating_sub(own)), more + usize::from(own.saturating_sub(other)))
        });
        missing.max(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shortcuts_find_what_a_plain_search_finds() {
        let words = [
            "orders",
            "order",
            "ordres",
            "odrers",
            "users",
            "user.orders",
            "orders.shop",
            "örders",
            "",
            "o",
            "Orders",
        ];
        for one in words {
            for other in words {
                let (low, high) = (one.to_lowercase(), other.to_lowercase());
                let plain = osa_distance(&low, &high);
                assert_eq!(distance_of_middles(&low, &high), plain, "{one} {other}");
                assert!(Letters::of(one).distance_to(other) <= plain, "{one} {other}");
            }
        }
    }
}
