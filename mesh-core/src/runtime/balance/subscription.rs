//! A cluster's subscription to a subchannel.

use std::sync::Arc;

use crate::runtime::connect::Connect;

use super::mailbox::{Event, Mailbox, Status, SubscriptionId};
use super::subchannel::Subchannel;

/// A cluster's subscription to a connection. Dropping the last one closes the connection; running calls finish on it.
pub(super) struct Subscription<C: Connect> {
    subchannel: Arc<Subchannel<C>>,
    mailbox: Arc<Mailbox<C::Connection>>,
    subscription_id: SubscriptionId,
}

impl<C: Connect> Subscription<C> {
    pub(super) fn new(
        subchannel: Arc<Subchannel<C>>,
        mailbox: Arc<Mailbox<C::Connection>>,
        subscription_id: SubscriptionId,
    ) -> Self {
        Self { subchannel, mailbox, subscription_id }
    }

    pub(super) fn id(&self) -> SubscriptionId {
        self.subscription_id
    }
}

impl<C: Connect> Drop for Subscription<C> {
    fn drop(&mut self) {
        self.subchannel.unsubscribe(&self.mailbox, self.subscription_id);
    }
}

/// The subchannel's side of a subscription: sends the subchannel's state to the cluster's task.
pub(super) struct Watcher<T> {
    mailbox: Arc<Mailbox<T>>,
    subscription_id: SubscriptionId,
}

impl<T> Watcher<T> {
    pub(super) fn new(mailbox: Arc<Mailbox<T>>, subscription_id: SubscriptionId) -> Self {
        Self { mailbox, subscription_id }
    }

    /// Whether it belongs to this subscription of the cluster with this mailbox.
    pub(super) fn is(&self, mailbox: &Arc<Mailbox<T>>, subscription_id: SubscriptionId) -> bool {
        self.subscription_id == subscription_id && Arc::ptr_eq(&self.mailbox, mailbox)
    }

    pub(super) fn tell(&self, status: Status<T>) {
        self.mailbox.push(Event::Subchannel(self.subscription_id, status));
    }
}
