//! Conflicts: of several objects that are for the same host, one takes effect and the others are reported.

use crate::kinds::{Object, ObjectId, Seniority};

/// The order in which objects claim hosts: by their place. A time that stands in an object decides nothing, because its
/// author can write any.
pub(super) type Precedence<'a> = (Seniority<'a>, &'a str, &'a str);

/// The place of an object in that order.
pub(super) fn precedence(object: &Object) -> Precedence<'_> {
    (object.origin.seniority(), &object.id.namespace, &object.id.name)
}

/// Reports to the object without effect which other one has taken its place, as in "routes this host already".
pub(super) fn conflict(winner: &ObjectId, does: &str) -> String {
    format!("Conflicted: {winner} {does}")
}
