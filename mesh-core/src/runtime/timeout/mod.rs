//! A call's deadline: fixed at its start, over all attempts, until the last byte of its response (RT-35).

mod timer;

pub(crate) use timer::Timer;
