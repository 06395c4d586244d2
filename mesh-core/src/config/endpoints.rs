//! A locality's endpoints.

use std::fmt;

use crate::shared::SharedList;

use super::{Endpoint, Name};

/// A locality's endpoints, in order. Versions that differ little share the rest.
///
/// Make it from a `Vec` when all endpoints come at once; or let it grow with [`with`](Self::with) when each has a name
/// of its own under which it changes, as the members of an endpoint collection do. Endpoints without a name come first
/// and keep their order; named ones follow in the order of their names, wherever they were inserted.
///
/// An address may occur twice. The first endpoint that has it counts, the others are ignored; every update then looks at
/// all endpoints, which is cheap but not free.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Endpoints(SharedList<Member>);

/// An endpoint, with its name if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    name: Option<Name>,
    pub(crate) endpoint: Endpoint,
}

impl Endpoints {
    /// Named endpoints. Of two with the same name the later one counts.
    pub fn named(members: impl IntoIterator<Item = (Name, Endpoint)>) -> Self {
        let mut members: Vec<_> =
            members.into_iter().map(|(name, endpoint)| Member { name: Some(name), endpoint }).collect();
        // The sort is stable, so the later one of equals comes first in the reversed order, and stays.
        members.reverse();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members.dedup_by(|later, first| later.name == first.name);
        Self(members.into_iter().collect())
    }

    /// The same with another endpoint of this name, or without one: inserts, replaces or removes.
    ///
    /// Costs a copy of about 24 pointers on each of a few levels. Without a difference it is the same version.
    #[must_use]
    pub fn with(&self, name: &Name, endpoint: Option<Endpoint>) -> Self {
        let at = self.place(name);
        let known = self.0.get(at).filter(|member| member.name.as_ref() == Some(name));
        let member = endpoint.map(|endpoint| Member { name: Some(name.clone()), endpoint });
        match (known, member) {
            (None, None) => self.clone(),
            (Some(known), Some(member)) if *known == member => self.clone(),
            (Some(_), Some(member)) => Self(self.0.with_replaced(at, member)),
            (None, Some(member)) => Self(self.0.with_inserted(at, member)),
            (Some(_), None) => Self(self.0.without(at)),
        }
    }

    /// The endpoint of this name.
    pub fn get(&self, name: &str) -> Option<&Endpoint> {
        let member = self.0.get(self.place(name))?;
        (member.name.as_deref() == Some(name)).then_some(&member.endpoint)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All endpoints, in order.
    pub fn iter(&self) -> EndpointsIter<'_> {
        EndpointsIter(self.0.iter())
    }

    /// What versions share.
    pub(crate) fn members(&self) -> &SharedList<Member> {
        &self.0
    }

    /// Where the name is, or would be.
    fn place(&self, name: &str) -> usize {
        self.0.partition_point(|member| member.name.as_deref() < Some(name))
    }
}

impl From<Vec<Endpoint>> for Endpoints {
    fn from(endpoints: Vec<Endpoint>) -> Self {
        endpoints.into_iter().collect()
    }
}

impl FromIterator<Endpoint> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Endpoint>>(endpoints: I) -> Self {
        Self(endpoints.into_iter().map(|endpoint| Member { name: None, endpoint }).collect())
    }
}

impl<'a> IntoIterator for &'a Endpoints {
    type Item = &'a Endpoint;
    type IntoIter = EndpointsIter<'a>;

    fn into_iter(self) -> EndpointsIter<'a> {
        self.iter()
    }
}

/// All endpoints of an [`Endpoints`], in order.
#[derive(Debug)]
pub struct EndpointsIter<'a>(crate::shared::Iter<'a, Member>);

impl<'a> Iterator for EndpointsIter<'a> {
    type Item = &'a Endpoint;

    fn next(&mut self) -> Option<&'a Endpoint> {
        self.0.next().map(|member| &member.endpoint)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for EndpointsIter<'_> {}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn endpoint(port: u16) -> Endpoint {
        Endpoint::new(([10, 0, 0, 1], port).into())
    }

    fn ports(endpoints: &Endpoints) -> Vec<u16> {
        endpoints.iter().map(|endpoint| endpoint.addresses.first().port()).collect()
    }

    #[test]
    fn endpoints_without_names_stay_where_they_are_and_come_first() {
        let plain = Endpoints::from(vec![endpoint(3), endpoint(1), endpoint(2)]);
        assert_eq!(ports(&plain), [3, 1, 2]);
        let more = plain.with(&"b".into(), Some(endpoint(8))).with(&"a".into(), Some(endpoint(9)));
        assert_eq!(ports(&more), [3, 1, 2, 9, 8]);
        assert_eq!(more.with(&"a".into(), None).with(&"b".into(), None), plain);
        assert_eq!(plain.get("a"), None);
    }

    #[test]
    fn address_may_occur_twice_and_of_equal_names_the_later_counts() {
        let members = [("b", 1), ("a", 1), ("b", 2), ("b", 3)];
        let endpoints = Endpoints::named(members.map(|(name, port)| (name.into(), endpoint(port))));
        assert_eq!(ports(&endpoints), [1, 3]);
        assert_eq!(endpoints.get("b"), Some(&endpoint(3)));
        assert_eq!(ports(&endpoints.with(&"c".into(), Some(endpoint(1)))), [1, 3, 1]);
    }

    #[test]
    fn edit_without_change_keeps_the_version() {
        let names = (0..1_000_u16).map(|port| (format!("{port:04}").into(), endpoint(port)));
        let old = Endpoints::named(names);
        for (name, value) in [("0500", Some(endpoint(500))), ("none", None)] {
            assert!(old.with(&name.into(), value).0.is_same(&old.0), "{name}");
        }
        let new = old.with(&"0500".into(), Some(endpoint(7_000)));
        let changes = SharedList::changes(&old.0, &new.0);
        let ports = |members: &[&Member]| -> Vec<u16> {
            members.iter().map(|member| member.endpoint.addresses.first().port()).collect()
        };
        assert_eq!((ports(&changes.removed), ports(&changes.added)), (vec![500], vec![7_000]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn named_endpoints_equal_a_map_after_edits(
            begin in prop::collection::btree_map(0_u16..2_000, 0_u16..9, 0..400),
            edits in prop::collection::vec((0_u16..2_000, prop::option::of(0_u16..9)), 0..300),
        ) {
            let name = |number: u16| Name::from(format!("member-{number}"));
            let mut map: BTreeMap<Name, u16> =
                begin.into_iter().map(|(number, port)| (name(number), port)).collect();
            let mut endpoints = Endpoints::named(map.iter().map(|(name, port)| (name.clone(), endpoint(*port))));
            for (number, port) in edits {
                endpoints = endpoints.with(&name(number), port.map(endpoint));
                match port {
                    Some(port) => map.insert(name(number), port),
                    None => map.remove(&name(number)),
                };
            }
            prop_assert_eq!(ports(&endpoints), map.values().copied().collect::<Vec<_>>());
            prop_assert_eq!(endpoints.len(), map.len());
            for (name, port) in &map {
                prop_assert_eq!(endpoints.get(name), Some(&endpoint(*port)));
            }
        }
    }
}
