//! Regular expressions: RE2's, as far as all clients read them alike.
//!
//! Envoy and gRPC match with RE2 or a copy of it, `mesh-core` with a machine that reads RE2's dialect by the parser of Rust's
//! `regex`. An expression that a client cannot read makes it refuse a whole route configuration; one that clients read
//! differently sends calls to different places. So an expression is parsed as Rust's, and every construct that is not on the
//! list of what both dialects have in common is refused, with what to write instead.

use regex_syntax::ast::parse::Parser;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassBracketed, ClassSet, ClassSetItem, ClassUnicode, ClassUnicodeKind, ErrorKind,
    Flag, Flags, FlagsItemKind, Group, GroupKind, HexLiteralKind, Literal, LiteralKind, Repetition,
    RepetitionKind, RepetitionRange, Span,
};

/// How many instructions `pattern` costs, which every client reads alike.
///
/// # Errors
/// What is in the way, and what to write instead.
pub(super) fn check(pattern: &str) -> Result<u64, String> {
    if pattern.len() > LONGEST {
        return Err(format!("its {} bytes are more than the limit of {LONGEST}", pattern.len()));
    }
    let ast = Parser::new().parse(pattern).map_err(|error| unread(pattern, *error.span(), error.kind()))?;
    let mut checker = Checker { pattern, ignores_case: false, not_folded: None };
    let size = checker.size(&ast, MOST_REPETITIONS)?;
    if size > LARGEST {
        return Err("its program is too large for some clients".to_owned());
    }
    match checker.not_folded {
        Some(found) if checker.ignores_case => {
            Err(format!("with (?i), {found} has other characters in some clients: write both cases instead"))
        }
        _ => Ok(size),
    }
}

/// The reason for an expression that Rust's parser does not read.
fn unread(pattern: &str, span: Span, kind: &ErrorKind) -> String {
    let found = &pattern[span.start.offset..span.end.offset];
    let hint = match (kind, found) {
        (ErrorKind::EscapeUnrecognized, r"\Q" | r"\E") => {
            ": write \\ in front of each character that has a meaning"
        }
        (ErrorKind::EscapeUnrecognized, r"\C") => ": write . or a class of characters",
        (ErrorKind::EscapeUnrecognized, r"\Z") => r": write \z",
        (
            ErrorKind::RepetitionMissing
            | ErrorKind::RepetitionCountUnclosed
            | ErrorKind::RepetitionCountDecimalEmpty,
            _,
        ) => r": write \{ for the character {, and {0,n} for up to n",
        (ErrorKind::ClassUnclosed, _) => r": write \[ for the character [",
        _ => "",
    };
    format!("{kind}{hint}")
}

/// Walks an expression. Recursion is bounded by the parser.
struct Checker<'p> {
    pattern: &'p str,
    /// `(?i)` is somewhere in it.
    ignores_case: bool,
    /// Something whose case is not folded alike.
    not_folded: Option<&'static str>,
}

