//! Finds GOAWAY frames in a stream of HTTP/2 frames (RFC 9113 section 4.1).

/// Follows the frames of a stream of bytes, in pieces of any size.
#[derive(Debug)]
pub(super) struct Scanner {
    place: Place,
    /// The GOAWAY that begins here has been pointed out.
    announced: bool,
}

#[derive(Debug)]
enum Place {
    /// So many bytes of a frame's head have been seen.
    Head { seen: usize, head: [u8; HEAD] },
    /// So many bytes of a frame's payload are to come.
    Payload { left: usize, goaway: bool },
}

/// A GOAWAY begins or ends after so many of the given bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Begin(usize),
    End(usize),
}

impl Scanner {
    /// Looks at the next bytes, up to where a GOAWAY begins or ends. What comes after that has not been looked at and
    /// is to be given again.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<Cut> {
        let mut at = 0;
        while at < bytes.len() {
            match &mut self.place {
                Place::Payload { left, goaway } => {
                    let step = (*left).min(bytes.len() - at);
                    at += step;
                    *left -= step;
                    if *left == 0 {
                        let ended = *goaway;
                        self.place = Place::START;
                        if ended {
                            return Some(Cut::End(at));
                        }
                    }
                }
                Place::Head { seen, head } => {
                    let (begin, before) = (at, *seen);
                    let step = (HEAD - *seen).min(bytes.len() - at);
                    head[*seen..*seen + step].copy_from_slice(&bytes[at..at + step]);
                    at += step;
                    *seen += step;
                    if *seen < HEAD {
                        return None;
                    }
                    let goaway = head[3] == GOAWAY;
                    if goaway && !std::mem::replace(&mut self.announced, true) {
                        *seen = before;
                        return Some(Cut::Begin(begin));
                    }
                    self.announced = false;
                    let left = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
                    self.place = if left > 0 { Place::Payload { left, goaway } } else { Place::START };
                }
            }
        }
        None
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self { place: Place::START, announced: false }
    }
}

impl Place {
    const START: Self = Self::Head { seen: 0, head: [0; HEAD] };
}

/// The length of a frame's head.
const HEAD: usize = 9;

/// The type of a GOAWAY frame.
const GOAWAY: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, (payload >> 8) as u8, payload as u8, kind, 0, 0, 0, 0, 0];
        // Payloads that look like heads of GOAWAY frames.
        frame.extend(std::iter::repeat_n(GOAWAY, payload));
        frame
    }

    /// The positions pointed out, when the bytes come in pieces of this size.
    fn cuts(bytes: &[u8], piece: usize) -> Vec<usize> {
        let mut scanner = Scanner::default();
        let mut cuts = Vec::new();
        let mut begin = 0;
        while begin < bytes.len() {
            let end = (begin + piece).min(bytes.len());
            match scanner.scan(&bytes[begin..end]) {
                Some(Cut::Begin(length) | Cut::End(length)) => {
                    begin += length;
                    cuts.push(begin);
                }
                None => begin = end,
            }
        }
        cuts
    }

    #[test]
    fn goaway_is_found_whatever_the_pieces() {
        let rows = [
            ("none", vec![frame(4, 0), frame(0, 300), frame(1, 20)], vec![]),
            ("alone", vec![frame(GOAWAY, 8)], vec![0, 17]),
            ("between", vec![frame(4, 0), frame(GOAWAY, 30), frame(6, 8)], vec![9, 48]),
            ("two", vec![frame(GOAWAY, 8), frame(GOAWAY, 8)], vec![0, 17, 17, 34]),
        ];
        for (name, frames, expected) in rows {
            let bytes = frames.concat();
            assert_eq!(cuts(&bytes, bytes.len()), expected, "{name}, whole");
            for piece in 1..40 {
                let found = cuts(&bytes, piece);
                assert_eq!(found.len(), expected.len(), "{name}, pieces of {piece}");
                for (found, expected) in found.iter().zip(&expected) {
                    // A head that arrived in two pieces is cut where its end arrived.
                    assert!((*expected..*expected + HEAD).contains(found), "{name}, pieces of {piece}");
                }
            }
        }
    }
}
