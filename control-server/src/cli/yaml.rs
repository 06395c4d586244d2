//! JSON values as YAML.

use serde_json::Value;

/// A document in block style, which ends with a line break. Texts are plain where no reader can take them for something else.
pub(super) fn to_yaml(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// Writes a value that stands at the beginning of a line of this depth, or behind a `- `.
fn write(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (position, (name, value)) in fields.iter().enumerate() {
                if position > 0 {
                    indent(depth, text);
                }
                text.push_str(&scalar(name));
                text.push(':');
                write_nested(value, depth, text);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    indent(depth, text);
                }
                text.push_str("- ");
                write(item, depth + 1, text);
            }
        }
        Value::Object(_) => text.push_str("{}\n"),
        Value::Array(_) => text.push_str("[]\n"),
        Value::String(string) => line(&scalar(string), text),
        other => line(&other.to_string(), text),
    }
}

/// Writes the value of a field, whose name is written already.
fn write_nested(value: &Value, depth: usize, text: &mut String) {
    let is_nested = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    if is_nested {
        text.push('\n');
        indent(depth + 1, text);
        write(value, depth + 1, text);
    } else {
        text.push(' ');
        write(value, depth, text);
    }
}

fn line(content: &str, text: &mut String) {
    text.push_str(content);
    text.push('\n');
}

fn indent(depth: usize, text: &mut String) {
    (0..depth).for_each(|_| text.push_str("  "));
}

/// A text, in quotes unless it is surely one without them. The quoted form is that of JSON, which every reader of YAML knows.
fn scalar(string: &str) -> String {
    if is_plain(string) { string.to_owned() } else { Value::from(string).to_string() }
}

fn is_plain(string: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    string.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && string.bytes().all(is_word)
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(string))
}

/// Words that some readers take for booleans, for nothing or for numbers.
const RESERVED: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan"];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_written_in_block_style() {
        let value = json!({
            "empty": [], "host": "orders.shop", "list": [{"a": 1, "b": ["x", "z"]}, [1, 2], "z: no"], "nothing": {}, "null": null,
            "port": 80,
        });
        let expected = "\
empty: []
host: orders.shop
list:
  - a: 1
    b:
      - x
      - z
  - - 1
    - 2
  - \"z: no\"
nothing: {}
\"null\": null
port: 80
";
        assert_eq!(to_yaml(&value), expected);
    }

    #[test]
    fn texts_are_read_back_as_they_were() {
        let texts = vec![
            "",
            "yes",
            "No",
            "null",
            "1",
            "1.5",
            "0x1",
            "-",
            "- a",
            "a: b",
            "a #b",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "\u{1b}[2J",
            "a\nb",
            "größe",
            "\\",
            "\"",
            "'",
            "[a]",
            "{a}",
            "outbound|80||a.b",
            "~",
            ".5",
            "a",
            "a.b/c-d_e",
            "NaN",
            "2026-01-01",
            "on",
            "?",
            "=",
            "<<",
        ];
        let value = json!({ "texts": texts, "deep": [[{"k": texts}]] });
        let read: Value = serde_saphyr::from_str(&to_yaml(&value)).unwrap();
        assert_eq!(read, value);
    }
}
