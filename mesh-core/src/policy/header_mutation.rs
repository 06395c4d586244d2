//! Changes of headers as configured.
// RT-67

use http::{HeaderMap, HeaderName};

use crate::config::{AppendAction, Change, HeaderMutation, is_protected};
use crate::policy::matcher::StringMatcher;

/// Applies mutations in their order. Allocates only what the headers need.
pub(crate) fn apply(mutations: &[HeaderMutation], headers: &mut HeaderMap) {
    for mutation in mutations {
        match mutation.change() {
            Change::Remove(name) => _ = headers.remove(name),
            Change::RemoveMatching(names) => remove_matching(names, headers),
            Change::Set { name, value, action } => match (action, headers.contains_key(name)) {
                (AppendAction::AppendIfExistsOrAdd, _) => _ = headers.append(name.clone(), value.clone()),
                (AppendAction::AddIfAbsent, true) | (AppendAction::OverwriteIfExists, false) => {}
                (AppendAction::AddIfAbsent, false)
                | (AppendAction::OverwriteIfExists, true)
                | (AppendAction::OverwriteIfExistsOrAdd, _) => {
                    _ = headers.insert(name.clone(), value.clone())
                }
            },
        }
    }
}

fn remove_matching(names: &StringMatcher, headers: &mut HeaderMap) {
    let is_meant = |name: &&HeaderName| !is_protected(name) && names.matches(name.as_str());
    let found: Vec<HeaderName> = headers.keys().filter(is_meant).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::policy::matcher::StringPattern;

    fn name(name: &str) -> HeaderName {
        HeaderName::from_bytes(name.as_bytes()).unwrap()
    }

    fn set(header: &str, value: &str, action: AppendAction) -> HeaderMutation {
        HeaderMutation::set(name(header), HeaderValue::from_str(value).unwrap(), action).unwrap()
    }

    fn matching(pattern: StringPattern) -> HeaderMutation {
        HeaderMutation::remove_matching(StringMatcher { pattern, ignore_case: false })
    }

    fn changed(mutations: &[HeaderMutation]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (header, value) in
            [("a", "1"), ("b", "2"), ("b", "3"), ("grpc-timeout", "1S"), ("te", "trailers")]
        {
            headers.append(name(header), HeaderValue::from_static(value));
        }
        apply(mutations, &mut headers);
        let text = |(name, value): (&HeaderName, &HeaderValue)| format!("{name}={}", value.to_str().unwrap());
        let mut found: Vec<_> = headers.iter().map(text).collect();
        found.retain(|header| !["grpc-timeout=1S", "te=trailers"].contains(&header.as_str()));
        found
    }

    /// Proves: RT-67.
    #[test]
    fn actions_treat_present_and_absent_headers_as_configured() {
        use AppendAction::*;
        let rows = [
            ("append to some", set("a", "x", AppendIfExistsOrAdd), vec!["a=1", "a=x", "b=2", "b=3"]),
            ("append to none", set("c", "x", AppendIfExistsOrAdd), vec!["a=1", "b=2", "b=3", "c=x"]),
            ("absent, but present", set("a", "x", AddIfAbsent), vec!["a=1", "b=2", "b=3"]),
            ("absent", set("c", "x", AddIfAbsent), vec!["a=1", "b=2", "b=3", "c=x"]),
            ("overwrite all values", set("b", "x", OverwriteIfExistsOrAdd), vec!["a=1", "b=x"]),
            ("overwrite or add", set("c", "x", OverwriteIfExistsOrAdd), vec!["a=1", "b=2", "b=3", "c=x"]),
            ("overwrite if there", set("b", "x", OverwriteIfExists), vec!["a=1", "b=x"]),
            ("overwrite, but absent", set("c", "x", OverwriteIfExists), vec!["a=1", "b=2", "b=3"]),
            ("empty value", set("c", "", AppendIfExistsOrAdd), vec!["a=1", "b=2", "b=3", "c="]),
            ("remove", HeaderMutation::remove(name("b")).unwrap(), vec!["a=1"]),
            ("remove by name", matching(StringPattern::Prefix("b".into())), vec!["a=1"]),
        ];
        for (row, mutation, expected) in rows {
            assert_eq!(changed(&[mutation]), expected, "{row}");
        }
        let in_order = [HeaderMutation::remove(name("a")).unwrap(), set("a", "x", AddIfAbsent)];
        assert_eq!(changed(&in_order), ["b=2", "b=3", "a=x"]);
    }

    #[test]
    fn headers_of_the_protocol_are_never_changed() {
        for header in ["host", "grpc-timeout", "grpc-status", "te", "connection", "content-length"] {
            let value = HeaderValue::from_static("x");
            assert!(HeaderMutation::set(name(header), value, AppendAction::default()).is_err(), "{header}");
            assert!(HeaderMutation::remove(name(header)).is_err(), "{header}");
        }
        let mut headers = HeaderMap::new();
        for header in ["host", "grpc-status", "te", "x"] {
            headers.insert(name(header), HeaderValue::from_static("1"));
        }
        apply(&[matching(StringPattern::Contains(String::new()))], &mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["host", "grpc-status", "te"]);
    }
}
