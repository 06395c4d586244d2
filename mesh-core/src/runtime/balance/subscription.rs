//! A cluster's subscription to a subchannel, and the subchannel's end of it.

use std::sync::Arc;

use crate::runtime::connect::Connect;

use super::mailbox::{Event, Mailbox, Status, Ticket};
use super::subchannel::Subchannel;

/// A cluster's subscription to a connection. Dropping the last one closes the connection; running calls finish on it.
pub(super) struct Subscription<C: Connect> {
    subchannel: Arc<Subchannel<C>>,
    mailbox: Arc<Mailbox<C::Connection>>,
    ticket: Ticket,
}

impl<C: Connect> Subscription<C> {
    pub(super) fn new(
        subchannel: Arc<Subchannel<C>>,
        mailbox: Arc<Mailbox<C::Connection>>,
        ticket: Ticket,
    ) -> Self {
        Self { subchannel, mailbox, ticket }
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }
}

impl<C: Connect> Drop for Subscription<C> {
    fn drop(&mut self) {
        self.subchannel.unsubscribe(&self.mailbox, self.ticket);
    }
}

/// A subchannel's end of a subscription: tells the cluster's task of the subchannel's state.
pub(super) struct Watcher<T> {
    mailbox: Arc<Mailbox<T>>,
    ticket: Ticket,
}

impl<T> Watcher<T> {
    pub(super) fn new(mailbox: Arc<Mailbox<T>>, ticket: Ticket) -> Self {
        Self { mailbox, ticket }
    }

    /// Whether it belongs to this subscription of the task with this mailbox.
    pub(super) fn is(&self, mailbox: &Arc<Mailbox<T>>, ticket: Ticket) -> bool {
        self.ticket == ticket && Arc::ptr_eq(&self.mailbox, mailbox)
    }

    pub(super) fn tell(&self, status: Status<T>) {
        self.mailbox.push(Event::Subchannel(self.ticket, status));
    }
}