impl Checker<'_> {
    /// About how many instructions RE2 compiles `ast` to, rather more than less. `repetitions` is how often it may still be
    /// repeated.
    fn size(&mut self, ast: &Ast, repetitions: u32) -> Result<u64, String> {
        match ast {
            Ast::Empty(_) => Ok(1),
            Ast::Flags(set) => self.flags(&set.flags).map(|()| 1),
            Ast::Literal(literal) => self.literal(literal),
            Ast::Dot(_) => Ok(WIDE_CLASS),
            Ast::Assertion(assertion) => check_assertion(&assertion.kind).map(|()| 1),
            Ast::ClassPerl(class) => Ok(if class.negated { WIDE_CLASS } else { CLASS }),
            Ast::ClassUnicode(class) => self.category(class),
            Ast::ClassBracketed(class) => self.class(class),
            Ast::Repetition(repetition) => self.repetition(repetition, repetitions),
            Ast::Group(group) => self.group(group, repetitions),
            Ast::Alternation(several) => self.sum(&several.asts, repetitions),
            Ast::Concat(several) => self.sum(&several.asts, repetitions),
        }
    }

    fn sum(&mut self, asts: &[Ast], repetitions: u32) -> Result<u64, String> {
        asts.iter().try_fold(1, |sum: u64, ast| Ok(sum + self.size(ast, repetitions)?))
    }

    fn flags(&mut self, flags: &Flags) -> Result<(), String> {
        for item in &flags.items {
            match item.kind {
                FlagsItemKind::Flag(Flag::CaseInsensitive) => self.ignores_case = true,
                FlagsItemKind::Negation
                | FlagsItemKind::Flag(Flag::MultiLine | Flag::DotMatchesNewLine | Flag::SwapGreed) => {}
                FlagsItemKind::Flag(_) => return Err("RE2 has no flags other than i, m, s and U".to_owned()),
            }
        }
        Ok(())
    }

    fn literal(&mut self, literal: &Literal) -> Result<u64, String> {
        match &literal.kind {
            LiteralKind::Verbatim | LiteralKind::Meta | LiteralKind::Special(_) => {}
            LiteralKind::HexFixed(HexLiteralKind::X) | LiteralKind::HexBrace(HexLiteralKind::X) => {}
            LiteralKind::Superfluous if literal.c != '_' => {}
            LiteralKind::Superfluous => return Err(r"RE2 has no escape \_: write _".to_owned()),
            LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) | LiteralKind::Octal => {
                let (code, escape) = (u32::from(literal.c), self.text(&literal.span));
                return Err(format!("RE2 has no escape {escape}: write \\x{{{code:X}}}"));
            }
        }
        if literal.c.is_ascii() {
            return Ok(4);
        }
        self.not_folded = Some("a character beyond ASCII");
        Ok(8)
    }

    fn category(&mut self, class: &ClassUnicode) -> Result<u64, String> {
        self.not_folded = Some("a class of Unicode");
        let is_known = match &class.kind {
            ClassUnicodeKind::OneLetter(letter) => CATEGORIES.contains(*letter),
            ClassUnicodeKind::Named(name) => match name.as_bytes() {
                [only] => CATEGORIES.contains(char::from(*only)),
                _ => SUBCATEGORIES.contains(&name.as_str()),
            },
            ClassUnicodeKind::NamedValue { .. } => false,
        };
        if is_known {
            return Ok(CATEGORY);
        }
        let found = self.text(&class.span);
        Err(format!("clients differ in {found}: use a general category such as \\pL, or list the characters"))
    }

    fn class(&mut self, class: &ClassBracketed) -> Result<u64, String> {
        let items = self.text(&class.span).trim_start_matches('[').trim_start_matches('^');
        // Rust's parser takes a - or a ] in front for itself, and RE2's for the start of a range.
        if items.starts_with("--") || items.starts_with("]-") {
            return Err(format!(r"to RE2, {0}- begins a range: write \{0}", &items[..1]));
        }
        match &class.kind {
            ClassSet::Item(item) => Ok(self.item(item)? + if class.negated { WIDE_CLASS } else { 0 }),
            ClassSet::BinaryOp(_) => {
                Err("RE2 has no operations on classes: write \\ in front of &, - or ~".to_owned())
            }
        }
    }

    fn item(&mut self, item: &ClassSetItem) -> Result<u64, String> {
        match item {
            ClassSetItem::Empty(_) => Ok(1),
            ClassSetItem::Literal(literal) => self.literal(literal),
            ClassSetItem::Range(range) => Ok(self.literal(&range.start)? + self.literal(&range.end)?),
            ClassSetItem::Ascii(class) => Ok(if class.negated { WIDE_CLASS } else { CLASS }),
            ClassSetItem::Perl(class) => Ok(if class.negated { WIDE_CLASS } else { CLASS }),
            ClassSetItem::Unicode(class) => self.category(class),
            ClassSetItem::Bracketed(_) => {
                Err(r"RE2 has no classes in classes: write \[ for the character [".to_owned())
            }
            ClassSetItem::Union(union) => {
                union.items.iter().try_fold(0, |sum: u64, item| Ok(sum + self.item(item)?))
            }
        }
    }

    fn repetition(&mut self, repetition: &Repetition, repetitions: u32) -> Result<u64, String> {
        let operator = self.text(&repetition.op.span);
        match &*repetition.ast {
            Ast::Repetition(_) => {
                return Err(format!(
                    "RE2 does not repeat a repetition by {operator}: write (?:...){operator}"
                ));
            }
            Ast::Assertion(_) | Ast::Empty(_) | Ast::Flags(_) => {
                return Err(format!("{operator} repeats no character"));
            }
            _ => {}
        }
        let most = match &repetition.op.kind {
            RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 1,
            RepetitionKind::Range(range) => {
                check_counts(operator)?;
                match range {
                    RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count) => *count,
                    RepetitionRange::Bounded(_, most) => *most,
                }
            }
        };
        let left = repetitions / most.max(1);
        if left == 0 {
            return Err(format!(
                "RE2 repeats at most {MOST_REPETITIONS} times, nested repetitions multiplied"
            ));
        }
        Ok(self.size(&repetition.ast, left)? * u64::from(most.max(1)) + 2)
    }

    fn group(&mut self, group: &Group, repetitions: u32) -> Result<u64, String> {
        match &group.kind {
            GroupKind::CaptureIndex(_) => {}
            GroupKind::NonCapturing(flags) => self.flags(flags)?,
            GroupKind::CaptureName { starts_with_p, name } => {
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
                if !starts_with_p || !name.name.bytes().all(is_word) {
                    return Err("RE2 names a group by (?P<name>...), with letters, digits and _".to_owned());
                }
            }
        }
        Ok(self.size(&group.ast, repetitions)? + 2)
    }

    fn text(&self, span: &Span) -> &str {
        &self.pattern[span.start.offset..span.end.offset]
    }
}

