//! Trees to serde types: a [`serde::Deserializer`] over [`Node`] whose errors name the field and say what was found.
//!
//! Unlike `deny_unknown_fields`, an unknown field does not end decoding: all of them are reported at once, with the
//! field that was probably meant.

use std::cell::RefCell;

use serde::de::value::StrDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::Error;
use super::node::{Key, Node, Value};
use super::path::{FieldPath, Segment};
use super::suggest::did_you_mean;
use crate::finding::{Finding, Findings};
use crate::state::Code;

/// Decodes `node`, at `base` in its document. Errors go to `findings`; a value is returned only if
/// it is complete, and may be used only if no error was found.
pub(crate) fn decode<'n, T: Deserialize<'n>>(
    node: &'n Node,
    base: &FieldPath,
    findings: &mut Findings,
) -> Option<T> {
    decode_part(node, base, Leniency { passed_over: &[], blank: false }, findings)
}

/// The same for what an API server writes: a field without a value is one that is not set.
pub(crate) fn decode_leniently<'n, T: Deserialize<'n>>(
    node: &'n Node,
    base: &FieldPath,
    findings: &mut Findings,
) -> Option<T> {
    decode_part(node, base, Leniency { passed_over: &[], blank: true }, findings)
}

/// Decodes a whole document that an API server writes, and that has its fields beside those of `head`, which are passed
/// over.
pub(crate) fn decode_beside<'n, T: Deserialize<'n>>(
    head: &'static [&'static str],
    node: &'n Node,
    findings: &mut Findings,
) -> Option<T> {
    decode_part(node, &FieldPath::root(), Leniency { passed_over: head, blank: true }, findings)
}

fn decode_part<'n, T: Deserialize<'n>>(
    node: &'n Node,
    base: &FieldPath,
    leniency: Leniency,
    findings: &mut Findings,
) -> Option<T> {
    let context = Context {
        path: RefCell::new(base.segments().to_vec()),
        findings: RefCell::new(std::mem::take(findings)),
        leniency,
    };
    let result = T::deserialize(Decoder { node, context: &context });
    *findings = context.findings.into_inner();
    match result {
        Ok(value) => Some(value),
        Err(error) => {
            findings.push(error.into_finding(base));
            None
        }
    }
}

struct Context {
    path: RefCell<Vec<Segment>>,
    findings: RefCell<Findings>,
    leniency: Leniency,
}

/// What is no mistake.
#[derive(Debug, Clone, Copy)]
struct Leniency {
    /// Fields of the document itself that are none of the type's.
    passed_over: &'static [&'static str],
    /// Fields without a value.
    blank: bool,
}

impl Context {
    fn path(&self) -> FieldPath {
        FieldPath::from_segments(self.path.borrow().clone())
    }

    fn unknown_field(&self, key: &Key, known: &[&str]) {
        let message = format!("unknown field{}", did_you_mean(&key.name, known.iter().copied()));
        let finding = Finding::error(self.path().key(&key.name), message).code(Code::UnknownField).at(key.at);
        self.findings.borrow_mut().push(finding);
    }

    /// Something was meant, and it is not for us to say what: `subset:` with nothing behind it is not "all subsets".
    fn blank_field(&self, key: &Key) {
        if !self.leniency.blank {
            let message = "found nothing, expected a value; if none is meant, leave the field out";
            self.findings.borrow_mut().missing(self.path().key(&key.name), message);
        }
    }

    fn is_passed_over(&self, key: &Key) -> bool {
        self.leniency.passed_over.contains(&key.name.as_str()) && self.path.borrow().is_empty()
    }

    /// Decodes a child; an error that has no place yet gets this one.
    fn within<T>(&self, segment: Segment, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        self.path.borrow_mut().push(segment);
        let result = decode().map_err(|error| error.placed(|| self.path()));
        self.path.borrow_mut().pop();
        result
    }
}

#[derive(Clone, Copy)]
struct Decoder<'n, 'c> {
    node: &'n Node,
    context: &'c Context,
}

macro_rules! decode_integer {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
            if let Value::Integer(value) = self.node.value
                && let Ok(value) = <$type>::try_from(value)
            {
                return visitor.$visit(value);
            }
            let expected = format!("a whole number from {} to {}", <$type>::MIN, <$type>::MAX);
            Err(Error::expected(self.node, &expected))
        }
    )*};
}

