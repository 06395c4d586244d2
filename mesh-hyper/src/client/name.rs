//! The names of services in URLs.

use std::borrow::Cow;

/// A URL's authority in the one form by which targets are found: in lower case, without user, final dot and the default port.
/// `None`: it names no host.
pub(super) fn normalised(authority: &str) -> Option<Cow<'_, str>> {
    // RFC 9110 section 4.2.4: a user is never sent
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port),
        _ => (host, ""),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return None;
    }
    let port = if port == DEFAULT_PORT { "" } else { port };
    let is_same = match host.strip_prefix(name) {
        Some(rest) => rest == port || rest.strip_prefix(':') == Some(port) && !port.is_empty(),
        None => false,
    };
    if is_same && !name.contains(|letter: char| letter.is_ascii_uppercase()) {
        return Some(Cow::Borrowed(host));
    }
    let name = name.to_ascii_lowercase();
    Some(Cow::Owned(if port.is_empty() { name } else { format!("{name}:{port}") }))
}

const DEFAULT_PORT: &str = "80";

#[cfg(test)]
mod tests {
    use super::normalised;

    /// T1: one name, whatever its spelling.
    #[test]
    fn spellings_of_a_name_are_one_name() {
        let rows = [
            ("orders.shop", Some("orders.shop")),
            ("Orders.SHOP", Some("orders.shop")),
            ("orders.shop.", Some("orders.shop")),
            ("orders.shop:80", Some("orders.shop")),
            ("orders.shop.:80", Some("orders.shop")),
            ("orders.shop:", Some("orders.shop")),
            ("orders.shop:8080", Some("orders.shop:8080")),
            ("Orders.shop.:8080", Some("orders.shop:8080")),
            ("user:secret@orders.shop", Some("orders.shop")),
            ("a@b@orders.shop:81", Some("orders.shop:81")),
            ("[::1]:80", Some("[::1]")),
            ("[::1]", Some("[::1]")),
            ("[::1]:81", Some("[::1]:81")),
            (":80", None),
            (".", None),
            ("user@", None),
            ("", None),
        ];
        for (spelling, expected) in rows {
            assert_eq!(normalised(spelling).as_deref(), expected, "{spelling}");
        }
    }
}
