//! Names and patterns in a study file, and what becomes of them on disk.
//!
//! Owns the error about names that would share a folder, and filling in patterns. Not here: encoding names (`store`).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::store;

/// Names that must not share a folder.
pub struct Folders {
    /// What a person calls them all.
    what: &'static str,
    /// Place and folder as a file system that ignores case sees them, and the names.
    seen: BTreeMap<[String; 2], String>,
}

impl Folders {
    pub fn new(what: &'static str) -> Self {
        Self { what, seen: BTreeMap::new() }
    }

    /// Adds `name`, whose folder lies in `place`.
    ///
    /// # Errors
    /// Why there cannot be a folder of that name: what to do about it included.
    pub fn add(&mut self, place: &Path, name: &str) -> Result<(), String> {
        // Components, so that `a//b/./` is `a/b`.
        let place = place.components().collect::<PathBuf>().to_string_lossy().to_ascii_lowercase();
        let (what, folder) = (self.what, folder(name)?.to_ascii_lowercase());
        match self.seen.insert([place, folder], name.to_owned()) {
            None => Ok(()),
            Some(other) if other == name => Err(format!("two {what} are called `{name}`: rename one")),
            Some(other) => Err(format!(
                "two {what}, `{other}` and `{name}`, differ in case alone, and would share a folder where a file \
                 system ignores case: rename one"
            )),
        }
    }
}

/// The one folder that a name becomes; nothing in it can lead elsewhere.
///
/// # Errors
/// An empty name, or one too long.
pub fn folder(name: &str) -> Result<String, String> {
    store::folder_name(name).map_err(|e| e.to_string())
}

/// `text` with every `{key}` replaced by its value; values are not searched again.
///
/// # Errors
/// An empty pattern, and a `{key}` that is none of `values`.
pub fn fill(text: &str, values: &[(&str, &str)]) -> Result<String, String> {
    if text.is_empty() {
        return Err("expected a path, found an empty text".to_owned());
    }
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let found = after.split_once('}').and_then(|(key, tail)| {
            let (_, value) = values.iter().find(|(name, _)| *name == key)?;
            Some((value, tail))
        });
        let Some((value, tail)) = found else {
            let keys: Vec<_> = values.iter().map(|(key, _)| format!("{{{key}}}")).collect();
            return Err(format!("`{text}`: expected {} after a `{{`", keys.join(" or ")));
        };
        filled.extend([before, value]);
        rest = tail;
    }
    Ok(filled + rest)
}

/// An output directory. `..` after a folder would lead out of it again: experiments that look apart would be in one place.
///
/// # Errors
/// Such a path.
pub fn output(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    let below = path.components().skip_while(|part| !matches!(part, Component::Normal(_)));
    if below.into_iter().any(|part| part == Component::ParentDir) {
        return Err(format!("`{}`: expected an output directory without `..` after a folder", path.display()));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_once() {
        let values = [("experiment", "{task}"), ("task", "a/b")];
        assert_eq!(fill("x/{experiment}_{task}.jsonl", &values).unwrap(), "x/{task}_a/b.jsonl");
        assert_eq!(fill("plain", &values).unwrap(), "plain");
        for bad in ["", "{", "x{model}", "{experiment", "{}"] {
            assert!(fill(bad, &values).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_would_share_a_folder_are_rejected() {
        let mut folders = Folders::new("tasks");
        let [out, other] = ["out/a", "other"].map(Path::new);
        folders.add(out, "math").unwrap();
        folders.add(other, "math").unwrap();
        folders.add(Path::new(&"long/".repeat(200)), "math").unwrap();
        assert_eq!(folders.add(out, "math").unwrap_err(), "two tasks are called `math`: rename one");
        assert!(folders.add(Path::new("out//./A/"), "MATH").unwrap_err().contains("differ in case alone"));
        assert!(folders.add(out, "").unwrap_err().contains("empty name"));
        assert!(folders.add(out, &"x".repeat(300)).unwrap_err().contains("too long"));
    }

    #[test]
    fn outputs_do_not_lead_out_of_a_folder_again() {
        for good in ["out", "./out", "../../out", "/out/a..b"] {
            assert_eq!(output(good).unwrap(), Path::new(good));
        }
        for bad in ["rl/../out", "../a/../out", "/a/.."] {
            assert!(output(bad).unwrap_err().contains("without `..`"), "{bad}");
        }
    }
}
