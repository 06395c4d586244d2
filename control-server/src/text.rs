//! Makes the texts of others safe for a terminal and a log: clients choose their names and reasons, files what is in them.

use std::borrow::Cow;

/// Replaces what a terminal would act on: control characters, and marks that change the direction of writing.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match is_control(character) {
            true => escaped.extend(character.escape_debug()),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// The same, with at most this many characters; a longer text ends with an ellipsis.
pub(crate) fn clipped(text: &str, limit: usize) -> String {
    let text = escaped(text);
    match text.char_indices().nth(limit) {
        None => text.into_owned(),
        Some(_) => text.chars().take(limit.saturating_sub(1)).chain(['…']).collect(),
    }
}

fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The most characters of a remark below a table: a reason, a list of names.
pub(crate) const MAX_REMARK: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed() {
        for (text, shown) in [
            ("node-1", "node-1"),
            ("größe \\ 漢", "größe \\ 漢"),
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("a\r\n\tb\u{7f}", "a\\r\\n\\tb\\u{7f}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202e}gpj", "\\u{202e}gpj"),
        ] {
            assert_eq!(escaped(text), shown);
            assert_eq!(escaped(shown), shown, "once is enough");
        }
    }

    #[test]
    fn long_text_ends_with_an_ellipsis() {
        assert_eq!(clipped("größe", 5), "größe");
        assert_eq!(clipped("größer", 5), "größ…");
        assert_eq!(clipped("\u{1b}", 4), "\\u{…");
    }
}
