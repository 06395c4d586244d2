//! Signatures as text; every name is the path that a user of the crate would write.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    ConstParam, GenericArgument, Ident, Item, ItemTrait, Path, PathArguments, PathSegment, QSelf, Type,
    TypeParam, TypePath,
};

use super::exposure::Exposure;
use crate::syntax::{self, Crate, ModuleId, Scopes, Target, is_prelude, is_primitive};

/// How many private aliases may lead to one another.
const MAX_ALIASES: usize = 8;

/// Syntax that the printer knows how to walk.
pub(super) trait Syntax: ToTokens + Clone {
    fn accept(&mut self, visitor: &mut impl VisitMut);
}

macro_rules! syntax {
    ($($kind:ty => $visit:ident,)*) => {
        $(impl Syntax for $kind {
            fn accept(&mut self, visitor: &mut impl VisitMut) {
                visitor.$visit(self);
            }
        })*
    };
}

syntax! {
    Type => visit_type_mut,
    Path => visit_path_mut,
    syn::Generics => visit_generics_mut,
    syn::WhereClause => visit_where_clause_mut,
    syn::Signature => visit_signature_mut,
    syn::TypeParamBound => visit_type_param_bound_mut,
    syn::TraitItemType => visit_trait_item_type_mut,
    syn::ImplItemType => visit_impl_item_type_mut,
    syn::ItemImpl => visit_item_impl_mut,
    ItemTrait => visit_item_trait_mut,
}

/// Prints what stands in one module, and remembers the other crates that it names.
pub(super) struct Printer<'a> {
    krate: &'a Crate,
    scopes: &'a Scopes<'a>,
    exposure: &'a Exposure,
    module: ModuleId,
    /// Parameters of the item and of what is around it.
    parameters: BTreeSet<String>,
    seen: RefCell<Seen>,
}

/// The names in the signatures printed so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Paths of other crates.
    pub(super) foreign: BTreeSet<String>,
    /// Names that mean nothing here.
    pub(super) unknown: BTreeSet<String>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(
        krate: &'a Crate,
        scopes: &'a Scopes<'a>,
        exposure: &'a Exposure,
        module: ModuleId,
    ) -> Self {
        let (parameters, seen) = (BTreeSet::new(), RefCell::default());
        Self { krate, scopes, exposure, module, parameters, seen }
    }

    /// A printer for what stands inside `around`, whose parameters may be named there.
    pub(super) fn inside<S: Syntax>(mut self, around: &S) -> Self {
        around.clone().accept(&mut Parameters(&mut self.parameters));
        self
    }

    /// One line for `syntax`.
    pub(super) fn text<S: Syntax>(&self, syntax: &S) -> String {
        let mut parameters = self.parameters.clone();
        let mut own = syntax.clone();
        own.accept(&mut Parameters(&mut parameters));
        own.accept(&mut Rewriter { printer: self, parameters: &parameters, depth: MAX_ALIASES });
        syntax::text(&own)
    }

    /// The names in the signatures printed so far.
    pub(super) fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    /// The public path of an item of this crate; `crate::..` if it has none.
    fn local(&self, of: ModuleId, item: &str) -> Vec<String> {
        let split = |path: &String| path.split("::").map(str::to_owned).collect();
        self.exposure.items.get(&(of, item.to_owned())).map_or_else(
            || {
                let path = self.krate.modules[of].path.iter().map(String::as_str);
                std::iter::once("crate").chain(path).chain([item]).map(str::to_owned).collect()
            },
            split,
        )
    }
}

/// Collects the names of parameters.
struct Parameters<'a>(&'a mut BTreeSet<String>);

impl VisitMut for Parameters<'_> {
    fn visit_type_param_mut(&mut self, parameter: &mut TypeParam) {
        self.0.insert(parameter.ident.to_string());
    }

    fn visit_const_param_mut(&mut self, parameter: &mut ConstParam) {
        self.0.insert(parameter.ident.to_string());
    }
}

/// Puts the public path in the place of each name.
struct Rewriter<'p, 'a> {
    printer: &'p Printer<'a>,
    parameters: &'p BTreeSet<String>,
    depth: usize,
}

impl VisitMut for Rewriter<'_, '_> {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        match self.behind(ty) {
            Some(behind) => *ty = behind,
            None => visit_mut::visit_type_mut(self, ty),
        }
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        for segment in &mut path.segments {
            self.visit_path_segment_mut(segment);
        }
        self.rewrite(path);
    }

    /// In `<T as Trait>::Item` the trait is a path of its own.
    fn visit_type_path_mut(&mut self, node: &mut TypePath) {
        let Some(QSelf { ty, position, .. }) = &mut node.qself else {
            return visit_mut::visit_type_path_mut(self, node);
        };
        self.visit_type_mut(ty);
        let mut segments = node.path.segments.iter().cloned();
        let mut of_trait =
            Path { leading_colon: None, segments: segments.by_ref().take(*position).collect() };
        if *position > 0 {
            self.visit_path_mut(&mut of_trait);
        }
        *position = of_trait.segments.len();
        node.path.segments = of_trait.segments.into_iter().chain(segments).collect();
    }
}

