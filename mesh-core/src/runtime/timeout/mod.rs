//! A call's deadline: fixed at its start, over all attempts, until the last byte of its response (RT-35).
//!
//! Before an attempt has an endpoint, a [`Timer`] in the call's own future is enough: the call is not in flight yet. From
//! then on [`Deadlines`] end it, even if it is not polled.

mod deadlines;
mod timed;
mod timer;

pub(crate) use deadlines::Deadlines;
pub(crate) use timed::{Overdue, Timed};
pub(crate) use timer::{TaskTimer, Timer};
