//! RE2's dialect, read with the parser of Rust's.

use regex_syntax::ast::{
    Assertion, AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind,
    ClassSet, ClassSetItem, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind, Repetition,
    RepetitionKind, RepetitionRange, parse::Parser,
};
use regex_syntax::hir::{Hir, translate::Translator};

use crate::config::ConfigError;

/// The longest expression, in bytes. A longer one would compile to more than [`SIZE_LIMIT`] in nearly every case, after
/// much work.
const LENGTH_LIMIT: usize = 32 << 10;

/// The largest compiled program, in bytes (SEC-06).
pub(super) const SIZE_LIMIT: usize = 1 << 20;

/// How many characters of an expression an error shows.
const SHOWN: usize = 200;

/// How many large classes an expression may have. A program with more of them exceeds [`SIZE_LIMIT`] in nearly every case.
const CLASSES_LIMIT: usize = 64;

/// The largest count of a repetition, as in RE2.
const REPETITION_LIMIT: u32 = 1000;

/// What an expression means.
pub(super) struct Parsed {
    pub(super) hir: Hir,
    /// What its large classes cost, in bytes. To read one takes as long as to compile a program of some kilobytes, also
    /// where the program has nothing of it, as in `\pL{0}`.
    pub(super) classes_size: usize,
}

/// The large classes of an expression.
#[derive(Default)]
struct Classes {
    count: usize,
    ignores_case: bool,
}

impl Classes {
    /// By the time that it takes to read them: microseconds, or milliseconds where the case of all characters is folded.
    fn size(&self) -> usize {
        self.count * if self.ignores_case { 64 << 10 } else { 4 << 10 }
    }
}

/// Reads an expression as RE2 does. What Rust's dialect has and RE2's has not, or reads differently, is refused.
pub(super) fn parse(pattern: &str) -> Result<Parsed, ConfigError> {
    if pattern.len() > LENGTH_LIMIT {
        let reason = format!("its {} bytes are more than the limit of {LENGTH_LIMIT}", pattern.len());
        return Err(invalid(pattern, &reason));
    }
    let mut ast = Parser::new().parse(pattern).map_err(|error| invalid(pattern, &error))?;
    let mut classes = Classes::default();
    to_re2(&mut ast, &mut classes).map_err(|reason| invalid(pattern, &reason))?;
    if classes.count > CLASSES_LIMIT {
        let reason =
            format!("its {} classes of Unicode are more than the limit of {CLASSES_LIMIT}", classes.count);
        return Err(invalid(pattern, &reason));
    }
    let hir = Translator::new().translate(pattern, &ast).map_err(|error| invalid(pattern, &error))?;
    Ok(Parsed { hir, classes_size: classes.size() })
}

/// Why an expression that was read could not be compiled; `size_limit` is the limit that it exceeds.
pub(super) fn not_compiled(pattern: &str, size_limit: Option<usize>, error: &dyn ToString) -> ConfigError {
    match size_limit {
        Some(limit) => invalid(pattern, &format!("its program exceeds the size limit of {limit} bytes")),
        None => invalid(pattern, error),
    }
}

fn invalid(pattern: &str, reason: &dyn ToString) -> ConfigError {
    let reason = reason.to_string().lines().last().unwrap_or_default().trim().to_owned();
    let mut shown: String = pattern.chars().take(SHOWN).collect();
    if shown.len() < pattern.len() {
        shown.push('…');
    }
    ConfigError::InvalidRegex { pattern: shown, reason }
}

/// Counts large classes. The parser bounds the depth.
fn to_re2(ast: &mut Ast, classes: &mut Classes) -> Result<(), &'static str> {
    match ast {
        Ast::Empty(_) | Ast::Literal(_) | Ast::Dot(_) => Ok(()),
        Ast::ClassUnicode(_) => {
            classes.count += 1;
            Ok(())
        }
        Ast::Flags(set) => check_flags(&set.flags, classes),
        Ast::Assertion(assertion) => {
            if let Some(group) = ascii_boundary(assertion)? {
                *ast = Ast::group(group);
            }
            Ok(())
        }
        Ast::ClassPerl(class) => {
            let (span, kind) = (class.span, ClassSet::Item(ClassSetItem::Ascii(ascii(class))));
            *ast = Ast::class_bracketed(ClassBracketed { span, negated: false, kind });
            Ok(())
        }
        Ast::ClassBracketed(class) => match &mut class.kind {
            ClassSet::Item(item) => item_to_re2(item, classes),
            ClassSet::BinaryOp(_) => Err("RE2 has no operations on classes; escape &, - or ~"),
        },
        Ast::Repetition(repetition) => {
            check_repetition(repetition)?;
            to_re2(&mut repetition.ast, classes)
        }
        Ast::Group(group) => {
            if let GroupKind::NonCapturing(flags) = &group.kind {
                check_flags(flags, classes)?;
            }
            to_re2(&mut group.ast, classes)
        }
        Ast::Alternation(alternation) => alternation.asts.iter_mut().try_for_each(|ast| to_re2(ast, classes)),
        Ast::Concat(concat) => concat.asts.iter_mut().try_for_each(|ast| to_re2(ast, classes)),
    }
}

