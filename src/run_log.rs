//! The log of what runs cost: one append-only file per process under `logs/` of an output directory.
//!
//! Owns everything that depends on time, host and chance, so that results do not. Nothing here is a result, and the
//! folder may be deleted. A line that cannot be written is a warning and stops nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::store::Cell;

/// The folder next to the tables.
pub const FOLDER: &str = "logs";

/// One cell's share of one run of the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Parts that this run finished.
    pub parts: u64,
    /// Cells in the same run. Its seconds and tokens are shared out among them by the bytes of their parts.
    pub cells: u64,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// Tokens of the samples that were scored, prompts included.
    pub tokens: u64,
    /// Tokens that the model computed: fewer, if samples share prefixes. Older logs do not say.
    #[serde(default)]
    pub computed: Option<u64>,
    /// Of the dataset's file, those of the finished parts.
    pub bytes: u64,
    /// Why the run ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// What a cell was made from: the paths of the files whose hashes its manifests contain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MadeFrom {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// The version of tokshift.
    pub tokshift: String,
    /// The process's command line.
    pub command: Vec<String>,
    /// The directory that it was started in.
    pub directory: PathBuf,
    /// The model's directory or file.
    pub source: Source,
    /// The directory of what is added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<Source>,
    /// The files that decide the numbers, by the names that the manifest has for them.
    pub files: BTreeMap<String, Source>,
    /// What made the ids.
    pub tokenizer: Source,
    /// The file of rows or the text.
    pub dataset: Source,
}

impl MadeFrom {
    /// Of this process, and files of which each is looked at.
    pub fn of(cell: &Cell, model: (&Path, Option<&Path>), files: &[String], tokenizer: &Path, dataset: &Path) -> Self {
        let (path, adapter) = model;
        let file = |name: &String| {
            let within = name.split_once('/').and_then(|(_, file)| Some(adapter?.join(file)));
            let alone = || if path.is_file() { path.to_owned() } else { path.join(name) };
            (name.clone(), Source::of(&within.unwrap_or_else(alone)))
        };
        Self {
            cell: cell.clone(),
            tokshift: env!("CARGO_PKG_VERSION").to_owned(),
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            directory: std::env::current_dir().unwrap_or_default(),
            source: Source::of(path),
            adapter: adapter.map(Source::of),
            files: files.iter().map(file).collect(),
            tokenizer: Source::of(tokenizer),
            dataset: Source::of(dataset),
        }
    }
}

/// A file or directory, as it was then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Absolute.
    pub path: PathBuf,
    /// The commit of the hub's repository, if it is in the hub's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Of a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When a file was last written, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<u64>,
}

impl Source {
    fn of(path: &Path) -> Self {
        let data = fs::metadata(path).ok().filter(fs::Metadata::is_file);
        let modified = data.as_ref().and_then(|data| data.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut names = path.iter().skip_while(|name| *name != "snapshots").skip(1);
        let revision = names.next().and_then(|name| name.to_str());
        let is_commit = |name: &&str| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let revision = revision.filter(is_commit).map(str::to_owned);
        Self { revision, bytes: data.map(|data| data.len()), modified: modified.map(|since| since.as_secs()), path }
    }
}

/// A line of the file: an entry, and when and where it was written.
#[derive(Serialize)]
struct Line<'a> {
    unix_seconds: u64,
    host: &'a str,
    process: u32,
    #[serde(flatten)]
    content: Content<'a>,
}

/// What a line says.
#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Entry(&'a Entry),
    MadeFrom { made_from: &'a MadeFrom },
}

/// This process's log in one output directory; the file comes into being with its first line.
#[derive(Debug)]
pub struct RunLog {
    folder: PathBuf,
    file: Mutex<Option<File>>,
}

impl RunLog {
    /// The log of this process under `root`. Its file is made with the first entry.
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join(FOLDER), file: Mutex::new(None) }
    }

    /// Appends a line.
    pub fn add(&self, entry: &Entry) {
        self.append(Content::Entry(entry));
    }

    /// Appends a line about the files that a cell is made from.
    pub fn made_from(&self, made_from: &MadeFrom) {
        self.append(Content::MadeFrom { made_from });
    }

    fn append(&self, content: Content) {
        if let Err(error) = self.write(content) {
            tracing::warn!(folder = %self.folder.display(), %error, "the log of seconds cannot be written");
        }
    }

    fn write(&self, content: Content) -> std::io::Result<()> {
        let host = host();
        let line = Line { unix_seconds: unix_time().0, host: &host, process: std::process::id(), content };
        let text = serde_json::to_string(&line)? + "\n";
        // A poisoned lock still contains the file; nothing panics while it is locked.
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = match &mut *file {
            Some(file) => file,
            none => none.insert(self.create()?),
        };
        // In one call, so that a killed process leaves whole lines.
        file.write_all(text.as_bytes())
    }

    fn create(&self) -> std::io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let (seconds, nanoseconds) = unix_time();
        let name = format!("{seconds}-{nanoseconds:09}-{}.jsonl", std::process::id());
        OpenOptions::new().append(true).create_new(true).open(self.folder.join(name))
    }
}

