//! Conformance tables of routing, and the equality of the table and a linear scan.

mod clusters;
mod conditions;
mod hashes;
mod linear;
mod rows;
