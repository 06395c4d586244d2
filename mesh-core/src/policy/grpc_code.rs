//! The status codes of gRPC by number and by name.

/// The name of a code, for example `UNAVAILABLE`. A number that is no code is `UNKNOWN`.
pub fn name(code: u32) -> &'static str {
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).unwrap_or(&"UNKNOWN")
}

/// The code of a name in capitals; `None`: no code has it.
pub fn number(name: &str) -> Option<u32> {
    let position = NAMES.iter().position(|known| *known == name)?;
    u32::try_from(position).ok()
}

/// By their numbers.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_and_every_name_its_code() {
        for code in 0..17 {
            assert_eq!(number(name(code)), Some(code));
        }
        assert_eq!(number("UNAUTHENTICATED"), Some(16));
        assert_eq!((name(17), name(u32::MAX), number("OKAY")), ("UNKNOWN", "UNKNOWN", None));
    }
}