impl<'n> Deserializer<'n> for Decoder<'n, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(value) => visitor.visit_i64(i64::try_from(*value).unwrap_or(i64::MAX)),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Sequence(_) => self.deserialize_seq(visitor),
            Value::Mapping(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Bool(value) => visitor.visit_bool(value),
            _ => Err(Error::expected(self.node, "true or false")),
        }
    }

    decode_integer!(
        deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64
    );

    fn deserialize_f64<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Float(value) => visitor.visit_f64(value),
            #[expect(
                clippy::as_conversions,
                clippy::cast_precision_loss,
                reason = "a percentage, far below 2^53"
            )]
            Value::Integer(value) => visitor.visit_f64(value as f64),
            _ => Err(Error::expected(self.node, "a number")),
        }
    }

    fn deserialize_str<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                Err(Error::expected(self.node, "text: put it in quotes"))
            }
            _ => Err(Error::expected(self.node, "text")),
        }
    }

    fn deserialize_string<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Sequence(items) => visitor.visit_seq(Items { items, next: 0, context: self.context }),
            _ => Err(Error::expected(self.node, "a list")),
        }
    }

    fn deserialize_map<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        self.mapping(None, visitor)
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.mapping(Some(fields), visitor)
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::String(value) if variants.contains(&value.as_str()) => {
                let value: StrDeserializer<'_, Error> = value.as_str().into_deserializer();
                visitor.visit_enum(value)
            }
            value => {
                let hint = match value {
                    Value::String(value) => did_you_mean(value, variants.iter().copied()),
                    _ => String::new(),
                };
                let expected = format!("one of {}{hint}", variants.join(", "));
                Err(Error::expected(self.node, &expected))
            }
        }
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'n>>
        i8 i16 i128 u8 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
    }
}

impl<'n> Decoder<'n, '_> {
    fn mapping<V: Visitor<'n>>(
        self,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match (&self.node.value, fields) {
            (Value::Mapping(entries), _) => {
                let mut fields = MappingFields {
                    entries,
                    next: 0,
                    known: fields,
                    value: None,
                    blank: Vec::new(),
                    context: self.context,
                };
                let value =
                    visitor.visit_map(&mut fields).map_err(|error| error.placed(|| self.context.path()))?;
                // Whether a required field is blank or absent makes no difference: its error says enough.
                fields.blank.iter().for_each(|key| self.context.blank_field(key));
                Ok(value)
            }
            (_, Some(fields)) if !fields.is_empty() => {
                Err(Error::expected(self.node, &format!("a mapping with the fields {}", fields.join(", "))))
            }
            _ => Err(Error::expected(self.node, "a mapping")),
        }
    }
}

struct Items<'n, 'c> {
    items: &'n [Node],
    next: usize,
    context: &'c Context,
}

impl<'n> SeqAccess<'n> for Items<'n, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.items.get(self.next) else { return Ok(None) };
        let segment = Segment::Index(self.next);
        self.next += 1;
        let context = self.context;
        context.within(segment, || seed.deserialize(Decoder { node, context })).map(Some)
    }

    /// Exact, so that a list is allocated at its length: `Vec` would start with room for four, and most lists have one item.
    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.next)
    }
}

struct MappingFields<'n, 'c> {
    entries: &'n [(Key, Node)],
    next: usize,
    known: Option<&'static [&'static str]>,
    value: Option<&'n (Key, Node)>,
    /// Known fields without a value.
    blank: Vec<&'n Key>,
    context: &'c Context,
}

impl<'n> MapAccess<'n> for MappingFields<'n, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        while let Some(entry @ (key, node)) = self.entries.get(self.next) {
            self.next += 1;
            match self.known {
                Some(_) if self.context.is_passed_over(key) => {}
                Some(known) if !known.contains(&key.name.as_str()) => self.context.unknown_field(key, known),
                Some(_) if node.value == Value::Null => self.blank.push(key),
                _ => {
                    self.value = Some(entry);
                    let name: StrDeserializer<'_, Error> = key.name.as_str().into_deserializer();
                    return seed.deserialize(name).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let (key, node) =
            self.value.take().ok_or_else(|| Error::new("a value was read before its key".to_owned()))?;
        let context = self.context;
        context
            .within(Segment::Field(key.name.clone().into()), || seed.deserialize(Decoder { node, context }))
    }
}
