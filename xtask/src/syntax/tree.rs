//! A crate's modules, read from its sources.

use std::collections::BTreeMap;

use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Item, ItemMacro, Meta, Token, Type, Visibility, parse_quote};

use crate::Failure;
use crate::workspace::File;

/// Index of a module in [`Crate::modules`].
pub(crate) type ModuleId = usize;

/// The crate's first module.
pub(crate) const ROOT: ModuleId = 0;

/// A crate, parsed.
pub(crate) struct Crate {
    pub(crate) modules: Vec<Module>,
}

/// One module: its items except those that only tests see.
pub(crate) struct Module {
    /// From the root, without `crate`.
    pub(crate) path: Vec<String>,
    pub(crate) parent: Option<ModuleId>,
    pub(crate) is_public: bool,
    pub(crate) children: BTreeMap<String, ModuleId>,
    pub(crate) items: Vec<Item>,
}

impl Crate {
    /// Parses the library whose folder is `folder`, for example `mesh-core`.
    ///
    /// # Errors
    /// When a file is missing, does not parse, or hides items in a macro that is not known here.
    pub(crate) fn parse(folder: &str, files: &[File]) -> Result<Self, Failure> {
        let by_path: BTreeMap<&str, &str> =
            files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
        let mut reader = Reader { by_path, modules: Vec::new() };
        let root = format!("{folder}/src/lib.rs");
        let place = Place { path: Vec::new(), parent: None, is_public: true };
        reader.read_file(&root, &format!("{folder}/src"), place)?;
        Ok(Self { modules: reader.modules })
    }

    /// `id` and all modules around it.
    pub(crate) fn with_ancestors(&self, id: ModuleId) -> impl Iterator<Item = &Module> {
        std::iter::successors(Some(id), |id| self.modules[*id].parent).map(|id| &self.modules[id])
    }
}

/// Where a module stands among the others.
struct Place {
    path: Vec<String>,
    parent: Option<ModuleId>,
    is_public: bool,
}

struct Reader<'a> {
    by_path: BTreeMap<&'a str, &'a str>,
    modules: Vec<Module>,
}

impl Reader<'_> {
    fn read_file(&mut self, path: &str, folder: &str, place: Place) -> Result<ModuleId, Failure> {
        let text =
            self.by_path.get(path).ok_or_else(|| Failure::new(format!("{path}: there is no such file")))?;
        let parsed = syn::parse_file(text).map_err(|error| Failure::during(path, error))?;
        self.read_items(parsed.items, path, folder, place)
    }

    fn read_items(
        &mut self,
        items: Vec<Item>,
        file: &str,
        folder: &str,
        place: Place,
    ) -> Result<ModuleId, Failure> {
        let id = self.modules.len();
        let Place { path, parent, is_public } = place;
        let module = Module { path, parent, is_public, children: BTreeMap::new(), items: Vec::new() };
        self.modules.push(module);
        for item in items.into_iter().filter(|item| !is_for_tests(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let below = format!("{folder}/{name}");
                    let mut path = self.modules[id].path.clone();
                    path.push(name.clone());
                    let place = Place {
                        path,
                        parent: Some(id),
                        is_public: matches!(child.vis, Visibility::Public(_)),
                    };
                    let child_id = match child.content {
                        Some((_, items)) => self.read_items(items, file, &below, place)?,
                        None => {
                            let flat = format!("{below}.rs");
                            let exists = self.by_path.contains_key(flat.as_str());
                            let file = if exists { flat } else { format!("{below}/mod.rs") };
                            self.read_file(&file, &below, place)?
                        }
                    };
                    self.modules[id].children.insert(name, child_id);
                }
                Item::Macro(call) => {
                    let seen = inside(&call).map_err(|error| Failure::during(file, error))?;
                    self.modules[id].items.extend(seen);
                }
                item => self.modules[id].items.push(item),
            }
        }
        Ok(id)
    }
}

/// The items that a macro expands to, as far as they can be public.
fn inside(call: &ItemMacro) -> syn::Result<Vec<Item>> {
    let name = call.mac.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
    match name.as_str() {
        "pin_project" => Ok(syn::parse2::<syn::File>(call.mac.tokens.clone())?.items),
        "macro_rules" => Ok(vec![Item::Macro(call.clone())]),
        "thread_local" => Ok(Vec::new()),
        "debug_with_causes" => {
            let errors = Punctuated::<Type, Token![,]>::parse_terminated.parse2(call.mac.tokens.clone())?;
            Ok(errors.iter().map(|error| parse_quote!(impl ::std::fmt::Debug for #error {})).collect())
        }
        _ => Err(syn::Error::new_spanned(
            &call.mac.path,
            format!("the public surface cannot be read through `{name}!`; teach xtask/src/syntax/tree.rs"),
        )),
    }
}

/// The attributes of an item.
pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether only tests have it: under `cfg(test)`, or with the feature `testing`, of which nothing is promised.
pub(crate) fn is_for_tests(attributes: &[Attribute]) -> bool {
    conditions(attributes).any(|condition| {
        let is_for_testing = condition.contains("feature = \"testing\"") && !condition.contains("not(");
        condition == "test" || condition.starts_with("all(test,") || is_for_testing
    })
}

/// The condition of each `#[cfg(..)]`.
pub(crate) fn conditions(attributes: &[Attribute]) -> impl Iterator<Item = String> {
    attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => Some(super::text(&list.tokens)),
        _ => None,
    })
}
