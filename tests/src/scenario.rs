//! Scenarios that have two sizes: one for every change, and the full one behind the feature `soak`.

use std::fmt::Display;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{Mutex, MutexGuard};

/// One at a time in full size, so that the figures of one are not those of its neighbours.
static TURN: Mutex<()> = Mutex::const_new(());

/// A scenario of docs/scenarios.md that runs.
#[derive(Debug)]
#[must_use = "others wait as long as this lives"]
pub struct Scenario {
    name: &'static str,
    _turn: Option<MutexGuard<'static, ()>>,
}

impl Scenario {
    /// Begins a scenario; in full size, when no other runs. `name` is for the figures.
    pub async fn begin(name: &'static str) -> Self {
        let turn = if is_full() { Some(TURN.lock().await) } else { None };
        let scenario = Self { name, _turn: turn };
        scenario.figure("begins", "");
        scenario
    }

    /// The first in every test run, the second in full size.
    pub fn pick<T>(&self, short: T, full: T) -> T {
        if is_full() { full } else { short }
    }

    /// Raises the limit of open files of this process, in full size, as far as it may be.
    ///
    /// # Panics
    /// When it is too low.
    pub fn allow_open_files(&self, count: u64) {
        if is_full() {
            let (_, highest) = getrlimit(Resource::RLIMIT_NOFILE).expect("every process has a limit");
            assert!(highest >= count, "{}: {count} open files are needed, {highest} allowed", self.name);
            setrlimit(Resource::RLIMIT_NOFILE, highest, highest).expect("a limit may be raised so far");
        }
    }

    /// Shows a figure, in full size.
    pub fn figure(&self, what: &str, value: impl Display) {
        if is_full() {
            xtask::output::line(format_args!("{:<20} {what:<44} {value}", self.name));
        }
    }
}

/// Whether this is the full size of the scenarios, behind the command of docs/scenarios.md.
pub(crate) const fn is_full() -> bool {
    cfg!(feature = "soak")
}
