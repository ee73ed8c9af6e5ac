//! One line of a dataset: the fields we know, and what is wrong with a bad one.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::python_json;
use crate::sample::Kept;

/// Which fields of a row matter beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    /// `--cluster`: the field whose value says which rows belong together.
    pub cluster: Option<String>,
    /// `--keep-fields`, in the order given.
    pub keep: Vec<String>,
}

/// What a row says was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// `{input, output}`: a prompt and its response as text.
    Text { input: String, output: String },
    /// `{prompt_token_ids, response_token_ids}`: never retokenised. Texts only if the row has them.
    Ids { prompt: Vec<u32>, response: Vec<u32>, input: Option<String>, output: Option<String> },
}

/// A good row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The `id` field, numbers as text.
    pub id: Option<String>,
    pub cluster: Option<String>,
    pub content: Content,
    /// `finish_reason` says that the response was cut by length: no end token follows it.
    pub cut: bool,
    /// One value a kept field, in `RowOptions::keep`'s order.
    pub kept: Vec<Kept>,
}

impl Row {
    /// Parses a line.
    ///
    /// # Errors
    /// What is wrong with it, for the `reason` of its sample.
    pub fn parse(line: &[u8], options: &RowOptions) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
        // A reward without a value is null.
        let text = python_json::replace_words(text, |_| "null".to_owned());
        let mut fields: Fields = serde_json::from_str(&text).map_err(|e| match e.classify() {
            serde_json::error::Category::Data => e.to_string(),
            _ => format!("broken JSON: {e}"),
        })?;
        Ok(Self {
            id: fields.get("id").and_then(label),
            cluster: options.cluster.as_ref().and_then(|name| label(fields.get(name)?)),
            cut: fields.get("finish_reason").and_then(Value::as_str) == Some("length"),
            kept: options.keep.iter().map(|name| fields.get(name).map_or(Kept::Null, kept)).collect(),
            // Last: it takes its fields, and any of them may be named above.
            content: fields.content()?,
        })
    }

    /// Bytes of input and output text (for ids, four a token): what parts are cut by.
    pub fn text_bytes(&self) -> u64 {
        let bytes = match &self.content {
            Content::Text { input, output } => input.len() + output.len(),
            Content::Ids { prompt, response, .. } => 4 * (prompt.len() + response.len()),
        };
        bytes as u64
    }
}

/// A row as read: its place, and the row or what is wrong with it.
#[derive(Clone, Debug)]
pub struct ReadRow {
    /// Number in the dataset from 0, blank lines not counted.
    pub row: u32,
    /// Line in the file from 1.
    pub line: u64,
    /// Number of its first sample in the dataset.
    pub first_sample: u32,
    pub content: Result<Row, String>,
}