fn item_to_re2(item: &mut ClassSetItem, classes: &mut Classes) -> Result<(), &'static str> {
    match item {
        ClassSetItem::Perl(class) => *item = ClassSetItem::Ascii(ascii(class)),
        ClassSetItem::Union(union) => {
            return union.items.iter_mut().try_for_each(|item| item_to_re2(item, classes));
        }
        ClassSetItem::Bracketed(_) => return Err("RE2 has no classes in classes; escape the ["),
        ClassSetItem::Unicode(_) => classes.count += 1,
        // To fold its case is to look at each character that has one.
        ClassSetItem::Range(range) if !range.end.c.is_ascii() => classes.count += 1,
        ClassSetItem::Range(_)
        | ClassSetItem::Empty(_)
        | ClassSetItem::Literal(_)
        | ClassSetItem::Ascii(_) => {}
    }
    Ok(())
}

/// `[[:space:]]` has a vertical tab that RE2's `\s` has not, and that no path and no header can have either.
fn ascii(class: &ClassPerl) -> ClassAscii {
    let kind = match class.kind {
        ClassPerlKind::Digit => ClassAsciiKind::Digit,
        ClassPerlKind::Space => ClassAsciiKind::Space,
        ClassPerlKind::Word => ClassAsciiKind::Word,
    };
    ClassAscii { span: class.span, kind, negated: class.negated }
}

/// `\b` becomes `(?-u:\b)`.
fn ascii_boundary(assertion: &Assertion) -> Result<Option<Group>, &'static str> {
    match assertion.kind {
        AssertionKind::StartLine
        | AssertionKind::EndLine
        | AssertionKind::StartText
        | AssertionKind::EndText => Ok(None),
        AssertionKind::WordBoundary | AssertionKind::NotWordBoundary => {
            let span = assertion.span;
            let kinds = [FlagsItemKind::Negation, FlagsItemKind::Flag(Flag::Unicode)];
            let items = kinds.map(|kind| FlagsItem { span, kind }).into();
            Ok(Some(Group {
                span,
                kind: GroupKind::NonCapturing(Flags { span, items }),
                ast: Box::new(Ast::assertion(assertion.clone())),
            }))
        }
        _ => Err("RE2 has no word boundaries other than \\b and \\B"),
    }
}

fn check_flags(flags: &Flags, classes: &mut Classes) -> Result<(), &'static str> {
    let ignores_case = FlagsItemKind::Flag(Flag::CaseInsensitive);
    classes.ignores_case |= flags.items.iter().any(|item| item.kind == ignores_case);
    let is_known = |item: &FlagsItem| match item.kind {
        FlagsItemKind::Negation => true,
        FlagsItemKind::Flag(flag) => !matches!(flag, Flag::Unicode | Flag::CRLF | Flag::IgnoreWhitespace),
    };
    match flags.items.iter().all(is_known) {
        true => Ok(()),
        false => Err("RE2 has no flags other than i, m, s and U"),
    }
}

fn check_repetition(repetition: &Repetition) -> Result<(), &'static str> {
    let largest = match &repetition.op.kind {
        RepetitionKind::ZeroOrOne | RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => 0,
        RepetitionKind::Range(RepetitionRange::Exactly(count) | RepetitionRange::AtLeast(count)) => *count,
        RepetitionKind::Range(RepetitionRange::Bounded(_, most)) => *most,
    };
    if largest > REPETITION_LIMIT { Err("RE2 repeats at most 1000 times") } else { Ok(()) }
}
