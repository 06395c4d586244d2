use std::collections::BTreeMap;

use serde::Deserialize;

use super::node::Key;
use super::{FieldPath, Node, Position, Positions, Value, decode, did_you_mean, parse, parse_json};
use crate::finding::Findings;

fn only(text: &str) -> Node {
    let mut documents = parse(text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

const fn at(line: u32, column: u32) -> Position {
    Position { line, column }
}

#[test]
fn values_know_their_place() {
    let node = only("a: 1\nb:\n  - x: text\n    \"y.z\": 1.5\n  - null\nc: {d: true}\n");
    let node = Positions::of(&node);
    let root = FieldPath::root();
    let item = root.field("b").index(0);
    assert_eq!(node.position_of(&root), at(1, 1));
    assert_eq!(node.position_of(&root.field("a")), at(1, 4), "a scalar: itself");
    assert_eq!(node.position_of(&root.field("b")), at(2, 1), "a list: its key");
    assert_eq!(node.position_of(&item), at(3, 5));
    assert_eq!(node.position_of(&item.field("x")), at(3, 8));
    assert_eq!(node.position_of(&item.key("y.z")), at(4, 12));
    assert_eq!(node.position_of(&root.field("c").field("d")), at(6, 8));
    assert_eq!(node.position_of(&item.field("absent").field("deeper")), at(3, 5), "the deepest that exists");
    assert_eq!(item.key("y.z").to_string(), "b[0][\"y.z\"]");
    assert_eq!(item.field("x").to_string(), "b[0].x");
}

#[test]
fn scalars_have_the_core_schemas_types() {
    let node = only("[yes, 'no', true, ~, 8080, 0x10, 1e3, -5, \"8080\", 2026-03-01]");
    let Value::Sequence(items) = node.value else { panic!("a list") };
    let values: Vec<Value> = items.into_iter().map(|item| item.value).collect();
    let text = |text: &str| Value::String(text.to_owned());
    let expected = [
        text("yes"),
        text("no"),
        Value::Bool(true),
        Value::Null,
        Value::Integer(8080),
        Value::Integer(16),
        Value::Float(1000.0),
        Value::Integer(-5),
        text("8080"),
        text("2026-03-01"),
    ];
    assert_eq!(values, expected);
}

#[test]
fn documents_are_separate_and_empty_ones_are_left_out() {
    let documents = parse("# nothing\n---\na: 1\n---\n---\n# still nothing\n---\nb: 2\n...\n").unwrap();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[1].at, at(8, 1));
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(parse("# only a comment\n").unwrap(), []);
}

#[test]
fn aliases_and_merge_keys_are_followed() {
    let node = only("base: &base {x: 1}\nuse:\n  <<: *base\n  y: 2\n");
    let used = node.field("use").unwrap();
    assert_eq!(used.field("x").unwrap().value, Value::Integer(1));
    assert_eq!(used.field("y").unwrap().value, Value::Integer(2));
}

#[test]
fn syntax_error_has_its_position() {
    let cases = [
        ("a: [1, 2\nb: 3\n", 2),
        ("a: 1\n  b: 2\n", 2),
        ("a: 1\na: 2\n", 2),
        ("a: 'unfinished\n", 1),
        ("a: *nowhere\n", 1),
        ("a:\n\t- tab\n", 2),
        ("ok: 1\n---\nbad: {\n", 3),
    ];
    for (text, line) in cases {
        let error = parse(text).expect_err(text);
        assert_eq!(error.at.line, line, "{text:?}: {error:?}");
        assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error:?}");
    }
}

