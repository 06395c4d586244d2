//! A target's task: applies its configurations.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::runtime::connect::Connect;
use crate::runtime::{ConfigState, ConfigWatch};

use super::Compiler;
use super::handle::{Shared, TargetState};
use super::log::ConfigLog;
use super::routes::Routes;

/// Compiles a target's configurations and publishes them to calls.
pub(super) struct Follower<C: Connect> {
    watch: ConfigWatch,
    shared: Arc<Shared<C>>,
    compiler: Compiler<C>,
    log: ConfigLog,
    /// The first state and its routes, if the state is large: making a channel does not wait for them.
    first: Option<(ConfigState, JoinHandle<Arc<Routes>>)>,
}

impl<C: Connect> Follower<C> {
    /// Applies a state that the watch already has, unless it is large.
    pub(super) fn new(watch: ConfigWatch, shared: Arc<Shared<C>>, compiler: Compiler<C>) -> Self {
        let mut follower = Self { watch, shared, compiler, log: ConfigLog::default(), first: None };
        let state = follower.watch.borrow_and_update();
        match follower.prepare(&state) {
            None => follower.take_in(state, None),
            Some(routes) => follower.first = Some((state, routes)),
        }
        follower
    }

    pub(super) async fn run(mut self) {
        if let Some((state, routes)) = self.first.take() {
            self.take_in(state, routes.await.ok());
        }
        loop {
            tokio::select! {
                is_there = self.watch.changed() => {
                    if !is_there {
                        break;
                    }
                    self.step().await;
                }
                () = sleep_until(self.log.next_deadline()) => {
                    self.log.write(Instant::now(), &self.shared.context.target);
                }
            }
        }
        // the source has ended, and its last state stays in force
        sleep_until(self.log.next_deadline()).await;
        self.log.write(Instant::now(), &self.shared.context.target);
        std::future::pending::<()>().await;
    }

    async fn step(&mut self) {
        let state = self.watch.borrow_and_update();
        // `None` also if the runtime is shutting down: then the routes are compiled here.
        let routes = match self.prepare(&state) {
            Some(routes) => routes.await.ok(),
            None => None,
        };
        self.take_in(state, routes);
    }

    fn prepare(&self, state: &ConfigState) -> Option<JoinHandle<Arc<Routes>>> {
        match &state.config {
            Some(Ok(config)) => self.compiler.prepare(config, &self.shared.context),
            _ => None,
        }
    }

    fn take_in(&mut self, state: ConfigState, routes: Option<Arc<Routes>>) {
        let ConfigState { config, ambient } = state;
        let context = &self.shared.context;
        // Without a configuration every error has the source's error.
        let failure = config.as_ref().and_then(|config| config.as_ref().err().cloned());
        context.set_ambient(ambient.or(failure));
        match config {
            None => {}
            Some(Ok(config)) => {
                // RT-25: clusters are updated before calls are routed by the new snapshot
                if let Some(snapshot) = self.compiler.compile(&config, context, routes) {
                    self.shared.state.store(Arc::new(TargetState::Serving(snapshot)));
                }
                self.log.on_config(Instant::now(), &context.target, &config);
            }
            Some(Err(error)) => {
                self.log.on_failure(&context.target, &error);
                // RT-31
                self.shared.state.store(Arc::new(TargetState::Failed(error)));
                self.compiler.forget();
            }
        }
        self.shared.changes.send_replace(());
    }
}

/// Completes at the deadline; never, without one.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
