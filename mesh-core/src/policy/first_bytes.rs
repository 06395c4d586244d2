//! What a client speaks, by the first bytes that it sends.
//!
//! Only the shape counts: a TLS record that begins a handshake, whatever version it states, or the preface of HTTP/2.
//! A few bytes decide, however they are cut into segments, and however long the handshake's message is.

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstBytes {
    /// More bytes are needed.
    Incomplete,
    /// A TLS handshake begins.
    Tls,
    /// The whole preface of HTTP/2.
    Http2,
    /// Neither.
    Other,
}

/// Reads the bytes so far. More bytes do not change an answer other than [`FirstBytes::Incomplete`], and
/// [`LONGEST`] bytes are always enough.
pub(crate) fn classify(bytes: &[u8]) -> FirstBytes {
    if bytes.starts_with(PREFACE) {
        return FirstBytes::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return FirstBytes::Incomplete;
    }
    let fits = TLS.iter().zip(bytes).all(|(fits, byte)| fits(*byte));
    let length = |bytes: &[u8]| u16::from_be_bytes([bytes[3], bytes[4]]);
    match (fits, bytes.len() >= TLS.len()) {
        (true, true) if (1..=MAX_RECORD).contains(&length(bytes)) => FirstBytes::Tls,
        (true, false) => FirstBytes::Incomplete,
        _ => FirstBytes::Other,
    }
}

/// Whether bytes that are neither TLS nor HTTP/2 can begin a request of HTTP/1.1: a method, or an empty line before it
/// (RFC 9112 section 2.2).
pub(crate) fn may_begin_http1(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'\r' | b'\n'))
}

/// A record of type handshake, of version 3.x, with a length, whose first message is a ClientHello.
const TLS: [fn(u8) -> bool; 6] =
    [|byte| byte == 22, |byte| byte == 3, |_| true, |_| true, |_| true, |byte| byte == 1];

/// RFC 9113 section 3.4.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most bytes that [`classify`] needs.
pub(crate) const LONGEST: usize = PREFACE.len();

/// RFC 8446 section 5.1: a record's fragment has at most this many bytes.
const MAX_RECORD: u16 = 1 << 14;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn shape_of_the_first_bytes_decides() {
        let rows: [(&[u8], FirstBytes); 14] = [
            (b"", FirstBytes::Incomplete),
            (b"P", FirstBytes::Incomplete),
            (&PREFACE[..23], FirstBytes::Incomplete),
            (PREFACE, FirstBytes::Http2),
            (b"POST / HTTP/1.1\r\n", FirstBytes::Other),
            (b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", FirstBytes::Other),
            (&[22], FirstBytes::Incomplete),
            (&[22, 3, 1, 2, 0], FirstBytes::Incomplete),
            // TLS 1.3 alone and 1.0 state the same version in the record, and other versions do not matter
            (&[22, 3, 1, 2, 0, 1], FirstBytes::Tls),
            (&[22, 3, 9, 2, 0, 1, 7, 7], FirstBytes::Tls),
            // the first record of a ClientHello above 16 KiB
            (&[22, 3, 3, 0x40, 0, 1], FirstBytes::Tls),
            (&[22, 3, 1, 0x40, 1, 1], FirstBytes::Other),
            (&[22, 3, 1, 2, 0, 2], FirstBytes::Other),
            (&[21, 3, 1, 0, 2, 1], FirstBytes::Other),
        ];
        for (bytes, expected) in rows {
            assert_eq!(classify(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn first_byte_decides_whether_http1_may_begin() {
        let rows: [(&[u8], bool); 6] = [
            (b"GET / HTTP/1.1", true),
            (b"get", true),
            (b"\r\nGET", true),
            (b"", false),
            (&[22, 3, 1, 2, 0, 2], false),
            (b" GET", false),
        ];
        for (bytes, expected) in rows {
            assert_eq!(may_begin_http1(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn more_bytes_change_no_answer(
            start in proptest::sample::select(vec![PREFACE, &[22, 3, 1, 2, 0, 1], &[]]),
            kept in 0..24usize,
            rest in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut bytes = start[..kept.min(start.len())].to_vec();
            bytes.extend(rest);
            let mut last = FirstBytes::Incomplete;
            for end in 0..=bytes.len() {
                let now = classify(&bytes[..end]);
                prop_assert!(last == FirstBytes::Incomplete || now == last);
                prop_assert!(end < LONGEST || now != FirstBytes::Incomplete);
                last = now;
            }
        }
    }
}
