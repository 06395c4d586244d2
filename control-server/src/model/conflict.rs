//! Conflicts: of several objects that are for the same host, the oldest one takes effect and the others are reported.

use jiff::Timestamp;

use crate::kinds::{Object, ObjectId};

/// The order in which objects claim hosts: the older object first, one without a time last, then by namespace and name.
pub(super) type Precedence<'a> = (bool, Option<Timestamp>, &'a str, &'a str);

/// The place of an object in that order.
pub(super) fn precedence(object: &Object) -> Precedence<'_> {
    let created = object.metadata.created;
    (created.is_none(), created, &object.id.namespace, &object.id.name)
}

/// Brings objects into the order in which they claim hosts.
pub(super) fn sort_by_precedence<T>(all: &mut [T], object: impl Fn(&T) -> &Object) {
    all.sort_by(|left, right| precedence(object(left)).cmp(&precedence(object(right))));
}

/// Reports to the object without effect which other one has taken its place, as in "routes this host already".
pub(super) fn conflict(winner: &ObjectId, does: &str) -> String {
    format!("Conflicted: {winner} {does}")
}
