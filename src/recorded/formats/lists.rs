//! Lists of a token's log-probabilities that are objects.
//!
//! Owns the order of their entries, which some programs give a meaning, and keys that stand for ids.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::recorded::numbers;

/// An entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub id: u32,
    /// Nats.
    pub logprob: f64,
    pub rank: Option<u32>,
    /// The token's text, where the entry has it.
    pub text: Option<String>,
}

/// An object's members as they stand.
pub struct Members<'a>(pub Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = access.next_entry()? {
                    all.push(member);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Self)
    }
}

/// What vLLM says of a token besides its id.
#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    logprob: &'a RawValue,
    rank: Option<u32>,
    decoded_token: Option<String>,
}

/// The entries of `{"ID": logprob}` or `{"ID": {"logprob", "rank", "decoded_token"}}`, in its order.
///
/// # Errors
/// What is wrong with it.
pub fn by_id(raw: &str) -> Result<Vec<Entry>, String> {
    let Members(members) =
        serde_json::from_str(raw).map_err(|e| format!("it is no object of log-probabilities: {e}"))?;
    let entry = |(key, value): (String, &RawValue)| {
        let id = key.parse().map_err(|_| format!("`{key}` is no token id"))?;
        let no_number = || format!("the entry of id {id} has no number");
        if !value.get().starts_with('{') {
            let logprob = numbers::number(value.get()).ok_or_else(no_number)?;
            return Ok(Entry { id, logprob, rank: None, text: None });
        }
        let Listed { logprob, rank, decoded_token } = serde_json::from_str(value.get()).map_err(|_| no_number())?;
        let logprob = numbers::number(logprob.get()).ok_or_else(no_number)?;
        Ok(Entry { id, logprob, rank, text: decoded_token })
    };
    members.into_iter().map(entry).collect()
}

/// The id of a token that a server calls `token_id:ID`; `None` for one that it calls by its text, even one of digits.
pub fn id_of(name: &str) -> Option<u32> {
    name.strip_prefix("token_id:")?.parse().ok()
}

/// The entries of `{"token_id:ID": logprob}`, in its order; `None` if its keys are texts, which stand for no certain ids.
///
/// # Errors
/// What is wrong with it.
pub fn by_name(raw: &str) -> Result<Option<Vec<Entry>>, String> {
    let Members(members) =
        serde_json::from_str(raw).map_err(|e| format!("it is no object of log-probabilities: {e}"))?;
    let entry = |(key, value): &(String, &RawValue)| {
        let Some(id) = id_of(key) else { return Ok(None) };
        let logprob = numbers::number(value.get()).ok_or_else(|| format!("the entry of {key} has no number"))?;
        Ok(Some(Entry { id, logprob, rank: None, text: None }))
    };
    let entries = members.iter().map(entry).collect::<Result<Vec<_>, String>>()?;
    Ok(entries.into_iter().collect())
}
