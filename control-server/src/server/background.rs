//! Background tasks.

use std::collections::HashMap;

use tokio::task::{self, JoinSet};

use super::error::RunError;

/// Tasks that should never end, by name. Dropping it ends them.
#[derive(Debug, Default)]
pub(super) struct Background {
    tasks: JoinSet<()>,
    names: HashMap<task::Id, &'static str>,
}

impl Background {
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Waits until a task ends; for ever without tasks.
    pub(super) async fn ended(&mut self) -> RunError {
        let (id, panic) = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => (id, None),
            Some(Err(error)) => (error.id(), Some(error.to_string())),
            None => return std::future::pending().await,
        };
        let task = self.names.remove(&id).unwrap_or("unnamed");
        match panic {
            Some(reason) => RunError::BackgroundPanicked { task, reason },
            None => RunError::BackgroundEnded { task },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a task beside one that goes on.
    async fn said(task: impl Future<Output = ()> + Send + 'static) -> String {
        let mut background = Background::default();
        background.spawn("one that goes on", std::future::pending());
        background.spawn("the other one", task);
        background.ended().await.to_string()
    }

    #[tokio::test]
    async fn task_that_ends_is_named() {
        let text = said(std::future::ready(())).await;
        assert!(text.contains("\"the other one\" has ended"), "{text}");
        let text = said(async { panic!("a fault") }).await;
        assert!(text.contains("\"the other one\" has panicked") && text.contains("a fault"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn background_reports_nothing_while_all_tasks_run() {
        let hour = std::time::Duration::from_secs(3600);
        let mut background = Background::default();
        tokio::time::timeout(hour, background.ended()).await.unwrap_err();
        background.spawn("one that goes on", std::future::pending());
        tokio::time::timeout(hour, background.ended()).await.unwrap_err();
    }
}
