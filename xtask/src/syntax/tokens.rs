//! Syntax as one line of text, spaced as rustfmt would.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

/// One line for `syntax`.
pub(crate) fn text(syntax: impl ToTokens) -> String {
    let mut pieces = Vec::new();
    flatten(syntax.to_token_stream(), &mut pieces);
    let mut line = String::new();
    let mut before = "";
    for (index, piece) in pieces.iter().enumerate() {
        let closes = pieces.get(index + 1).is_some_and(|next| matches!(next.as_str(), ")" | "]" | ">" | "}"));
        if piece == "," && closes {
            continue;
        }
        if has_space(before, piece) {
            line.push(' ');
        }
        line.push_str(piece);
        before = piece;
    }
    line
}

/// Words and operators, in order.
fn flatten(stream: TokenStream, pieces: &mut Vec<String>) {
    let mut operator = String::new();
    for token in stream {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                pieces.push(open.to_owned());
                flatten(group.stream(), pieces);
                pieces.push(close.to_owned());
            }
            TokenTree::Punct(punct) => {
                operator.push(punct.as_char());
                // `>` ends with itself, or `>>` would be one operator.
                let goes_on =
                    punct.spacing() == Spacing::Joint && !matches!(punct.as_char(), '>' | '<' | '&');
                if !goes_on {
                    pieces.push(std::mem::take(&mut operator));
                }
            }
            // The operator before a name is the `'` of a lifetime, or nothing.
            TokenTree::Ident(name) => pieces.push(format!("{}{name}", std::mem::take(&mut operator))),
            TokenTree::Literal(literal) => pieces.push(literal.to_string()),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
}

fn has_space(before: &str, piece: &str) -> bool {
    let after_name = before.ends_with(|last: char| last.is_alphanumeric() || last == '_');
    match (before, piece) {
        ("" | "(" | "[" | "<" | "&" | "*" | "::" | "#" | "!" | "?" | ".", _) => false,
        (_, ")" | "]" | ">" | "," | ";" | ":" | "." | "!") => false,
        (_, "::" | "<") => !after_name && before != ">",
        ("where" | "mut" | "dyn" | "in" | "for" | "const", "(") => true,
        (_, "(") => !after_name && before != ">",
        _ => true,
    }
}
