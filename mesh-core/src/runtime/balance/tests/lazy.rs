//! A balancer that connects nothing by itself and keeps one connection.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;

use crate::policy::lb::{Balancer, Command, Connectivity, EndpointId, LbUpdate, Pick, PickContext, Picker};

/// Connects no endpoint by itself; the endpoint that became ready last takes all calls, the one before is disconnected.
#[derive(Debug, Default)]
pub(super) struct Lazy {
    chosen: Option<EndpointId>,
    commands: Vec<Command>,
    changed: bool,
}

impl Lazy {
    pub(super) fn boxed() -> Box<dyn Balancer> {
        Box::new(Self::default())
    }
}

impl Balancer for Lazy {
    fn update(&mut self, _now: Instant, _update: LbUpdate, _rng: &mut dyn Rng) {
        self.changed = true;
    }

    fn on_connectivity(&mut self, _now: Instant, id: EndpointId, state: Connectivity, _rng: &mut dyn Rng) {
        match state {
            Connectivity::Ready => {
                self.commands.extend(self.chosen.replace(id).map(Command::Disconnect));
                self.changed = true;
            }
            _ if self.chosen == Some(id) => {
                self.chosen = None;
                self.changed = true;
            }
            _ => {}
        }
    }

    fn exit_idle(&mut self, _now: Instant, _rng: &mut dyn Rng) {
        self.commands.push(Command::Connect(EndpointId(0)));
    }

    fn connectivity(&self) -> Connectivity {
        match self.chosen {
            Some(_) => Connectivity::Ready,
            None => Connectivity::Idle,
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant, _rng: &mut dyn Rng) {}

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop()
    }

    fn poll_picker(&mut self) -> Option<(Connectivity, Arc<dyn Picker>)> {
        let picker: Arc<dyn Picker> = Arc::new(Chosen(self.chosen));
        std::mem::take(&mut self.changed).then(|| (self.connectivity(), picker))
    }
}

#[derive(Debug)]
struct Chosen(Option<EndpointId>);

impl Picker for Chosen {
    fn pick(&self, _context: &PickContext<'_>, _rng: &mut dyn Rng) -> Pick {
        self.0.map_or(Pick::Wait(None), Pick::Endpoint)
    }
}