#[test]
fn bomb_of_aliases_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let previous = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [previous.as_str(); 10].join(", ")));
    }
    parse(&bomb).expect_err("a bomb");
    parse(&format!("a: {}{}", "[".repeat(5000), "]".repeat(5000))).expect_err("too deep");
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sample {
    name: String,
    #[serde(default)]
    port: u16,
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Deserialize)]
struct Item {
    mode: Mode,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Mode {
    RoundRobin,
    LeastRequest,
}

#[test]
fn decoding_names_the_field_and_what_was_found() {
    let cases = [
        ("port: 1", "name", "required, but not set"),
        ("name: ~", "name", "required, but not set"),
        ("name: 5", "name", "found the number 5, expected text: put it in quotes"),
        ("name: [a]", "name", "found a list, expected text"),
        ("{name: a, port: -1}", "port", "found the number -1, expected a whole number from 0 to 65535"),
        ("{name: a, port: '80'}", "port", "found the text `80`, expected a whole number from 0 to 65535"),
        ("{name: a, items: {}}", "items", "found a mapping, expected a list"),
        ("{name: a, items: [5]}", "items[0]", "found the number 5, expected a mapping with the fields mode"),
        ("{name: a, items: [{}]}", "items[0].mode", "required, but not set"),
        (
            "{name: a, items: [{mode: ROUND_ROBIN}, {mode: ROUND_ROBBIN}]}",
            "items[1].mode",
            "found the text `ROUND_ROBBIN`, expected one of ROUND_ROBIN, LEAST_REQUEST; did you mean `ROUND_ROBIN`?",
        ),
        ("{name: a, labels: {x: 1.5}}", "labels.x", "found the number 1.5, expected text: put it in quotes"),
        ("{name: a, labels: {x: }}", "labels.x", "found nothing, expected text"),
        ("{name: a, prot: 1}", "prot", "unknown field; did you mean `port`?"),
        ("{name: a, items: [{mode: LEAST_REQUEST, other: 1}]}", "items[0].other", "unknown field"),
        ("text", "", "found the text `text`, expected a mapping with the fields name, port, items, labels"),
    ];
    for (text, field, message) in cases {
        let mut findings = Findings::default();
        let node = only(text);
        let decoded: Option<Sample> = decode(&node, &FieldPath::root(), &mut findings);
        let found: Vec<(String, String)> =
            findings.into_iter().map(|finding| (finding.path.to_string(), finding.message)).collect();
        assert_eq!(found, [(field.to_owned(), message.to_owned())], "{text}: {decoded:?}");
    }
}

#[test]
fn all_unknown_fields_are_reported_at_once() {
    let mut findings = Findings::default();
    let node = only("name: a\nnmae: b\nitems:\n- mode: LEAST_REQUEST\n  Mode: x\n");
    let decoded: Option<Sample> = decode(&node, &FieldPath::root(), &mut findings);
    assert!(decoded.is_some());
    let found: Vec<(String, Option<Position>)> =
        findings.into_iter().map(|finding| (finding.path.to_string(), finding.at)).collect();
    assert_eq!(found, [("nmae".to_owned(), Some(at(2, 1))), ("items[0].Mode".to_owned(), Some(at(5, 3)))]);
}

#[test]
fn suggestions_are_close_or_none() {
    let fields = ["timeout", "retries", "route", "match"];
    let cases = [("timeuot", "timeout"), ("Timeout", "timeout"), ("retrys", "retries"), ("routes", "route")];
    for (found, meant) in cases {
        assert_eq!(did_you_mean(found, fields), format!("; did you mean `{meant}`?"));
    }
    assert_eq!(did_you_mean("completelyDifferent", fields), "");
}

/// Of so many paths, a few have the same hash.
#[test]
fn fields_with_the_same_hash_are_found_as_the_field_around_them() {
    let fields = 300_000;
    let entries = (0..fields).map(|index| {
        let at = at(index + 1, 1);
        (Key { name: index.to_string(), at }, Node { value: Value::Null, at })
    });
    let node = Node { value: Value::Mapping(entries.collect()), at: at(0, 0) };
    let positions = Positions::of(&node);
    let found = (0..fields).map(|index| positions.position_of(&FieldPath::root().key(&index.to_string())));
    let wrong: Vec<_> =
        found.enumerate().filter(|(index, at)| usize::try_from(at.line).unwrap() != index + 1).collect();
    assert!(wrong.iter().all(|(_, found)| *found == at(0, 0)), "{wrong:?}");
    assert!((1..100).contains(&wrong.len()), "{}", wrong.len());
}

#[test]
fn json_has_the_values_and_places_of_yaml() {
    let text = "{\n\t\"a\": [1, 1e3, -2.5, true, null],\n\t\"b\\/\": {\"c\": \"x\\u00e9\\n\"}\n}\n";
    let (node, root) = (parse_json(text).unwrap(), FieldPath::root());
    assert_eq!(node, only(text));
    assert_eq!(Positions::of(&node).position_of(&root.key("b/").field("c")), at(3, 15));
    assert_eq!(node.field("b/").unwrap().text("c"), Some("x\u{e9}\n"));
    // Two halves of a character: without places, but whole.
    let halves = parse_json("{\"a\": \"\\ud83d\\ude00\"}").unwrap();
    assert_eq!(halves.text("a"), Some("\u{1f600}"));
    assert_eq!(parse_json("null").unwrap().value, Value::Null);
}

#[test]
fn only_json_is_json() {
    for (text, line, message) in [
        ("", 1, "EOF while parsing a value"),
        ("a: 1", 1, "expected value"),
        ("{\"a\": 1, // note\n}", 1, "key must be a string"),
        ("{\"a\": 1,\n}", 2, "trailing comma"),
        ("{}\n{}", 2, "trailing characters"),
        ("{\"a\": 1}\n---\n{}", 2, "trailing characters"),
        ("{\"a\": 'x'}", 1, "expected value"),
        ("{\"a\": 1,\n\"a\": 2}", 2, "the key `a` is written twice"),
    ] {
        let error = parse_json(text).unwrap_err();
        assert_eq!((error.at.line, error.message.as_str()), (line, message), "{text}");
    }
}
