//! What a Parquet file says about itself: which part of which cell it is, and which other files it belongs to.
//!
//! Owns the footer entry that contains it. Without it, a renamed folder, files that were moved, or two processes that
//! each wrote half of a part would change the sign of a result without a trace. Files name each other by their own
//! hashes ([`super::seal`]), which a footer contains, so the rest is not read.

use std::path::Path;

use parquet::file::metadata::KeyValue;
use serde::{Deserialize, Serialize};

const KEY: &str = "tokshift.part";

/// A part of a cell or of a pair of models, by names and by what decided its numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// P, of a pair.
    pub model: String,
    /// Q of a pair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "beside")]
    pub q: Option<String>,
    /// Number of the part, from 0.
    pub part: u32,
    /// Digest of the manifest.
    pub manifest: String,
    /// Of a tokens table: the hash of the samples table that was written with it. Of a samples table to which fields of the
    /// dataset were added later: the hash of the table that was written with the tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
    /// Of a pairs table: the hashes of the tokens tables that it was made of, P's and Q's.
    #[serde(default, skip_serializing_if = "are_unknown")]
    pub tokens: [Option<String>; 2],
}

fn are_unknown(hashes: &[Option<String>; 2]) -> bool {
    hashes.iter().all(Option::is_none)
}

/// Of a samples table that says `origin` and whose hash of itself is `hash`: the hash that its tokens name.
pub fn as_scored(origin: Option<&Origin>, hash: Option<String>) -> Option<String> {
    hash.map(|hash| origin.and_then(|origin| origin.samples.clone()).unwrap_or(hash))
}

/// Says that a file which names another by the hash `named` does not belong to the one at `path`, whose hash is
/// `holds`; `None` if it does, and for a file without a hash, which another program wrote.
pub fn parted_from(named: Option<&str>, path: &Path, hash: Option<&str>) -> Option<String> {
    hash.filter(|hash| named != Some(hash)).map(|_| {
        format!("was made with another `{}` than the one that is here: files of two runs are mixed", path.display())
    })
}

impl Origin {
    /// As it is in files.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What [`Origin::to_json`] wrote.
    pub fn of_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The entry of a footer.
    pub(super) fn entry(&self) -> KeyValue {
        KeyValue::new(KEY.to_owned(), self.to_json())
    }

    /// What a footer with these `entries` says.
    pub fn read(entries: Option<&Vec<KeyValue>>) -> Option<Self> {
        let entry = entries.into_iter().flatten().find(|entry| entry.key == KEY)?;
        Self::of_json(entry.value.as_ref()?)
    }

    /// How a file that must say what it is, and says `found`, is not this part; `None` if it is.
    pub fn denied_by(&self, found: Option<&Self>) -> Option<String> {
        match found {
            None => Some("does not say which part it is: another version of tokshift wrote it".to_owned()),
            Some(found) => self.contradicted_by(found),
        }
    }

    /// How a file that says it is `found` is not this part; `None` if it is.
    pub fn contradicted_by(&self, found: &Self) -> Option<String> {
        let names = |of: &Self| {
            let Self { generation_model, task, model, q, part, .. } = of.clone();
            (generation_model, task, model, q, part)
        };
        if names(found) != names(self) {
            let Self { generation_model, task, model, q, part, .. } = found;
            let q = q.as_ref().map_or_else(String::new, |q| format!(" compared with `{q}`"));
            return Some(format!(
                "was written as part {part} of model `{model}`{q}, task `{task}`, responses by `{generation_model}`: files \
                 were moved"
            ));
        }
        (found.manifest != self.manifest)
            .then(|| "was written under another manifest: files of two runs are mixed".to_owned())
    }
}
