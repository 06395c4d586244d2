//! [`LoadReportState`]: the protocol of load reports with one server.

use std::time::{Duration, Instant};

use mesh_core::policy::backoff::{Backoff, BackoffSettings};
use rand::Rng;

use super::{Instructions, InvalidInstructions, Wanted};

/// The protocol of load reports with one server. Pure: time and randomness are arguments, and the driver follows
/// [`wants_stream`](Self::wants_stream), [`poll_request`](Self::poll_request) and
/// [`next_deadline`](Self::next_deadline).
#[derive(Debug)]
pub(crate) struct LoadReportState {
    phase: ReportPhase,
    in_use: bool,
    backoff: Backoff,
    waits: BackoffSettings,
}

#[derive(Debug)]
enum ReportPhase {
    /// Nothing to report.
    Done,
    /// A stream has to be opened.
    Idle,
    /// The last stream failed: no stream before this time.
    Waiting {
        until: Instant,
    },
    Opening,
    Open(Open),
    /// The last report has to be sent.
    Leaving {
        instructions: Instructions,
        until: Instant,
    },
    /// The last report was sent, and the server has until this time to end the stream.
    Closing {
        until: Instant,
    },
}

#[derive(Debug)]
struct Open {
    since: Instant,
    node_sent: bool,
    instructions: Option<Instructions>,
    /// When the next report is due. `None`: never.
    next: Option<Instant>,
    due: bool,
}

/// A request of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    /// The node, and nothing else (TR-65).
    Node,
    /// The load of these clusters.
    Load(Wanted),
}

impl LoadReportState {
    /// A server that nothing in use reports to.
    pub(crate) fn new(waits: BackoffSettings) -> Self {
        Self { phase: ReportPhase::Done, in_use: false, backoff: Backoff::default(), waits: waits.bounded() }
    }

    /// Whether a cluster in use reports to the server. Repeating it changes nothing.
    pub(crate) fn set_use(&mut self, now: Instant, in_use: bool) {
        self.in_use = in_use;
        let phase = std::mem::replace(&mut self.phase, ReportPhase::Done);
        self.phase = match (phase, in_use) {
            (ReportPhase::Done, true) => ReportPhase::Idle,
            (ReportPhase::Leaving { instructions, .. }, true) => {
                ReportPhase::Open(Open::reporting(now, instructions))
            }
            (phase, true) => phase,
            // TR-68: a server that is used again before that time waits for the rest of it
            (
                phase @ (ReportPhase::Leaving { .. }
                | ReportPhase::Closing { .. }
                | ReportPhase::Waiting { .. }),
                false,
            ) => phase,
            // TR-69
            (ReportPhase::Open(Open { instructions: Some(instructions), node_sent: true, .. }), false) => {
                ReportPhase::Leaving { instructions, until: now + LAST_REPORT_TIMEOUT }
            }
            // TR-68: no stream is opened again either
            (_, false) => ReportPhase::Done,
        };
    }

