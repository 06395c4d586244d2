//! Names of resources: opaque ones, and `xdstp:` URIs (gRFC A47).

use std::collections::BTreeMap;

use mesh_core::config::Name;

/// The canonical spelling of a name, under which it is cached and sent.
///
/// The context parameters of an `xdstp:` name are sorted and made unique, the last of a kind wins. Any other name
/// is opaque and stays as it is, also an `xdstp:` name without a type and an id.
// TR-37, TR-38
pub fn canonical(name: &Name) -> Name {
    let Some((head, parameters)) = split(name) else { return name.clone() };
    let Some(parameters) = parameters else { return head.into() };
    let sorted: BTreeMap<&str, &str> = parameters
        .split('&')
        .filter(|parameter| !parameter.is_empty())
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    let sorted: Vec<String> = sorted.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    match sorted.is_empty() {
        true => head.into(),
        false => format!("{head}?{}", sorted.join("&")).into(),
    }
}

/// The authority of an `xdstp:` name, which may be empty; `None` for an opaque name.
pub fn authority(name: &str) -> Option<&str> {
    split(name)?;
    name.strip_prefix(SCHEME)?.split('/').next()
}

/// Whether the name is a glob: it matches all resources whose names differ only in the last segment (TR-56).
pub(crate) fn is_collection(name: &str) -> bool {
    split(name).is_some_and(|(head, _)| head.ends_with("/*"))
}

/// The collection that the resource of this canonical name is a member of.
pub(super) fn collection(name: &str) -> Option<Name> {
    let (head, parameters) = split(name)?;
    let (folder, _member) = head.rsplit_once('/')?;
    let collection = match parameters {
        None => format!("{folder}/*"),
        Some(parameters) => format!("{folder}/*?{parameters}"),
    };
    // The segment of the type is not the last segment of a member.
    (is_collection(&collection) && collection != name).then(|| collection.into())
}

/// `xdstp://authority/type/id` and what follows `?`, without a fragment.
fn split(name: &str) -> Option<(&str, Option<&str>)> {
    if !name.starts_with(SCHEME) {
        return None;
    }
    let name = name.split_once('#').map_or(name, |(name, _fragment)| name);
    let (head, parameters) = match name.split_once('?') {
        Some((head, parameters)) => (head, Some(parameters)),
        None => (name, None),
    };
    let path = head.strip_prefix(SCHEME)?.split_once('/')?.1;
    path.contains('/').then_some((head, parameters))
}

const SCHEME: &str = "xdstp://";

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: TR-36, TR-37, TR-38.
    #[test]
    fn names_have_one_spelling() {
        let rows = [
            ("opaque", "greeter", "greeter", None),
            ("other scheme", "http://a/b/c?z=1&a=2", "http://a/b/c?z=1&a=2", None),
            ("no id", "xdstp://a/type?z=1&a=2", "xdstp://a/type?z=1&a=2", None),
            ("no slashes", "xdstp:a/type/id", "xdstp:a/type/id", None),
            ("plain", "xdstp://a/type/id", "xdstp://a/type/id", Some("a")),
            ("empty authority", "xdstp:///type/id", "xdstp:///type/id", Some("")),
            ("sorted", "xdstp://a/type/id?z=1&b=2", "xdstp://a/type/id?b=2&z=1", Some("a")),
            ("last wins", "xdstp://a/type/id?z=1&z=2", "xdstp://a/type/id?z=2", Some("a")),
            ("fragment", "xdstp://a/type/id/x?z=1#f", "xdstp://a/type/id/x?z=1", Some("a")),
            ("no parameters", "xdstp://a/type/id?", "xdstp://a/type/id", Some("a")),
        ];
        for (row, name, expected, of) in rows {
            assert_eq!(&*canonical(&name.into()), expected, "{row}");
            assert_eq!(authority(name), of, "{row}");
        }
    }
    /// TR-56.
    #[test]
    fn members_have_the_collection_of_their_folder() {
        let rows = [
            ("xdstp://a/type/c/id", Some("xdstp://a/type/c/*")),
            ("xdstp://a/type/c/id?k=v", Some("xdstp://a/type/c/*?k=v")),
            ("xdstp://a/type/id", Some("xdstp://a/type/*")),
            ("xdstp://a/type/c/*", None),
            ("xdstp://a/type", None),
            ("greeter/c/id", None),
        ];
        for (name, expected) in rows {
            assert_eq!(collection(name).as_deref(), expected, "{name}");
        }
    }
}
