//! A target's task: follows its configuration.

use std::sync::Arc;

use crate::runtime::connect::Connect;
use crate::runtime::{ConfigState, ConfigWatch};

use super::Compiler;
use super::handle::{Shared, State};

/// Follows a target's configuration and swaps in what it means.
pub(super) struct Follower<C: Connect> {
    watch: ConfigWatch,
    shared: Arc<Shared<C>>,
    compiler: Compiler<C>,
}

impl<C: Connect> Follower<C> {
    /// Takes in what the watch holds already.
    pub(super) fn new(watch: ConfigWatch, shared: Arc<Shared<C>>, compiler: Compiler<C>) -> Self {
        let mut follower = Self { watch, shared, compiler };
        follower.step();
        follower
    }

    pub(super) async fn run(mut self) {
        while self.watch.changed().await {
            self.step();
        }
        // the source is gone, and what it said last stays true
        std::future::pending::<()>().await;
    }

    fn step(&mut self) {
        let ConfigState { config, ambient } = self.watch.borrow_and_update();
        let context = &self.shared.context;
        context.set_ambient(ambient);
        match config {
            None => {}
            Some(Ok(config)) => {
                // RT-25: the clusters know of the change before any call can be routed by it
                if let Some(snapshot) = self.compiler.compile(&config, context) {
                    self.shared.state.store(Arc::new(State::Serving(snapshot)));
                }
            }
            Some(Err(error)) => {
                // RT-31
                self.shared.state.store(Arc::new(State::Failed(error)));
                self.compiler.forget();
            }
        }
        self.shared.news.send_replace(());
    }
}
