//! The last valid content of some files, from one read to the next.

use std::sync::Arc;

/// The contents of the files, in the configured order, or why they could not be read.
pub(super) type Contents = Result<Vec<Vec<u8>>, String>;

/// The last valid value that some files together make.
#[derive(Debug)]
pub(super) struct Reload<T> {
    seen: Option<Contents>,
    good: Option<Arc<T>>,
    problem: Option<String>,
    changes: u64,
}

/// What a read of the files has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadChange {
    /// Nothing.
    Same,
    /// Another `T`, or the first.
    Good,
    /// The contents make no `T`, for this reason; the last valid `T` stays.
    Bad(String),
}

impl<T> Default for Reload<T> {
    fn default() -> Self {
        Self { seen: None, good: None, problem: None, changes: 0 }
    }
}

impl<T> Reload<T> {
    /// BS-34: unchanged contents are not parsed again, and an error is reported once.
    pub(super) fn on_read(
        &mut self,
        contents: Contents,
        parse: impl FnOnce(&[Vec<u8>]) -> Result<T, String>,
    ) -> ReadChange {
        if self.seen.as_ref() == Some(&contents) {
            return ReadChange::Same;
        }
        let parsed = match &contents {
            Ok(contents) => parse(contents),
            Err(reason) => Err(reason.clone()),
        };
        self.seen = Some(contents);
        match parsed {
            Ok(good) => {
                self.good = Some(Arc::new(good));
                self.problem = None;
                self.changes += 1;
                ReadChange::Good
            }
            Err(reason) => {
                self.changes += u64::from(self.good.is_none());
                self.problem = Some(reason.clone());
                ReadChange::Bad(reason)
            }
        }
    }

    /// The next contents are parsed, whether they have changed or not.
    pub(super) fn read_again(&mut self) {
        self.seen = None;
    }

    /// How often [`good`](Self::good) has changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// The last valid value.
    ///
    /// # Errors
    /// There never was one: why.
    pub(super) fn good(&self) -> Result<Arc<T>, String> {
        match (&self.good, &self.problem) {
            (Some(good), _) => Ok(good.clone()),
            (None, Some(problem)) => Err(problem.clone()),
            (None, None) => Err("not read yet".to_owned()),
        }
    }
}
