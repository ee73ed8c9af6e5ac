//! Names and paths with a `*`, which stands for whatever is there on this machine.
//!
//! Owns what `*` stands for. Not here: what the matches are used for (`parse`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::natural;

/// Whether there is a `*` to be filled. A file that is called so is meant as it is.
pub fn is_pattern(path: &str) -> bool {
    path.contains('*') && !Path::new(path).exists()
}

/// What `*` stands for in the paths of this pattern that exist, in natural order. If there are several `*`, all stand for
/// the same text, which never contains a `/`.
///
/// # Errors
/// Why nothing fits.
pub fn matches(pattern: &str) -> Result<Vec<String>, String> {
    let mut found: Vec<String> = candidates(pattern).into_iter().filter(|text| exists(pattern, text)).collect();
    found.sort_by(|a, b| natural::compare(a, b));
    if found.is_empty() { Err(format!("no file or directory fits `{pattern}`")) } else { Ok(found) }
}

fn exists(pattern: &str, text: &str) -> bool {
    Path::new(&pattern.replace('*', text)).exists()
}

/// What the first part of the path with a `*` leaves open in the names that its folder has.
fn candidates(pattern: &str) -> BTreeSet<String> {
    let parts: Vec<&str> = pattern.split('/').collect();
    let Some(first) = parts.iter().position(|part| part.contains('*')) else { return BTreeSet::new() };
    let mut folder: PathBuf = parts[..first].join("/").into();
    if pattern.starts_with('/') {
        folder = Path::new("/").join(folder);
    } else if first == 0 {
        folder = PathBuf::from(".");
    }
    let (before, after) = parts[first].split_once('*').unwrap_or_default();
    // Another `*` in the same part must be the same text, which `exists` finds out.
    let after = after.split_once('*').map_or(after, |(_, last)| last);
    let names = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    // As in a shell, `*` does not begin with a dot.
    let names = names.filter(|name| !before.is_empty() || !name.starts_with('.'));
    names.flat_map(|name| between(&name, before, after)).collect()
}

/// Every text that can stand in the place of `*` between these two, the whole rest of the name first.
fn between(name: &str, before: &str, after: &str) -> Vec<String> {
    let Some(rest) = name.strip_prefix(before) else { return Vec::new() };
    let ends = (0..=rest.len()).filter(|&end| rest.is_char_boundary(end) && rest[end..].ends_with(after));
    ends.filter(|&end| end > 0).map(|end| rest[..end].to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_what_stands_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        for name in ["step_40_math.jsonl", "step_5_math.jsonl", "step_5_math.txt", ".step_7_math.jsonl"] {
            std::fs::write(path(name), "").unwrap();
        }
        std::fs::create_dir_all(path("run_a/a")).unwrap();
        std::fs::create_dir_all(path("run_b/a")).unwrap();
        assert_eq!(matches(&path("step_*_math.jsonl")).unwrap(), ["5", "40"]);
        assert_eq!(matches(&path("*_math.jsonl")).unwrap(), ["step_5", "step_40"]);
        assert_eq!(matches(&path("run_*/*")).unwrap(), ["a"]);
        assert_eq!(matches(&path("run_*")).unwrap(), ["a", "b"]);
        assert!(matches(&path("rl_*.jsonl")).unwrap_err().contains("no file or directory fits"));
        std::fs::write(path("odd*.jsonl"), "").unwrap();
        assert!(!is_pattern(&path("odd*.jsonl")) && is_pattern(&path("o*.jsonl")));
    }
}
