//! Classes of clients: which objects count for a client, by its namespace and labels.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::resources::ScopeSelector;

/// Labels that a client may have.
pub(super) type Labels = BTreeMap<String, String>;

/// The clients of a class: of a namespace, or of any that no other class names; with labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Viewer {
    /// `None`: a namespace that no object names, or none.
    pub(super) namespace: Option<Arc<str>>,
    /// The conditions on labels that hold.
    held: Vec<Labels>,
}

impl Viewer {
    pub(super) fn of_namespace(namespace: &str) -> Self {
        Self { namespace: Some(namespace.into()), held: Vec::new() }
    }

    pub(super) fn is_of(&self, namespace: &str) -> bool {
        self.namespace.as_deref() == Some(namespace)
    }

    /// Whether an object of `namespace` with this `exportTo` counts.
    pub(super) fn sees(&self, export_to: &[String], namespace: &str) -> bool {
        match Export::of(export_to) {
            Export::Public => true,
            Export::Listed => export_to.iter().any(|one| match one.as_str() {
                "." => self.is_of(namespace),
                one => self.is_of(one),
            }),
        }
    }

    /// Whether a condition on labels holds.
    pub(super) fn has(&self, labels: &Labels) -> bool {
        let is_held =
            |(name, value): (&String, &String)| self.held.iter().any(|held| held.get(name) == Some(value));
        labels.iter().all(is_held)
    }

    pub(super) fn selector(&self) -> ScopeSelector {
        let labels = self.held.iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
        ScopeSelector {
            namespace: self.namespace.clone(),
            labels: labels.collect(),
            ..ScopeSelector::default()
        }
    }
}

/// The meaning of `exportTo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Export {
    /// Every namespace.
    Public,
    /// The namespaces in the list, `.` for the object's own.
    Listed,
}

impl Export {
    pub(super) fn of(export_to: &[String]) -> Self {
        if export_to.is_empty() || export_to.iter().any(|one| one == "*") {
            Self::Public
        } else {
            Self::Listed
        }
    }
}

/// What tells the clients of one service apart.
#[derive(Debug, Default)]
pub(super) struct Distinctions {
    namespaces: BTreeSet<String>,
    labels: BTreeSet<Labels>,
}

impl Distinctions {
    pub(super) fn namespace(&mut self, namespace: &str) {
        if !namespace.is_empty() && !self.namespaces.contains(namespace) {
            self.namespaces.insert(namespace.to_owned());
        }
    }

    /// The namespaces of an `exportTo` that is not for everyone.
    pub(super) fn export(&mut self, export_to: &[String], namespace: &str) {
        if Export::of(export_to) == Export::Listed {
            for one in export_to.iter().filter(|one| *one != "~") {
                self.namespace(if one == "." { namespace } else { one });
            }
        }
    }

    pub(super) fn labels(&mut self, labels: &Labels) {
        if !labels.is_empty() {
            self.labels.insert(labels.clone());
        }
    }

    /// How many conditions on labels are not told apart, because there are too many.
    pub(super) fn overflow(&self) -> usize {
        self.labels.len().saturating_sub(MAX_LABELS)
    }

    /// All classes in the order in which their selectors are tried: the first one that selects a client is its class. The
    /// last one is everybody else.
    pub(super) fn viewers(&self) -> Vec<Viewer> {
        let labels: Vec<&Labels> = self.labels.iter().take(MAX_LABELS).collect();
        let mut sets: Vec<Vec<Labels>> = (0..1_usize << labels.len())
            .map(|set| {
                let chosen = labels.iter().enumerate().filter(|(place, _)| set & (1 << place) != 0);
                chosen.map(|(_, labels)| (*labels).clone()).collect()
            })
            .collect();
        sets.retain(|held: &Vec<Labels>| !is_contradictory(held));
        // More conditions first: the first set whose conditions all hold is the set of all conditions that hold.
        sets.sort_by_key(|held| std::cmp::Reverse(held.len()));
        let namespaces = self.namespaces.iter().map(|namespace| Some(Arc::from(namespace.as_str())));
        let class = |namespace: &Option<Arc<str>>| {
            let namespace = namespace.clone();
            sets.iter().map(move |held| Viewer { namespace: namespace.clone(), held: held.clone() }).collect()
        };
        namespaces.chain([None]).flat_map(|namespace| -> Vec<Viewer> { class(&namespace) }).collect()
    }
}

/// Whether no client can have all of these labels.
fn is_contradictory(held: &[Labels]) -> bool {
    let mut all = Labels::new();
    held.iter()
        .flatten()
        .any(|(name, value)| all.insert(name.clone(), value.clone()).is_some_and(|before| before != *value))
}

/// Every condition doubles the classes of clients.
const MAX_LABELS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::ClientScope;

    fn labels(text: &str) -> Labels {
        let pairs = text.split(' ').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn client_belongs_to_the_class_of_all_its_conditions() {
        let mut distinctions = Distinctions::default();
        for text in ["app=web", "app=db", "app=web tier=1", "canary=yes"] {
            distinctions.labels(&labels(text));
        }
        distinctions.namespace("qa");
        let viewers = distinctions.viewers();
        let rows = [
            ("shop", "app=web", vec!["app=web"]),
            ("shop", "app=web tier=1 x=y", vec!["app=web", "app=web tier=1"]),
            ("qa", "app=db canary=yes", vec!["app=db", "canary=yes"]),
            ("", "", vec![]),
        ];
        for (namespace, client, expected) in rows {
            let scope = ClientScope {
                namespace: Some(namespace.to_owned()),
                labels: labels(client),
                ..ClientScope::default()
            };
            let viewer = viewers.iter().find(|viewer| viewer.selector().selects(&scope)).unwrap();
            assert_eq!(viewer.held, expected.into_iter().map(labels).collect::<Vec<_>>(), "{client}");
            assert_eq!(viewer.is_of("qa"), namespace == "qa");
        }
    }

    #[test]
    fn export_to_names_namespaces() {
        let rows: [(&[&str], bool, bool); 5] = [
            (&[], true, true),
            (&["*"], true, true),
            (&["."], true, false),
            (&["qa"], false, true),
            (&["~"], false, false),
        ];
        for (export_to, own, other) in rows {
            let export_to: Vec<String> = export_to.iter().map(|one| (*one).to_owned()).collect();
            let sees = |namespace| Viewer::of_namespace(namespace).sees(&export_to, "shop");
            assert_eq!([sees("shop"), sees("qa")], [own, other], "{export_to:?}");
        }
    }
}
