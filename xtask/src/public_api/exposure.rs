//! The path under which a user of the crate names an item.

use std::collections::BTreeMap;

use syn::{Item, Visibility};

use crate::syntax::{Crate, Import, ModuleId, ROOT, Scopes, Target, name};

/// Everything that a user of the crate can name.
#[derive(Debug, Default)]
pub(super) struct Exposure {
    /// Path of each public module.
    pub(super) modules: Vec<String>,
    /// The public path of each item, by the module that defines it and its name there.
    pub(super) items: BTreeMap<(ModuleId, String), String>,
    /// Re-exports: their paths, and the path or foreign item that each leads to.
    pub(super) further: BTreeMap<String, Vec<String>>,
}

impl Exposure {
    pub(super) fn of(krate: &Crate, scopes: &Scopes<'_>) -> Self {
        let mut exposure = Self::default();
        // An item that is public where it is defined has that path; re-exports of it are further ones.
        exposure.walk(krate, ROOT, &[]);
        for id in 0..krate.modules.len() {
            if krate.with_ancestors(id).all(|module| module.is_public) {
                exposure.re_exports(krate, scopes, id, &krate.modules[id].path);
            }
        }
        exposure
    }

    /// Public items of public modules, below `path`.
    fn walk(&mut self, krate: &Crate, id: ModuleId, path: &[String]) {
        let module = &krate.modules[id];
        for item in module.items.iter().filter(|item| is_public(item)) {
            if let Some(name) = name(item) {
                let public = joined(path, &name);
                self.items.entry((id, name)).or_insert(public);
            }
        }
        for (name, child) in &module.children {
            if krate.modules[*child].is_public {
                let below: Vec<_> = path.iter().chain([name]).cloned().collect();
                self.modules.push(below.join("::"));
                self.walk(krate, *child, &below);
            }
        }
    }

    /// What the public imports of a module make public, below `path`.
    fn re_exports(&mut self, krate: &Crate, scopes: &Scopes<'_>, module: ModuleId, path: &[String]) {
        for import in scopes.imports(module).iter().filter(|import| import.is_public) {
            self.re_export(krate, scopes, module, path, import);
        }
    }

    fn re_export(
        &mut self,
        krate: &Crate,
        scopes: &Scopes<'_>,
        module: ModuleId,
        path: &[String],
        import: &Import,
    ) {
        let Some((target, _)) = scopes.resolve(module, &import.path) else {
            let leads_to = import.path.clone();
            self.further.insert(joined(path, import.name.as_deref().unwrap_or("*")), leads_to);
            return;
        };
        match (target, &import.name) {
            (Target::Item(of, item), Some(name)) => self.item(of, item, joined(path, name)),
            (Target::Module(of), Some(name)) => {
                let below: Vec<_> = path.iter().chain([name]).cloned().collect();
                if krate.with_ancestors(of).all(|module| module.is_public) {
                    self.further.insert(below.join("::"), krate.modules[of].path.clone());
                } else {
                    self.modules.push(below.join("::"));
                    self.walk(krate, of, &below);
                    self.re_exports(krate, scopes, of, &below);
                }
            }
            (Target::Module(of), None) => {
                for item in krate.modules[of].items.iter().filter(|item| is_public(item)) {
                    if let Some(name) = name(item) {
                        let public = joined(path, &name);
                        self.item(of, name, public);
                    }
                }
                self.re_exports(krate, scopes, of, path);
            }
            (Target::Foreign(full), name) => {
                self.further.insert(joined(path, name.as_deref().unwrap_or("*")), full);
            }
            (Target::Item(..), None) => {}
        }
    }

    fn item(&mut self, of: ModuleId, item: String, public: String) {
        let known = self.items.entry((of, item)).or_insert_with(|| public.clone());
        if *known != public {
            let leads_to = known.split("::").map(str::to_owned).collect();
            self.further.insert(public, leads_to);
        }
    }
}

fn joined(path: &[String], name: &str) -> String {
    path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join("::")
}

fn is_public(item: &Item) -> bool {
    let visibility = match item {
        Item::Const(item) => &item.vis,
        Item::Enum(item) => &item.vis,
        Item::Fn(item) => &item.vis,
        Item::Static(item) => &item.vis,
        Item::Struct(item) => &item.vis,
        Item::Trait(item) => &item.vis,
        Item::Type(item) => &item.vis,
        _ => return false,
    };
    matches!(visibility, Visibility::Public(_))
}
