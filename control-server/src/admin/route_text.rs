//! The conditions of routes as texts.

use mesh_core::config::RouteMatch;
use mesh_core::policy::explain::Mismatch;
use mesh_core::policy::matcher::{HeaderMatcher, HeaderRule, PathMatcher, StringMatcher, StringPattern};

/// `path is /shop.Orders/Get, x-tester is yes`.
pub(super) fn matches_text(matches: &RouteMatch) -> String {
    let headers = matches.headers.iter().map(header_text);
    let others = query_and_kind(matches);
    let share = matches.fraction.map(|share| format!("{} of such calls", percent(share.as_per_million())));
    let all = std::iter::once(path_text(&matches.path)).chain(headers).chain(others).chain(share);
    all.collect::<Vec<_>>().join(", ")
}

/// The condition that does not hold, and what was found instead.
pub(super) fn mismatch_text(matches: &RouteMatch, mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::Path => format!("does not hold: {}", path_text(&matches.path)),
        Mismatch::Header { matcher, found } => {
            let header = matches.headers.get(*matcher);
            let condition = header.map(header_text).unwrap_or_default();
            let found =
                found.as_ref().map_or_else(|| "there is none".to_owned(), |value| format!("found {value:?}"));
            format!("does not hold: {condition}; {found}")
        }
        Mismatch::QueryOrKind => {
            let conditions = query_and_kind(matches).collect::<Vec<_>>().join(", ");
            format!("does not hold: {conditions}; gRPC calls have no query")
        }
        Mismatch::Share(share) => {
            format!("takes {} of such calls, at random", percent(share.as_per_million()))
        }
        _ => "does not hold".to_owned(),
    }
}

fn query_and_kind(matches: &RouteMatch) -> impl Iterator<Item = String> {
    let parameters = matches.query_parameters.iter().map(|parameter| {
        let value = parameter.value.as_ref().map_or_else(|| "is there".to_owned(), value_text);
        format!("query parameter {} {value}", parameter.name)
    });
    parameters.chain(matches.grpc_only.then(|| "a call of gRPC".to_owned()))
}

fn path_text(path: &PathMatcher) -> String {
    let (text, ignores_case) = match path {
        PathMatcher::Exact { path, ignore_case } => (format!("path is {path}"), *ignore_case),
        PathMatcher::Prefix { prefix, .. } if prefix.is_empty() || prefix == "/" => {
            return "any path".to_owned();
        }
        PathMatcher::Prefix { prefix, ignore_case } => (format!("path starts with {prefix}"), *ignore_case),
        PathMatcher::SeparatedPrefix { prefix, ignore_case } => {
            (format!("path is {prefix} or below it"), *ignore_case)
        }
        PathMatcher::Regex(regex) => (format!("path matches {}", regex.as_str()), false),
        other => (format!("path is like {other}"), false),
    };
    text + if ignores_case { " in any case" } else { "" }
}

fn header_text(header: &HeaderMatcher) -> String {
    let name = &header.name;
    let not = if header.condition.invert { "not " } else { "" };
    match &header.condition.rule {
        HeaderRule::Value(value) => format!("{name} {not}{}", value_text(value)),
        HeaderRule::Range(range) => {
            format!("{name} {not}a number from {} to below {}", range.start, range.end)
        }
        HeaderRule::Present(present) if *present != header.condition.invert => format!("{name} is there"),
        HeaderRule::Present(_) => format!("{name} is not there"),
        _ => name.to_string(),
    }
}

fn value_text(value: &StringMatcher) -> String {
    let text = match &value.pattern {
        StringPattern::Exact(text) => format!("is {text}"),
        StringPattern::Prefix(text) => format!("starts with {text}"),
        StringPattern::Suffix(text) => format!("ends with {text}"),
        StringPattern::Contains(text) => format!("contains {text}"),
        StringPattern::Regex(regex) => format!("matches {}", regex.as_str()),
        _ => "is like its pattern".to_owned(),
    };
    text + if value.ignore_case { " in any case" } else { "" }
}

/// `0.5 %`
fn percent(per_million: u32) -> String {
    format!("{} %", f64::from(per_million) / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use mesh_core::policy::matcher::{Fraction, QueryMatcher};

    #[test]
    fn conditions_are_sentences() {
        let exact = StringMatcher { pattern: StringPattern::Exact("yes".to_owned()), ignore_case: true };
        let name = HeaderName::from_static("x-a");
        let mut matches =
            RouteMatch::new(PathMatcher::Exact { path: "/a.B/C".to_owned(), ignore_case: false });
        matches.headers = vec![
            HeaderMatcher::new(name.clone(), HeaderRule::Value(exact)).with_invert(true),
            HeaderMatcher::new(name.clone(), HeaderRule::Range(1..3)),
            HeaderMatcher::new(name, HeaderRule::Present(false)),
        ];
        matches.query_parameters = vec![QueryMatcher::new("debug", None)];
        matches.grpc_only = true;
        matches.fraction = Some(Fraction::per_million(5_000));
        let expected = "path is /a.B/C, x-a not is yes in any case, x-a a number from 1 to below 3, x-a is not there, query parameter \
                        debug is there, a call of gRPC, 0.5 % of such calls";
        assert_eq!(matches_text(&matches), expected);
        assert_eq!(matches_text(&RouteMatch::any()), "any path");
    }
}
