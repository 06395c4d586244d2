//! Errors as their readers want them: the text, and the texts of the causes.

use std::error::Error;
use std::fmt;

/// Displays an error with its causes on one line, as in `cannot read a.json: permission denied`. A cause whose text is in
/// the line already is left out.
#[derive(Clone, Copy)]
pub struct WithCauses<'e>(
    /// The error.
    pub &'e (dyn Error + 'static),
);

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.source().is_none() {
            return fmt::Display::fmt(self.0, f);
        }
        let mut text = self.0.to_string();
        for cause in std::iter::successors(self.0.source(), |&cause| cause.source()) {
            let cause = cause.to_string();
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Debug` for errors that a program may hand to its `main`, which prints them with it: [`WithCauses`].
#[doc(hidden)]
#[macro_export]
macro_rules! debug_with_causes {
    ($($error:ty),+ $(,)?) => {$(
        impl ::std::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&$crate::WithCauses(self), f)
            }
        }
    )+};
}

#[cfg(test)]
mod tests {
    use std::error::Error;
    use std::io;

    use super::WithCauses;
    use crate::config::{DomainPattern, ResourceError};
    use crate::runtime::connect::{BodyError, ConnectError, SendError, SendErrorKind};
    use crate::runtime::{ChannelError, MeshError, MeshErrorKind, SourceError};

    #[derive(thiserror::Error)]
    #[error("{text}")]
    struct Level {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    crate::debug_with_causes!(Level);

    fn chain(texts: &[&'static str]) -> Level {
        let (text, causes) = texts.split_first().unwrap();
        Level { text, source: (!causes.is_empty()).then(|| Box::new(chain(causes))) }
    }

    #[test]
    fn causes_follow_the_text_unless_it_has_them() {
        for (texts, line) in [
            (vec!["cannot read a.json"], "cannot read a.json"),
            (vec!["cannot read a.json", "permission denied"], "cannot read a.json: permission denied"),
            (vec!["a", "b", "c"], "a: b: c"),
            (
                vec!["connect to e0: refused", "refused", "os error 111"],
                "connect to e0: refused: os error 111",
            ),
        ] {
            assert_eq!(format!("{:?}", chain(&texts)), line);
            assert_eq!(WithCauses(&chain(&texts)).to_string(), line);
        }
    }

    #[test]
    fn debug_of_every_error_is_its_text_with_its_causes() {
        let refused = || io::Error::other("refused");
        let failed = MeshError::new(MeshErrorKind::Connection, "the call failed");
        let rows: Vec<(Box<dyn Error>, &str)> = vec![
            (
                DomainPattern::parse("a*b").unwrap_err().into(),
                "domain \"a*b\" is not a name, \"*suffix\", \"prefix*\" or \"*\"",
            ),
            (ResourceError::new("no such cluster").into(), "no such cluster"),
            (SourceError::new("no listener").into(), "no listener"),
            (ChannelError::no_runtime().into(), "a channel needs a tokio runtime: make it inside of one"),
            (
                ConnectError::new(([127, 0, 0, 1], 1).into(), refused()).into(),
                "connect to 127.0.0.1:1: refused",
            ),
            (SendError::new(SendErrorKind::Closed, refused()).into(), "the connection was lost: refused"),
            (BodyError::new(None, refused()).into(), "the response's body broke off: refused"),
            (
                failed.in_cluster(&"cart".into()).caused_by(None, refused()).into(),
                "cluster cart: the call failed: refused",
            ),
        ];
        for (error, text) in rows {
            assert_eq!(format!("{error:?}"), text);
        }
    }
}
