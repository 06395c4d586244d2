//! The listing: one block for each public path, with a line for each part of the item that a user can see.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Attribute, Generics, Item, ItemImpl, Meta, Type};

use super::exposure::Exposure;
use super::member;
use super::printer::{Printer, Seen};
use crate::syntax::{self, Crate, ModuleId, Scopes, Target, attributes, conditions};

/// A crate's public surface.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// By public path.
    pub(super) blocks: BTreeMap<String, Block>,
}

/// One public path.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// The item: `struct config::Cluster`.
    pub(super) head: String,
    /// The generics of its head, without defaults: an `impl` for all of them repeats these.
    generics: String,
    /// Fields, variants, methods, implementations.
    pub(super) lines: BTreeSet<String>,
    /// Paths of other crates in its signatures.
    pub(super) foreign: BTreeSet<String>,
    /// Names that could not be followed.
    pub(super) unknown: BTreeSet<String>,
}

impl Block {
    fn take(&mut self, seen: Seen) {
        self.foreign.extend(seen.foreign);
        self.unknown.extend(seen.unknown);
    }
}

impl Listing {
    pub(super) fn of(krate: &Crate) -> Self {
        let scopes = Scopes::new(krate);
        let exposure = Exposure::of(krate, &scopes);
        let mut listing = Self::default();
        for path in &exposure.modules {
            let head = format!("mod {path}");
            listing.blocks.insert(path.clone(), Block { head, ..Block::default() });
        }
        for (path, leads_to) in &exposure.further {
            let target = leads_to.join("::");
            let head = format!("use {path} = {target}");
            let foreign = BTreeSet::from_iter((!is_local(&exposure, &target)).then_some(target));
            listing.blocks.insert(path.clone(), Block { head, foreign, ..Block::default() });
        }
        for ((module, name), path) in &exposure.items {
            if let Some(item) = scopes.item(*module, name) {
                let printer = Printer::new(krate, &scopes, &exposure, *module);
                listing.blocks.insert(path.clone(), block(item, path, printer));
            }
        }
        for module in 0..krate.modules.len() {
            for item in &krate.modules[module].items {
                if let Item::Impl(item) = item {
                    let printer = Printer::new(krate, &scopes, &exposure, module).inside(&item.generics);
                    listing.implementation(item, module, &scopes, &exposure, printer);
                }
            }
        }
        listing
    }

    /// The file's text.
    pub(super) fn render(&self) -> String {
        let mut text = String::new();
        for block in self.blocks.values() {
            text.push_str(&block.head);
            text.push('\n');
            let mut lines: Vec<_> = block.lines.iter().collect();
            lines.sort_by_key(|line| rank(line));
            for line in lines {
                text.push_str("    ");
                text.push_str(line);
                text.push('\n');
            }
        }
        text
    }

    /// Adds the lines of an `impl` to the block of its type, or to the block of its trait for a foreign type.
    fn implementation(
        &mut self,
        item: &ItemImpl,
        module: ModuleId,
        scopes: &Scopes<'_>,
        exposure: &Exposure,
        printer: Printer<'_>,
    ) {
        let public = |path: &syn::Path| {
            let names: Vec<_> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            match scopes.resolve(module, &names) {
                Some((Target::Item(of, name), _)) => Place::Ours(exposure.items.get(&(of, name)).cloned()),
                _ => Place::Elsewhere,
            }
        };
        let of_type = match item.self_ty.as_ref() {
            Type::Path(path) if path.qself.is_none() => public(&path.path),
            _ => Place::Elsewhere,
        };
        let of_trait = item.trait_.as_ref().map(|(path, ..)| public(path));
        let path = match (of_type, of_trait) {
            // A user cannot name the trait, or the type.
            (_, Some(Place::Ours(None))) | (Place::Ours(None), _) => return,
            (Place::Ours(Some(path)), _) | (Place::Elsewhere, Some(Place::Ours(Some(path)))) => path,
            (Place::Elsewhere, _) => return,
        };
        if let Some(block) = self.blocks.get_mut(&path) {
            block.lines.extend(member::implemented(item, &block.generics, &printer));
            block.take(printer.seen());
        }
    }
}