/// The object of a line; a key that stands twice is an error, since readers differ in which one they take.
struct Fields(serde_json::Map<String, Value>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object such as {\"input\": …, \"output\": …}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Fields, A::Error> {
                let mut map = serde_json::Map::new();
                while let Some((key, value)) = access.next_entry::<String, Value>()? {
                    if map.insert(key.clone(), value).is_some() {
                        return Err(serde::de::Error::custom(format!("field `{key}` stands twice")));
                    }
                }
                Ok(Fields(map))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

impl Fields {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.get_mut(name).map(Value::take).filter(|value| !value.is_null())
    }

    fn content(&mut self) -> Result<Content, String> {
        if self.get("prompt_token_ids").is_some() || self.get("response_token_ids").is_some() {
            return Ok(Content::Ids {
                prompt: self.ids("prompt_token_ids")?,
                response: self.ids("response_token_ids")?,
                input: self.optional_text("input")?,
                output: self.optional_text("output")?,
            });
        }
        Ok(Content::Text { input: self.text("input")?, output: self.text("output")? })
    }

    fn text(&mut self, name: &str) -> Result<String, String> {
        self.optional_text(name)?.ok_or_else(|| self.missing(name))
    }

    fn optional_text(&mut self, name: &str) -> Result<Option<String>, String> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(format!("`{name}` is {}, expected a string", kind(&other))),
        }
    }

    fn ids(&mut self, name: &str) -> Result<Vec<u32>, String> {
        let value = self.take(name).ok_or_else(|| self.missing(name))?;
        let Value::Array(items) = value else {
            return Err(format!("`{name}` is {}, expected a list of token ids", kind(&value)));
        };
        let id = |item: &Value| item.as_u64().and_then(|id| u32::try_from(id).ok());
        let bad = |item: &Value| format!("`{name}` holds {item}, expected token ids");
        items.iter().map(|item| id(item).ok_or_else(|| bad(item))).collect()
    }

    fn missing(&self, name: &str) -> String {
        if self.0.contains_key(name) {
            return format!("`{name}` is null");
        }
        let mut found: Vec<&str> = self.0.keys().map(String::as_str).take(8).collect();
        if found.is_empty() {
            found.push("none");
        }
        format!("no field `{name}` (fields found: {})", found.join(", "))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A value that names something: text as it is, numbers and booleans as JSON.
fn label(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn kept(value: &Value) -> Kept {
    match value {
        Value::Null => Kept::Null,
        Value::Bool(x) => Kept::Bool(*x),
        Value::Number(x) => x.as_f64().map_or_else(|| Kept::Text(x.to_string()), Kept::Number),
        Value::String(x) => Kept::Text(x.clone()),
        Value::Array(_) | Value::Object(_) => Kept::Text(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Row, String> {
        let options = RowOptions { cluster: Some("group".into()), keep: vec!["reward".into(), "tag".into()] };
        Row::parse(line.as_bytes(), &options)
    }

    #[test]
    fn known_fields_are_read_and_others_ignored() {
        let row = parse(
            r#"{"id": 7, "input": "a", "output": "b\"NaN\"", "group": "g", "reward": 1.5, "tag": [1, 2], "x": {"y": NaN},
               "finish_reason": "length"}"#,
        );
        let row = row.unwrap();
        assert_eq!(row.content, Content::Text { input: "a".into(), output: "b\"NaN\"".into() });
        assert_eq!((row.id.as_deref(), row.cluster.as_deref(), row.cut), (Some("7"), Some("g"), true));
        assert_eq!(row.kept, [Kept::Number(1.5), Kept::Text("[1,2]".into())]);
    }

    #[test]
    fn fields_with_a_meaning_can_be_named_too() {
        let options = RowOptions { cluster: Some("id".into()), keep: vec!["input".into(), "id".into()] };
        let row = Row::parse(br#"{"id": "x", "input": "a", "output": "b"}"#, &options).unwrap();
        assert_eq!((row.id.as_deref(), row.cluster.as_deref()), (Some("x"), Some("x")));
        assert_eq!(row.kept, [Kept::Text("a".into()), Kept::Text("x".into())]);
        assert_eq!(row.content, Content::Text { input: "a".into(), output: "b".into() });
    }

    #[test]
    fn token_ids_are_taken_as_they_are() {
        let row = parse(r#"{"prompt_token_ids": [1, 2], "response_token_ids": [3], "output": "x"}"#).unwrap();
        let ids = Content::Ids { prompt: vec![1, 2], response: vec![3], input: None, output: Some("x".into()) };
        assert_eq!(row.content, ids);
        assert_eq!(row.text_bytes(), 12);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, message) in [
            (r#"{"input": "a"}"#, "no field `output` (fields found: input)"),
            (r#"{"input": "a", "output": 3}"#, "`output` is a number, expected a string"),
            (r#"{"input": "a", "output": null}"#, "`output` is null"),
            (r#"["a", "b"]"#, "invalid type: sequence, expected an object"),
            (r#"{"input": "a", "input": "b", "output": "c"}"#, "field `input` stands twice"),
            (r#"{"input": "a", "output": "b""#, "broken JSON: EOF while parsing an object"),
            (r#"{"input": "a", "output": "\ud800"}"#, "broken JSON"),
            (r#"{"prompt_token_ids": [1], "response_token_ids": [-1]}"#, "`response_token_ids` holds -1"),
            (r#"{"prompt_token_ids": [1]}"#, "no field `response_token_ids`"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.starts_with(message), "{line}: {error}");
        }
        let error = Row::parse(b"{\"input\": \"\xff\"}", &RowOptions::default()).unwrap_err();
        assert_eq!(error, "invalid UTF-8 at byte 11");
    }
}
