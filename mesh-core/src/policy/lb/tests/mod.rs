//! Balancers on virtual time.

pub(super) mod driver;
mod drops;
mod leaves;
mod localities;
mod names;
mod peak_ewma;
mod pick_first;
mod priorities;
mod reported_weights;
mod ring_hash;
mod simulation;
mod spread;
mod subsetting;
mod weighted;
mod weighted_least_request;