/// Every entry of the logs under `root`, in the order of their files. Lines that cannot be read are passed over: a log
/// is no result.
pub fn entries(root: &Path) -> Vec<Entry> {
    lines(root).iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What the cells under `root` were made from, the last run last.
pub fn made_from(root: &Path) -> Vec<MadeFrom> {
    #[derive(Deserialize)]
    struct Line {
        made_from: MadeFrom,
    }
    let lines = lines(root);
    let lines = lines.iter().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.map(|line| line.made_from).collect()
}

/// Every line of the logs under `root`.
fn lines(root: &Path) -> Vec<String> {
    let files = fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
    files.sort();
    let texts: Vec<String> = files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

/// Tokens that the model computed per second, over the entries that say how many.
pub fn computed_rate<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<f64> {
    per_second(entries.filter_map(|entry| Some((entry.computed?, entry.seconds))))
}

/// Tokens of samples scored per second, those that samples share counted for each: what the time of a dataset is
/// estimated from.
pub fn rate<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<f64> {
    per_second(entries.map(|entry| (entry.tokens, entry.seconds)))
}

fn per_second(entries: impl Iterator<Item = (u64, f64)>) -> Option<f64> {
    let (tokens, seconds) = entries.fold((0, 0.0), |(tokens, seconds), (n, s)| (tokens + n, seconds + s));
    (tokens > 0 && seconds > 0.0).then(|| tokens as f64 / seconds)
}

/// Bytes of datasets per token, over the entries that say both.
pub fn bytes_a_token<'a>(entries: impl Iterator<Item = &'a Entry>) -> Option<f64> {
    let (bytes, tokens) = entries.fold((0, 0), |(bytes, tokens), entry| (bytes + entry.bytes, tokens + entry.tokens));
    (bytes > 0 && tokens > 0).then(|| bytes as f64 / tokens as f64)
}

fn unix_time() -> (u64, u32) {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or((0, 0), |since| (since.as_secs(), since.subsec_nanos()))
}

fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| fs::read_to_string("/etc/hostname"));
    name.map_or_else(|_| "unknown".to_owned(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(task: &str, tokens: u64) -> Entry {
        Entry {
            cell: Cell::new("g", task, "m"),
            parts: 1,
            cells: 2,
            seconds: 2.0,
            tokens,
            computed: (tokens != 5).then_some(tokens / 2),
            bytes: 4 * tokens,
            failed: None,
        }
    }

    #[test]
    fn lines_come_back_and_broken_ones_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let run_log = RunLog::new(root.path());
        assert!(!root.path().join(FOLDER).exists(), "nothing before the first line");
        run_log.add(&entry("a", 10));
        run_log.add(&Entry { failed: Some("no\nmemory".to_owned()), ..entry("b", 30) });
        RunLog::new(root.path()).add(&entry("c", 5));
        fs::write(root.path().join(FOLDER).join("0.jsonl"), "{\"task\": \n[]\n").unwrap();
        let found = entries(root.path());
        assert_eq!(found.iter().map(|e| e.cell.set.task.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        let file = root.path().join("a.jsonl");
        fs::write(&file, "rows").unwrap();
        let cell = Cell::new("g", "a", "m");
        let made = MadeFrom::of(&cell, (root.path(), None), &["a.jsonl".to_owned()], &file, &file);
        run_log.made_from(&made);
        assert_eq!((entries(root.path()).len(), made_from(root.path())), (3, vec![made.clone()]));
        assert!(made.cell == cell && made.files["a.jsonl"].bytes == Some(4) && made.dataset.path.is_absolute());
        let snapshot = Path::new("/h/models--o--n/snapshots/0123456789012345678901234567890123456789/x");
        assert_eq!(Source::of(snapshot).revision.as_deref(), Some("0123456789012345678901234567890123456789"));
        assert_eq!(found[1].failed.as_deref(), Some("no\nmemory"));
        assert_eq!(rate(found[..2].iter()), Some(10.0));
        assert_eq!(computed_rate(found.iter()), Some(5.0), "not of the one that does not say");
        assert_eq!(bytes_a_token(found.iter()), Some(4.0));
        assert_eq!((rate([].iter()), bytes_a_token([].iter())), (None, None));
    }
}
