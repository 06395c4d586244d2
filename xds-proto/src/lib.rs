#![doc = include_str!("../README.md")]

#[rustfmt::skip]
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::restriction,
    reason = "generated"
)]
mod generated;

use prost::{Message, Name};

pub use generated::{envoy, google, xds};

use google::protobuf::Any;

/// Packs a message with its type URL.
#[expect(clippy::needless_pass_by_value, reason = "callers build the message in the call")]
pub fn pack_any<M: Message + Name>(message: M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}
