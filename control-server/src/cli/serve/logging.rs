//! The log, on standard error.

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal};

use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::cli::output;
use crate::text::clipped;

use super::arguments::LogFormat;

/// Starts logging; a filter that cannot be read is reported and replaced by `info`.
pub(super) fn start(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|error| {
        output::note(&format!("warning: --log {filter:?}: {error}; using info"));
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => {
            let is_colored = io::stderr().is_terminal() && !output::no_color();
            builder.fmt_fields(fields()).with_ansi(is_colored).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        output::note(&format!("warning: no log: {error}"));
    }
}

/// One line per event, of bounded length: a newline in the name of a file or of a client begins no line of its own.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    debug_fn(write_field).delimited(" ")
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    let text = clipped(&format!("{value:?}"), MAX_FIELD);
    match field.name() {
        "message" => writer.write_str(&text),
        name => write!(writer, "{name}={text}"),
    }
}

/// Characters of one field; longer ones end with an ellipsis.
const MAX_FIELD: usize = 2000;

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What is written to the log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn texts_of_others_begin_no_line_and_have_bounded_length() {
        let log = Log::default();
        let writer = log.clone();
        let builder = tracing_subscriber::fmt().fmt_fields(fields()).with_ansi(false);
        let subscriber = builder.with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            let forged = "a\n2026-12-01 ERROR forged\u{1b}[2J";
            tracing::warn!(%forged, quoted = forged, "{forged}: {}", "x".repeat(10_000));
        });
        let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        assert!(written.len() < 3000 && !written.contains('\u{1b}'), "{written}");
        assert!(
            written.contains("WARN") && written.contains("a\\n2026-12-01 ERROR forged\\u{1b}[2J: xxx"),
            "{written}"
        );
        assert!(written.contains(r#" quoted="a\n2026"#) && written.contains(r" forged=a\n2026"), "{written}");
    }
}
