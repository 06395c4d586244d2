//! What a caller is told when no endpoint can take the call.

use std::sync::Arc;

/// LB-31: the last error of an endpoint, if there are any, and what else is known.
pub(super) fn no_endpoint(last_error: Option<&str>, note: Option<&str>) -> Arc<str> {
    match (last_error, note) {
        (Some(error), Some(note)) => format!("no endpoint is connected, the last error was: {error}; {note}"),
        (Some(error), None) => format!("no endpoint is connected, the last error was: {error}"),
        (None, Some(note)) => format!("there are no endpoints: {note}"),
        (None, None) => "there are no endpoints".to_owned(),
    }
    .into()
}
