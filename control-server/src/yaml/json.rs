//! JSON to trees.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::node::{Key, Node, Position, Value};
use super::parse::{SyntaxError, parse};

/// The value of a JSON text, which is nothing but JSON: no comments, no comma at an end, one value, no key twice.
pub(crate) fn parse_json(text: &str) -> Result<Node, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let value: Unplaced = serde_json::from_str(text).map_err(|error| syntax_error(&error))?;
    // JSON is YAML, and the YAML parser knows positions. What only JSON has, such as a character that is escaped in two
    // halves, costs the positions.
    let mut documents = parse(text).unwrap_or_default().into_iter();
    Ok(documents.next().unwrap_or(value.0))
}

fn syntax_error(error: &serde_json::Error) -> SyntaxError {
    let saturate = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let at = Position { line: saturate(error.line()), column: saturate(error.column()) };
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    SyntaxError { at, message: message.to_owned() }
}

/// A value whose position is not known.
struct Unplaced(Node);

impl<'de> Deserialize<'de> for Unplaced {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = deserializer.deserialize_any(JsonVisitor)?;
        Ok(Self(Node { value, at: Position::default() }))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Unplaced(item)) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut names = std::collections::HashSet::new();
        while let Some((name, Unplaced(node))) = access.next_entry::<String, Unplaced>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format_args!("the key `{name}` is written twice")));
            }
            entries.push((Key { name, at: Position::default() }, node));
        }
        Ok(Value::Mapping(entries))
    }
}