    /// Whether there is nothing to do until the server is in use again. A running backoff continues.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.phase, ReportPhase::Done) || self.rests()
    }

    /// Whether there is nothing to do, but the next stream has to wait.
    fn rests(&self) -> bool {
        matches!(self.phase, ReportPhase::Waiting { .. }) && !self.in_use
    }

    /// Whether to open a stream; the driver then calls [`on_opening`](Self::on_opening).
    pub(crate) fn should_open(&self) -> bool {
        matches!(self.phase, ReportPhase::Idle)
    }

    /// Whether an open or opening stream is still needed.
    pub(crate) fn wants_stream(&self) -> bool {
        !matches!(self.phase, ReportPhase::Done | ReportPhase::Idle | ReportPhase::Waiting { .. })
    }

    /// Whether everything has been sent, so that the client may end its side of the stream.
    pub(crate) fn has_sent_all(&self) -> bool {
        matches!(self.phase, ReportPhase::Closing { .. })
    }

    /// A stream is being opened.
    pub(crate) fn on_opening(&mut self) {
        self.phase = ReportPhase::Opening;
    }

    /// The stream is open.
    pub(crate) fn on_opened(&mut self, now: Instant) {
        if matches!(self.phase, ReportPhase::Opening) {
            self.phase = ReportPhase::Open(Open::new(now));
        }
    }

    /// The stream has ended, or could not be opened.
    pub(crate) fn on_ended(&mut self, now: Instant, rng: &mut dyn Rng) {
        self.phase = match &self.phase {
            _ if !self.in_use => ReportPhase::Done,
            ReportPhase::Closing { .. } => ReportPhase::Idle,
            // as with ADS: at once after one that worked, but never more often than the first wait
            ReportPhase::Open(Open { instructions: Some(_), since, .. }) => {
                self.backoff = Backoff::default();
                match *since + self.waits.initial {
                    until if until <= now => ReportPhase::Idle,
                    until => ReportPhase::Waiting { until },
                }
            }
            _ => ReportPhase::Waiting { until: now + self.backoff.next(&self.waits, rng) },
        };
    }

    /// The server's instructions. Later responses replace earlier ones.
    ///
    /// # Errors
    /// [`InvalidInstructions`] are returned; the driver then drops the stream (TR-65).
    pub(crate) fn on_response(
        &mut self,
        now: Instant,
        response: Result<Instructions, InvalidInstructions>,
        rng: &mut dyn Rng,
    ) -> Result<(), InvalidInstructions> {
        let ReportPhase::Open(open) = &mut self.phase else { return Ok(()) };
        match response {
            Ok(instructions) => {
                self.backoff = Backoff::default();
                open.instruct(now, instructions);
                Ok(())
            }
            Err(invalid) => {
                self.phase = ReportPhase::Waiting { until: now + self.backoff.next(&self.waits, rng) };
                Err(invalid)
            }
        }
    }

    /// Whether [`poll_request`](Self::poll_request) has a request.
    pub(crate) fn has_request(&self) -> bool {
        match &self.phase {
            ReportPhase::Open(open) => !open.node_sent || open.due,
            ReportPhase::Leaving { .. } => true,
            _ => false,
        }
    }

    /// The next request, now that the stream has room for it.
    pub(crate) fn poll_request(&mut self, now: Instant) -> Option<Request> {
        match &mut self.phase {
            ReportPhase::Open(open) => open.poll_request(now),
            ReportPhase::Leaving { instructions, until } => {
                let request = Request::Load(instructions.wanted.clone());
                self.phase = ReportPhase::Closing { until: *until };
                Some(request)
            }
            _ => None,
        }
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            _ if self.is_done() => None,
            ReportPhase::Waiting { until }
            | ReportPhase::Leaving { until, .. }
            | ReportPhase::Closing { until } => Some(*until),
            ReportPhase::Open(Open { next, due: false, .. }) => *next,
            _ => None,
        }
    }

    /// The deadline has passed.
    pub(crate) fn on_deadline(&mut self, now: Instant) {
        match &mut self.phase {
            ReportPhase::Waiting { until } if *until <= now => self.phase = ReportPhase::Idle,
            ReportPhase::Leaving { until, .. } | ReportPhase::Closing { until } if *until <= now => {
                self.phase = if self.in_use { ReportPhase::Idle } else { ReportPhase::Done };
            }
            ReportPhase::Open(open) => open.due |= open.next.is_some_and(|next| next <= now),
            _ => {}
        }
    }
}

impl Open {
    fn new(now: Instant) -> Self {
        Self { since: now, node_sent: false, instructions: None, next: None, due: false }
    }

    /// A stream that reports.
    fn reporting(now: Instant, instructions: Instructions) -> Self {
        let mut open = Self { node_sent: true, ..Self::new(now) };
        open.instruct(now, instructions);
        open
    }

    fn instruct(&mut self, now: Instant, instructions: Instructions) {
        let interval = Some(instructions.interval);
        if self.instructions.as_ref().map(|known| known.interval) != interval {
            self.next = now.checked_add(instructions.interval);
        }
        self.instructions = Some(instructions);
    }

    fn poll_request(&mut self, now: Instant) -> Option<Request> {
        // TR-65
        if !std::mem::replace(&mut self.node_sent, true) {
            return Some(Request::Node);
        }
        let instructions = self.instructions.as_ref().filter(|_| self.due)?;
        (self.due, self.next) = (false, now.checked_add(instructions.interval));
        Some(Request::Load(instructions.wanted.clone()))
    }
}

/// How long a last report may take.
const LAST_REPORT_TIMEOUT: Duration = Duration::from_secs(1);
