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

/// The largest count of a repetition, as in RE2.
const REPETITION_LIMIT: u32 = 1000;

/// Reads an expression as RE2 does. What Rust's dialect has and RE2's has not, or reads differently, is refused.
pub(super) fn parse(pattern: &str) -> Result<Hir, ConfigError> {
    if pattern.len() > LENGTH_LIMIT {
        let reason = format!("its {} bytes are more than the limit of {LENGTH_LIMIT}", pattern.len());
        return Err(invalid(pattern, &reason));
    }
    let mut ast = Parser::new().parse(pattern).map_err(|error| invalid(pattern, &error))?;
    to_re2(&mut ast).map_err(|reason| invalid(pattern, &reason))?;
    Translator::new().translate(pattern, &ast).map_err(|error| invalid(pattern, &error))
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

/// The parser bounds the depth.
fn to_re2(ast: &mut Ast) -> Result<(), &'static str> {
    match ast {
        Ast::Empty(_) | Ast::Literal(_) | Ast::Dot(_) | Ast::ClassUnicode(_) => Ok(()),
        Ast::Flags(set) => check_flags(&set.flags),
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
            ClassSet::Item(item) => item_to_re2(item),
            ClassSet::BinaryOp(_) => Err("RE2 has no operations on classes; escape &, - or ~"),
        },
        Ast::Repetition(repetition) => {
            check_repetition(repetition)?;
            to_re2(&mut repetition.ast)
        }
        Ast::Group(group) => {
            if let GroupKind::NonCapturing(flags) = &group.kind {
                check_flags(flags)?;
            }
            to_re2(&mut group.ast)
        }
        Ast::Alternation(alternation) => alternation.asts.iter_mut().try_for_each(to_re2),
        Ast::Concat(concat) => concat.asts.iter_mut().try_for_each(to_re2),
    }
}

fn item_to_re2(item: &mut ClassSetItem) -> Result<(), &'static str> {
    match item {
        ClassSetItem::Perl(class) => *item = ClassSetItem::Ascii(ascii(class)),
        ClassSetItem::Union(union) => return union.items.iter_mut().try_for_each(item_to_re2),
        ClassSetItem::Bracketed(_) => return Err("RE2 has no classes in classes; escape the ["),
        ClassSetItem::Empty(_)
        | ClassSetItem::Literal(_)
        | ClassSetItem::Range(_)
        | ClassSetItem::Ascii(_)
        | ClassSetItem::Unicode(_) => {}
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

fn check_flags(flags: &Flags) -> Result<(), &'static str> {
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