/// The place of a line in its block: contents first, implementations last.
fn rank(line: &str) -> usize {
    const ORDER: [&str; 9] =
        ["variant ", "pub ", "private fields", "type ", "const ", "fn ", "async fn ", "provided ", "impl"];
    ORDER.iter().position(|first| line.starts_with(first)).unwrap_or(ORDER.len())
}

/// Whether a type or trait is of this crate, and its public path if it has one.
enum Place {
    Ours(Option<String>),
    Elsewhere,
}

fn is_local(exposure: &Exposure, path: &str) -> bool {
    exposure.modules.iter().chain(exposure.items.values()).any(|known| known == path)
}

/// The block of an item without its implementations.
fn block(item: &Item, path: &str, printer: Printer<'_>) -> Block {
    let mut generics = String::new();
    let mut around = |of: &Generics, printer: &Printer<'_>| {
        let mut without_defaults = of.clone();
        without_defaults.type_params_mut().for_each(|parameter| parameter.default = None);
        generics = member::generics(&without_defaults, printer);
        member::generics(of, printer)
    };
    let (head, lines, printer) = match item {
        Item::Struct(item) => {
            let printer = printer.inside(&item.generics);
            let head = format!("struct {path}{}", around(&item.generics, &printer));
            (head, member::fields(&item.fields, &printer), printer)
        }
        Item::Enum(item) => {
            let printer = printer.inside(&item.generics);
            let head = format!("enum {path}{}", around(&item.generics, &printer));
            (head, member::variants(item, &printer), printer)
        }
        Item::Trait(item) => {
            let printer = printer.inside(&item.generics);
            let head = format!("trait {path}{}", member::trait_head(item, &printer));
            (head, member::demanded(&item.items, &printer), printer)
        }
        Item::Type(item) => {
            let printer = printer.inside(&item.generics);
            let parameters = around(&item.generics, &printer);
            (format!("type {path}{parameters} = {}", printer.text(item.ty.as_ref())), Vec::new(), printer)
        }
        Item::Fn(item) => {
            let named = format!("fn {}", item.sig.ident);
            let head = member::function(&item.sig, &printer).replacen(&named, &format!("fn {path}"), 1);
            (head, Vec::new(), printer)
        }
        Item::Const(item) => {
            (format!("const {path}: {}", printer.text(item.ty.as_ref())), Vec::new(), printer)
        }
        Item::Static(item) => {
            (format!("static {path}: {}", printer.text(item.ty.as_ref())), Vec::new(), printer)
        }
        _ => (format!("item {path}"), Vec::new(), printer),
    };
    let derived = derives(attributes(item)).map(|name| format!("impl {name}"));
    let lines = lines.into_iter().chain(derived).collect();
    let head = format!("{head}{}", marks(attributes(item)));
    let mut block = Block { head, generics, lines, ..Block::default() };
    block.take(printer.seen());
    block
}

/// Attributes that concern a user.
pub(super) fn marks(attributes: &[Attribute]) -> String {
    let mut marks = String::new();
    if attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive")) {
        marks.push_str(" #[non_exhaustive]");
    }
    if attributes.iter().any(|attribute| attribute.path().is_ident("deprecated")) {
        marks.push_str(" #[deprecated]");
    }
    for condition in conditions(attributes) {
        marks.push_str(&format!(" #[cfg({condition})]"));
    }
    marks
}

fn derives(attributes: &[Attribute]) -> impl Iterator<Item = String> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("derive")).flat_map(|attribute| {
        let Meta::List(list) = &attribute.meta else { return Vec::new() };
        let text = syntax::text(&list.tokens);
        let names =
            text.split(',').map(|path| path.trim().rsplit("::").next().unwrap_or_default().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    })
}
