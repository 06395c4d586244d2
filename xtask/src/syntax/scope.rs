//! The meaning of a name in a module.

use std::collections::BTreeMap;

use syn::{Item, UseTree, Visibility};

use super::tree::{Crate, Module, ModuleId, ROOT};

/// How many imports may lead to one another.
const MAX_DEPTH: usize = 32;

/// Names of the language.
const PRIMITIVES: &[&str] = &[
    "bool", "char", "str", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128",
    "isize", "f32", "f64",
];

/// Names of the standard prelude.
const PRELUDE: &[&str] = &[
    "Self",
    "Option",
    "Some",
    "None",
    "Result",
    "Ok",
    "Err",
    "Vec",
    "String",
    "Box",
    "ToOwned",
    "ToString",
    "Clone",
    "Copy",
    "Send",
    "Sync",
    "Sized",
    "Drop",
    "Fn",
    "FnMut",
    "FnOnce",
    "AsyncFn",
    "AsyncFnMut",
    "AsyncFnOnce",
    "AsRef",
    "AsMut",
    "Into",
    "From",
    "TryFrom",
    "TryInto",
    "FromIterator",
    "Default",
    "Iterator",
    "IntoIterator",
    "Extend",
    "DoubleEndedIterator",
    "ExactSizeIterator",
    "Eq",
    "PartialEq",
    "Ord",
    "PartialOrd",
    "Unpin",
    "Future",
    "IntoFuture",
];

/// The thing that a path begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An item of this crate.
    Item(ModuleId, String),
    /// A module of this crate.
    Module(ModuleId),
    /// Something of another crate, by its whole path.
    Foreign(Vec<String>),
}

/// One name of a `use` declaration.
#[derive(Debug, Clone)]
pub(crate) struct Import {
    /// `None` for `*`.
    pub(crate) name: Option<String>,
    pub(crate) path: Vec<String>,
    pub(crate) is_public: bool,
}

/// The names of every module.
pub(crate) struct Scopes<'a> {
    krate: &'a Crate,
    modules: Vec<Scope>,
}

#[derive(Default)]
struct Scope {
    items: BTreeMap<String, usize>,
    imports: Vec<Import>,
}

impl<'a> Scopes<'a> {
    pub(crate) fn new(krate: &'a Crate) -> Self {
        Self { krate, modules: krate.modules.iter().map(Scope::of).collect() }
    }

    /// The imports of a module.
    pub(crate) fn imports(&self, module: ModuleId) -> &[Import] {
        &self.modules[module].imports
    }

    /// The item of this name, if there is one.
    pub(crate) fn item(&self, module: ModuleId, name: &str) -> Option<&'a Item> {
        self.modules[module].items.get(name).map(|index| &self.krate.modules[module].items[*index])
    }

    /// The target of `path` in `module`, and how many of its segments name it: one in `Kind::Variant`. `None` for
    /// a name of the prelude or of a generic parameter.
    pub(crate) fn resolve(&self, module: ModuleId, path: &[String]) -> Option<(Target, usize)> {
        self.resolve_within(module, path, MAX_DEPTH)
    }

    fn resolve_within(&self, module: ModuleId, path: &[String], depth: usize) -> Option<(Target, usize)> {
        let depth = depth.checked_sub(1)?;
        let first = path.first()?;
        let begin = match first.as_str() {
            "crate" => Some(Target::Module(ROOT)),
            "self" => Some(Target::Module(module)),
            "super" => self.krate.modules[module].parent.map(Target::Module),
            name => self.lookup(module, name, depth),
        };
        let Some(mut target) = begin else {
            // The module does not have the name: it is a crate, or a parameter as in `B::Data`.
            let is_crate = path.len() > 1 && first.starts_with(|first: char| first.is_lowercase());
            return (is_crate && !PRELUDE.contains(&first.as_str()))
                .then(|| (Target::Foreign(path.to_vec()), path.len()));
        };
        for (index, segment) in path.iter().enumerate().skip(1) {
            target = match target {
                Target::Module(at) if segment == "super" => Target::Module(self.krate.modules[at].parent?),
                Target::Module(at) => self.lookup(at, segment, depth)?,
                Target::Foreign(mut full) => {
                    full.extend_from_slice(&path[index..]);
                    return Some((Target::Foreign(full), path.len()));
                }
                item @ Target::Item(..) => return Some((item, index)),
            };
        }
        Some((target, path.len()))
    }

    fn lookup(&self, module: ModuleId, name: &str, depth: usize) -> Option<Target> {
        let scope = &self.modules[module];
        if let Some(child) = self.krate.modules[module].children.get(name) {
            return Some(Target::Module(*child));
        }
        if scope.items.contains_key(name) {
            return Some(Target::Item(module, name.to_owned()));
        }
        if let Some(import) = scope.imports.iter().find(|import| import.name.as_deref() == Some(name)) {
            // `use http;` and `use rand::Rng;` begin with the name of a crate.
            let is_itself = import.path.first().is_some_and(|first| first == name);
            return match self.resolve_within(module, &import.path, depth) {
                _ if is_itself => Some(Target::Foreign(import.path.clone())),
                Some((target, _)) => Some(target),
                None => Some(Target::Foreign(import.path.clone())),
            };
        }
        let globs = scope.imports.iter().filter(|import| import.name.is_none());
        globs
            .filter_map(|glob| match self.resolve_within(module, &glob.path, depth)? {
                (Target::Module(of), _) if of != module => self.lookup(of, name, depth.checked_sub(1)?),
                _ => None,
            })
            .next()
    }
}

impl Scope {
    fn of(module: &Module) -> Self {
        let mut scope = Self::default();
        for (index, item) in module.items.iter().enumerate() {
            if let Item::Use(item) = item {
                let is_public = matches!(item.vis, Visibility::Public(_));
                flatten(&item.tree, &mut Vec::new(), is_public, &mut scope.imports);
            } else if let Some(name) = name(item) {
                scope.items.insert(name, index);
            }
        }
        scope
    }
}

/// The imports of a tree of uses.
fn flatten(tree: &UseTree, path: &mut Vec<String>, is_public: bool, imports: &mut Vec<Import>) {
    let mut import = |name: Option<String>, last: Option<String>| {
        let path: Vec<_> = path.iter().cloned().chain(last.filter(|last| last != "self")).collect();
        let name = name.map(|name| if name == "self" { path.last().cloned().unwrap_or(name) } else { name });
        imports.push(Import { name, path, is_public });
    };
    match tree {
        UseTree::Path(step) => {
            path.push(step.ident.to_string());
            flatten(&step.tree, path, is_public, imports);
            path.pop();
        }
        UseTree::Name(leaf) => import(Some(leaf.ident.to_string()), Some(leaf.ident.to_string())),
        UseTree::Rename(leaf) => import(Some(leaf.rename.to_string()), Some(leaf.ident.to_string())),
        UseTree::Glob(_) => import(None, None),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, path, is_public, imports);
            }
        }
    }
}

/// The name of an item that has one.
pub(crate) fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// Whether a name needs no import.
pub(crate) fn is_prelude(name: &str) -> bool {
    PRELUDE.contains(&name)
}

/// Whether a path of one name is part of the language, whatever else has the name.
pub(crate) fn is_primitive(name: &str) -> bool {
    PRIMITIVES.contains(&name)
}