fn check_assertion(kind: &AssertionKind) -> Result<(), String> {
    match kind {
        AssertionKind::StartLine
        | AssertionKind::EndLine
        | AssertionKind::StartText
        | AssertionKind::EndText
        | AssertionKind::WordBoundary
        | AssertionKind::NotWordBoundary => Ok(()),
        AssertionKind::WordBoundaryStartAngle => Err(r"to RE2, \< is a character: write <".to_owned()),
        AssertionKind::WordBoundaryEndAngle => Err(r"to RE2, \> is a character: write >".to_owned()),
        _ => Err(r"RE2 has no word boundaries other than \b and \B".to_owned()),
    }
}

/// Braces that RE2 takes for a repetition, not for characters: no count is left out in front or starts with 0.
fn check_counts(operator: &str) -> Result<(), String> {
    let counts = operator.trim_end_matches('?').trim_start_matches('{').trim_end_matches('}');
    let is_count = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
    };
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    if is_count(least) && (most.is_empty() || is_count(most)) {
        return Ok(());
    }
    Err(format!("to RE2, {operator} is text: write the least count, without zeros in front, or \\{{"))
}

/// Envoy's and our own limits are far above what a person writes.
const LONGEST: usize = 32 << 10;
/// RE2's limit.
const MOST_REPETITIONS: u32 = 1000;
/// Instructions; RE2 has room for more than six times as many.
const LARGEST: u64 = 50_000;
/// Of a few ranges of ASCII.
const CLASS: u64 = 12;
/// Of nearly all characters.
const WIDE_CLASS: u64 = 40;
/// Of hundreds of ranges.
const CATEGORY: u64 = 4_000;
/// General categories of Unicode; not C, in which Rust has unassigned characters and RE2 has not.
const CATEGORIES: &str = "LMNPSZ";
const SUBCATEGORIES: [&str; 28] = [
    "Cc", "Cf", "Co", "Ll", "Lm", "Lo", "Lt", "Lu", "Mc", "Me", "Mn", "Nd", "Nl", "No", "Pc", "Pd", "Pe",
    "Pf", "Pi", "Po", "Ps", "Sc", "Sk", "Sm", "So", "Zl", "Zp", "Zs",
];
