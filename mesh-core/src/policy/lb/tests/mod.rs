//! Balancers on virtual time.

pub(super) mod driver;
mod drops;
mod leaves;
mod localities;
mod names;
mod pick_first;
mod priorities;
mod ring_hash;
mod simulation;
mod spread;
