//! The one form of a path: that of Istio's path normalisation `BASE`.

use std::borrow::Cow;

/// Brings an absolute path to its one form: unreserved characters are not encoded, `\` is `/`, and no segment is `.` or `..`.
/// An encoded slash stays encoded, and empty segments stay. `None`: a `%` in the path encodes nothing.
pub(super) fn normalised(path: &str) -> Option<Cow<'_, str>> {
    let may_differ = path.bytes().any(|byte| matches!(byte, b'\\' | b'%')) || path.contains("/.");
    if !may_differ {
        return Some(path.into());
    }
    Some(remove_dots(&decode_unreserved(path)?.replace('\\', "/")).into())
}

/// RFC 3986 section 6.2.2.2, and an encoded `\`. What is decoded is not decoded again.
fn decode_unreserved(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        let hex = after.get(..2).filter(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        decoded.push_str(before);
        match u8::from_str_radix(hex, 16).ok().filter(|byte| is_decoded(*byte)) {
            Some(byte) => decoded.push(char::from(byte)),
            None => decoded.extend(["%", hex]),
        }
        rest = &after[2..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

fn is_decoded(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'\\')
}

/// RFC 3986 section 5.2.4, for absolute paths.
fn remove_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_has_one_form() {
        let rows = [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/a/..", "/"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/..", "/"),
            ("/../../admin", "/admin"),
            ("/a/%2e%2E/admin", "/admin"),
            ("/a\\..\\admin", "/admin"),
            ("/a%5C..%5cadmin", "/admin"),
            ("/%61dmin", "/admin"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2f..%2fb", "/a%2f..%2fb"),
            ("//evil.example/x", "//evil.example/x"),
            ("/a/.hidden", "/a/.hidden"),
            ("/a/...", "/a/..."),
            ("/%25%32%65", "/%252e"),
            ("/%252e%252e/x", "/%252e%252e/x"),
        ];
        for (path, expected) in rows {
            assert_eq!(normalised(path).as_deref(), Some(expected), "{path}");
            assert_eq!(normalised(expected).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn path_whose_percent_sign_encodes_nothing_is_malformed() {
        for path in ["/100%", "/%zz", "/%2", "/%%32e", "/%+1"] {
            assert_eq!(normalised(path), None, "{path}");
        }
    }
}
