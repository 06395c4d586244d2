//! Borders inside a crate that words cannot draw, because they depend on what a name means.

use std::collections::BTreeSet;

use syn::visit_mut::VisitMut;
use syn::{Item, Path};

use super::Violation;
use crate::Failure;
use crate::syntax::{Crate, ModuleId, Scopes, Target};
use crate::workspace::File;

/// The crate of both modules.
const CRATE: &str = "mesh-core";
/// The module that imports.
const FROM: &str = "config";
/// The module of which only traits may be imported: a configuration holds filters, and does not know which ones exist.
const TO: &str = "filter";

/// Finds the filters that `config` names.
///
/// # Errors
/// When the crate cannot be parsed.
pub(super) fn inspect(sources: &[File]) -> Result<Vec<Violation>, Failure> {
    let krate = Crate::parse(CRATE, sources)?;
    let scopes = Scopes::new(&krate);
    let mut found = Vec::new();
    for (id, module) in krate.modules.iter().enumerate() {
        if module.path.first().is_none_or(|first| first != FROM) {
            continue;
        }
        let mut named = Named::default();
        module.items.iter().for_each(|item| named.visit_item_mut(&mut item.clone()));
        named.0.extend(scopes.imports(id).iter().map(|import| import.path.clone()));
        let concrete: BTreeSet<String> =
            named.0.iter().filter_map(|path| concrete(&krate, &scopes, id, path)).collect();
        for name in concrete {
            let text = format!("names {name}; {FROM} may import the traits of {TO} and nothing else of it");
            found.push(Violation::new(&format!("{CRATE}/src/{}", module.path.join("/")), 0, text));
        }
    }
    Ok(found)
}

/// The full path of the name, if it is an item of `TO` other than a trait.
fn concrete(krate: &Crate, scopes: &Scopes<'_>, module: ModuleId, path: &[String]) -> Option<String> {
    let (of, name) = match scopes.resolve(module, path)?.0 {
        Target::Item(of, name) => (of, Some(name)),
        Target::Module(of) => (of, None),
        Target::Foreign(_) => return None,
    };
    let is_there = krate.modules[of].path.first().is_some_and(|first| first == TO);
    let is_trait = name.as_deref().is_some_and(|name| matches!(scopes.item(of, name), Some(Item::Trait(_))));
    (is_there && !is_trait)
        .then(|| krate.modules[of].path.iter().cloned().chain(name).collect::<Vec<_>>().join("::"))
}

/// Collects every path.
#[derive(Default)]
struct Named(BTreeSet<Vec<String>>);

impl VisitMut for Named {
    fn visit_path_mut(&mut self, path: &mut Path) {
        self.0.insert(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit_mut::visit_path_mut(self, path);
    }
}
