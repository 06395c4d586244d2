//! The lines of a block: fields, variants, methods and implementations.

use syn::punctuated::Punctuated;
use syn::{
    Fields, FnArg, GenericArgument, Generics, ImplItem, ImplItemType, ItemEnum, ItemImpl, ItemTrait, Pat,
    PathArguments, Signature, Token, TraitItem, TraitItemType, Type, TypeParamBound, Visibility,
};

use super::listing::marks;
use super::printer::Printer;
use crate::syntax::is_for_tests;

/// `<T: Bound> where ..`
pub(super) fn generics(generics: &Generics, printer: &Printer<'_>) -> String {
    let place = generics.where_clause.as_ref().map(|place| printer.text(place));
    let parameters = printer.text(generics);
    match place {
        Some(place) => format!("{parameters} {}", place.trim_end_matches(',')),
        None => parameters,
    }
}

/// Generics and the traits that an implementor needs besides.
pub(super) fn trait_head(item: &ItemTrait, printer: &Printer<'_>) -> String {
    let parameters = printer.text(&item.generics);
    let supertraits = bounds(&item.supertraits, printer);
    let place = item.generics.where_clause.as_ref().map(|place| format!(" {}", printer.text(place)));
    format!("{parameters}{supertraits}{}", place.unwrap_or_default())
}

fn bounds(bounds: &Punctuated<TypeParamBound, Token![+]>, printer: &Printer<'_>) -> String {
    let all: Vec<_> = bounds.iter().map(|bound| printer.text(bound)).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(" + ")) }
}

/// Public fields, and a line if there are others.
pub(super) fn fields(fields: &Fields, printer: &Printer<'_>) -> Vec<String> {
    let is_public = |field: &&syn::Field| matches!(field.vis, Visibility::Public(_));
    let mut lines: Vec<_> = fields
        .iter()
        .enumerate()
        .filter(|(_, field)| is_public(field))
        .map(|(index, field)| {
            let name = field.ident.as_ref().map_or_else(|| index.to_string(), ToString::to_string);
            format!("pub {name}: {}{}", printer.text(&field.ty), marks(&field.attrs))
        })
        .collect();
    if fields.iter().any(|field| !is_public(&field)) {
        lines.push("private fields".to_owned());
    }
    lines
}

/// The variants of an enum with what they hold.
pub(super) fn variants(item: &ItemEnum, printer: &Printer<'_>) -> Vec<String> {
    let held = |fields: &Fields| match fields {
        Fields::Unit => String::new(),
        Fields::Unnamed(fields) => {
            let types: Vec<_> = fields.unnamed.iter().map(|field| printer.text(&field.ty)).collect();
            format!("({})", types.join(", "))
        }
        Fields::Named(fields) => {
            let named = fields
                .named
                .iter()
                .filter_map(|field| Some(format!("{}: {}", field.ident.as_ref()?, printer.text(&field.ty))));
            format!(" {{ {} }}", named.collect::<Vec<_>>().join(", "))
        }
    };
    let line = |variant: &syn::Variant| {
        format!("variant {}{}{}", variant.ident, held(&variant.fields), marks(&variant.attrs))
    };
    item.variants.iter().map(line).collect()
}

/// The items of a trait: those that an implementor writes, and those that the trait provides.
pub(super) fn demanded(items: &[TraitItem], printer: &Printer<'_>) -> Vec<String> {
    let line = |item: &TraitItem| match item {
        TraitItem::Fn(item) => {
            let kind = if item.default.is_some() { "provided " } else { "" };
            Some(format!("{kind}{}{}", function(&item.sig, printer), marks(&item.attrs)))
        }
        TraitItem::Type(item) => {
            let own = TraitItemType { attrs: Vec::new(), ..item.clone() };
            Some(printer.text(&own).trim_end_matches(';').to_owned())
        }
        TraitItem::Const(item) => {
            let kind = if item.default.is_some() { "provided " } else { "" };
            Some(format!("{kind}const {}: {}", item.ident, printer.text(&item.ty)))
        }
        _ => None,
    };
    items.iter().filter_map(line).collect()
}

/// The lines of an `impl`: its public methods, or the trait with its types. `own` are the generics that stand at the
/// head of the block already.
pub(super) fn implemented(item: &ItemImpl, own: &str, printer: &Printer<'_>) -> Vec<String> {
    let parameters = generics(&item.generics, printer);
    let parameters = if parameters == own { "" } else { &parameters };
    if let Some((path, ..)) = &item.trait_ {
        let target = if is_plain(&item.self_ty) {
            String::new()
        } else {
            format!(" for {}", printer.text(item.self_ty.as_ref()))
        };
        let head = format!("impl{parameters} {}{target}", printer.text(path));
        let types = item.items.iter().filter_map(|part| match part {
            ImplItem::Type(part) => {
                let own = ImplItemType { attrs: Vec::new(), ..part.clone() };
                Some(printer.text(&own).trim_start_matches("type ").trim_end_matches(';').to_owned())
            }
            _ => None,
        });
        let types: Vec<_> = types.collect();
        let with = if types.is_empty() { String::new() } else { format!(" with {}", types.join(", ")) };
        return vec![format!("{head}{with}")];
    }
    // With bounds or concrete arguments, only some types have the method.
    let narrowed = !parameters.is_empty()
        && (item.generics.where_clause.is_some()
            || item.generics.type_params().any(|parameter| !parameter.bounds.is_empty()));
    let scope = match (narrowed, is_plain(&item.self_ty)) {
        (false, true) => String::new(),
        (true, true) => format!("impl{parameters}: "),
        (_, false) => format!("impl{parameters} {}: ", printer.text(item.self_ty.as_ref())),
    };
    let line = |part: &ImplItem| match part {
        ImplItem::Fn(part) if is_public(&part.vis) && !is_for_tests(&part.attrs) => {
            Some(format!("{scope}{}{}", function(&part.sig, printer), marks(&part.attrs)))
        }
        ImplItem::Const(part) if is_public(&part.vis) => {
            Some(format!("{scope}const {}: {}", part.ident, printer.text(&part.ty)))
        }
        _ => None,
    };
    item.items.iter().filter_map(line).collect()
}

/// A signature whose parameters have names and no patterns.
pub(super) fn function(signature: &Signature, printer: &Printer<'_>) -> String {
    let mut signature = signature.clone();
    for input in &mut signature.inputs {
        match input {
            FnArg::Typed(input) => {
                input.attrs.clear();
                if let Pat::Ident(name) = input.pat.as_mut() {
                    name.mutability = None;
                    name.by_ref = None;
                } else {
                    *input.pat = syn::parse_quote!(_);
                }
            }
            // `&mut self` keeps its `mut`, which stands elsewhere.
            FnArg::Receiver(own) => own.mutability = None,
        }
    }
    printer.text(&signature)
}

/// Whether a type is a name with nothing but parameters and lifetimes as arguments.
fn is_plain(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.iter().all(|segment| match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => arguments.args.iter().all(|argument| match argument {
            GenericArgument::Lifetime(_) => true,
            GenericArgument::Type(Type::Path(path)) => {
                path.path.get_ident().is_some_and(|name| name.to_string().len() == 1)
            }
            _ => false,
        }),
        _ => true,
    })
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}
