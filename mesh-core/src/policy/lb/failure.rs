//! The error of a call that no endpoint can take.

use std::sync::Arc;

/// LB-31: the last error of an endpoint, if there is one, and the update's note.
pub(super) fn no_endpoint(last_error: Option<&str>, note: Option<&str>) -> Arc<str> {
    match (last_error, note) {
        (Some(error), Some(note)) => format!("no endpoint is connected, the last error was: {error}; {note}"),
        (Some(error), None) => format!("no endpoint is connected, the last error was: {error}"),
        (None, Some(note)) => format!("there are no endpoints: {note}"),
        (None, None) => "there are no endpoints".to_owned(),
    }
    .into()
}