impl Rewriter<'_, '_> {
    fn rewrite(&mut self, path: &mut Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let printer = self.printer;
        let Some(first) = names.first() else { return };
        if self.parameters.contains(first) || (names.len() == 1 && is_primitive(first)) {
            return;
        }
        let Some((target, consumed)) = printer.scopes.resolve(printer.module, &names) else {
            if !is_prelude(first) {
                printer.seen.borrow_mut().unknown.insert(names.join("::"));
            }
            return;
        };
        let named = match target {
            Target::Module(_) => return,
            Target::Item(of, item) => printer.local(of, &item),
            Target::Foreign(full) => {
                printer.seen.borrow_mut().foreign.insert(full.join("::"));
                short(full)
            }
        };
        replace(path, named, consumed);
    }

    /// The type behind a private alias, which a user sees instead of the alias.
    fn behind(&mut self, ty: &Type) -> Option<Type> {
        let Type::Path(TypePath { qself: None, path, .. }) = ty else { return None };
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let printer = self.printer;
        let (Target::Item(of, item), consumed) = printer.scopes.resolve(printer.module, &names)? else {
            return None;
        };
        let Item::Type(alias) = printer.scopes.item(of, &item)? else { return None };
        let is_public = printer.exposure.items.contains_key(&(of, item));
        if is_public || self.depth == 0 || consumed < names.len() {
            return None;
        }
        let arguments = self.arguments(path);
        let parameters = alias.generics.type_params().map(|parameter| parameter.ident.to_string());
        let given = parameters.zip(arguments).collect();
        let behind =
            Printer::new(printer.krate, printer.scopes, printer.exposure, of).inside(&alias.generics);
        let parameters = behind.parameters.clone();
        let mut ty = alias.ty.as_ref().clone();
        ty.accept(&mut Rewriter { printer: &behind, parameters: &parameters, depth: self.depth - 1 });
        ty.accept(&mut Substitution(given));
        let seen = behind.seen();
        printer.seen.borrow_mut().foreign.extend(seen.foreign);
        printer.seen.borrow_mut().unknown.extend(seen.unknown);
        Some(ty)
    }

    /// The types that a path's last segment is given, rewritten.
    fn arguments(&mut self, path: &Path) -> Vec<Type> {
        let last = path.segments.last().map(|segment| &segment.arguments);
        let Some(PathArguments::AngleBracketed(arguments)) = last else { return Vec::new() };
        let types = arguments.args.iter().filter_map(|argument| match argument {
            GenericArgument::Type(ty) => Some(ty.clone()),
            _ => None,
        });
        types
            .map(|mut ty| {
                self.visit_type_mut(&mut ty);
                ty
            })
            .collect()
    }
}

/// Puts types in the place of parameters.
struct Substitution(BTreeMap<String, Type>);

impl VisitMut for Substitution {
    fn visit_type_mut(&mut self, ty: &mut Type) {
        let name = match ty {
            Type::Path(path) => path.path.get_ident().map(ToString::to_string),
            _ => None,
        };
        match name.and_then(|name| self.0.get(&name)) {
            Some(given) => *ty = given.clone(),
            None => visit_mut::visit_type_mut(self, ty),
        }
    }
}

/// `std::time::Duration` is `Duration`; where that could be something else, `io::Error`.
fn short(full: Vec<String>) -> Vec<String> {
    let is_std = full.first().is_some_and(|first| matches!(first.as_str(), "std" | "core" | "alloc"));
    if !is_std {
        return full;
    }
    let is_vague = full.last().is_some_and(|last| matches!(last.as_str(), "Error" | "Result"));
    let keep = if is_vague { 2 } else { 1 };
    full[full.len().saturating_sub(keep)..].to_vec()
}

/// Puts `named` in the place of the first `consumed` segments; the arguments of the last of them stay.
fn replace(path: &mut Path, named: Vec<String>, consumed: usize) {
    let arguments = path.segments[consumed - 1].arguments.clone();
    let mut segments: Vec<PathSegment> = named
        .into_iter()
        .map(|name| PathSegment::from(Ident::new(&name, proc_macro2::Span::call_site())))
        .collect();
    if let Some(last) = segments.last_mut() {
        last.arguments = arguments;
    }
    segments.extend(path.segments.iter().skip(consumed).cloned());
    path.leading_colon = None;
    path.segments = segments.into_iter().collect();
}
