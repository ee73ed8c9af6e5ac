//! Comparisons as JSON: two answers to one question, and an answer that is read back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What is not the same in both but for the last digits of numbers.
fn difference(at: &str, one: &Value, other: &Value) -> Option<String> {
    let described = || Some(format!("{at}: {one} and {other}"));
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            if (a - b).abs() <= 1e-12 * (1.0 + b.abs()) { None } else { described() }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(&format!("{at}[{i}]"), a, b))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().zip(b.values()).find_map(|((key, a), b)| difference(&format!("{at}.{key}"), a, b))
        }
        (a, b) if a == b => None,
        _ => described(),
    }
}

/// Fails unless both are the same but for the last digits of numbers.
#[track_caller]
pub fn assert_same(one: &Value, other: &Value) {
    assert_eq!(difference("", one, other), None);
}

/// Reads an answer back, which is then written in the same bytes again.
#[track_caller]
pub fn read_back<T: Serialize + DeserializeOwned>(json: &str) -> T {
    let read: T = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string_pretty(&read).unwrap(), json.trim_end());
    read
}
