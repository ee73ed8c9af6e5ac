//! What tests of the binary share: a folder of their own, datasets, commands, tables as columns.

#![allow(dead_code)] // Each test file uses a part of it.

pub mod converted;
pub mod heads;
pub mod held;
pub mod made;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, Float64Type, UInt32Type};
use assert_cmd::Command;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Environment that would reach for the network or change what a user sees.
const FOREIGN: [&str; 9] = [
    "COLUMNS",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HF_ENDPOINT",
    "HF_HUB_OFFLINE",
    "RUST_BACKTRACE",
    "RUST_LOG",
];

/// What nothing ever stops.
pub static NEVER: AtomicBool = AtomicBool::new(false);

/// Every fixture checkpoint.
pub const CHECKPOINTS: [&str; 20] = [
    "qwen3-tied",
    "qwen3-shifted",
    "qwen3-bias",
    "llama3",
    "llama-bf16",
    "qwen2-yarn",
    "llama-linear",
    "smollm3",
    "mistral",
    "gemma2",
    "gemma3",
    "gemma3-vision",
    "phi3-longrope",
    "olmo2",
    "granite",
    "glm4",
    "mixtral",
    "qwen2-moe",
    "qwen3-moe",
    "qwen3-fp8",
];

/// A fixture checkpoint, absolute.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    /// It ended with `code` and said `text` somewhere on stderr.
    #[track_caller]
    pub fn expect(&self, code: i32, text: &str) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        assert!(self.stderr.contains(text), "expected {text:?} in:\n{}", self.stderr);
        self
    }

    /// It said `text` somewhere on stdout.
    #[track_caller]
    #[allow(dead_code, reason = "not every test file needs it")]
    pub fn expect_out(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text), "expected {text:?} in:\n{}", self.stdout);
        self
    }
}

/// A folder that a test works in, removed after it.
pub struct Scene {
    folder: TempDir,
}

impl Scene {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file of these bytes.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A dataset of these rows.
    pub fn dataset(&self, name: &str, rows: &[Value]) -> PathBuf {
        self.write(name, rows.iter().map(|row| row.to_string() + "\n").collect::<String>())
    }

    /// A copy of a fixture checkpoint that a test may break.
    pub fn model(&self, name: &str, of: &str) -> PathBuf {
        let folder = self.path(name);
        fs::create_dir_all(&folder).unwrap();
        for entry in fs::read_dir(fixture(of)).unwrap().flatten() {
            fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
        folder
    }

    /// The binary in this folder, with `arguments` split at spaces and no environment of the user's.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = Command::cargo_bin("tokshift").unwrap();
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path()).args(arguments.split_whitespace());
        command
    }

    /// Runs the command; whatever happens, no panic may reach a user.
    #[track_caller]
    pub fn run(&self, arguments: &str) -> Said {
        said(&mut self.command(arguments))
    }

    /// `score` of a dataset in this folder by `models` (fixtures, as NAME=FIXTURE), with more options.
    #[track_caller]
    pub fn score(&self, dataset: &str, models: &[(&str, &str)], output: &str, more: &str) -> Said {
        let models: Vec<String> = models.iter().map(|(name, of)| format!("{name}={}", fixture(of).display())).collect();
        self.run(&format!("score --dataset {dataset} --models {} --output-dir {output} {more}", models.join(",")))
    }

    /// Starts the command and lets it run.
    pub fn start(&self, arguments: &str) -> Running {
        let command = self.command(arguments);
        let mut started = std::process::Command::new(command.get_program());
        started.args(command.get_args()).current_dir(self.folder.path());
        for name in FOREIGN {
            started.env_remove(name);
        }
        Running(started.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Parts of `output` whose tokens are published.
    pub fn parts(&self, output: &str) -> usize {
        let mut parts = 0;
        let tokens = self.path(output).join("tokens");
        if tokens.exists() {
            walk(&tokens, &mut |_| parts += 1);
        }
        parts
    }

    /// Every file under a folder: its path within it, and its bytes. Logs of what runs cost are no results.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut found = BTreeMap::new();
        let root = self.path(folder);
        walk(&root, &mut |path| {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if !name.split('/').any(|folder| folder == "logs") {
                found.insert(name, fs::read(path).unwrap());
            }
        });
        found
    }

    /// A table of a cell.
    pub fn table(&self, output: &str, table: &str, generation_model: &str, task: &str, model: &str) -> Columns {
        let cell = format!("{output}/{table}/generation_model={generation_model}/task={task}/model={model}");
        Columns::read(&self.path(&cell))
    }
}

/// A command that runs, ended with the test.
pub struct Running(pub Child);

impl Running {
    /// Sends signals by their names, all while the process sleeps, so that they arrive together.
    pub fn signal(&self, names: &[&str]) {
        let pid = self.0.id();
        let all = [&["STOP"], names, &["CONT"]].concat();
        let script: Vec<String> = all.iter().map(|name| format!("kill -{name} {pid}")).collect();
        let script = script.join(" && ");
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    /// Waits until `happened`; the command must not end before.
    #[track_caller]
    pub fn until(&mut self, happened: impl Fn() -> bool) {
        while !happened() {
            assert_eq!(self.0.try_wait().unwrap(), None, "ended too early");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits for its end; `code` is `None` if a signal killed it.
    pub fn end(mut self) -> Said {
        let text = |from: &mut dyn std::io::Read| {
            let mut text = String::new();
            from.read_to_string(&mut text).unwrap();
            text
        };
        let (stdout, stderr) = (text(self.0.stdout.as_mut().unwrap()), text(self.0.stderr.as_mut().unwrap()));
        Said { code: self.0.wait().unwrap().code(), stdout, stderr: without_class_note(&stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Qwen's fixtures have a byte-level tokenizer without Qwen's rules, which every command says of them. Tests of other things
/// do not look at that line; those of tokenizer classes read the notes themselves.
fn without_class_note(stderr: &str) -> String {
    let is_it = |line: &&str| line.contains("transformers 5 may put a Qwen2Tokenizer together by rules of its own");
    stderr.split_inclusive('\n').filter(|line| !is_it(line)).collect()
}

/// Runs a command; whatever happens, no panic may reach a user.
#[track_caller]
pub fn said(command: &mut Command) -> Said {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let stderr = without_class_note(&text(output.stderr));
    let said = Said { code: output.status.code(), stdout: text(output.stdout), stderr };
    let exits = [0, 1, 2, 3, 4, 5].map(Some);
    assert!(exits.contains(&said.code) && !said.stderr.contains("panicked"), "{:?}: {}", said.code, said.stderr);
    said
}

fn walk(folder: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, see) } else { see(&path) }
    }
}

/// The Parquet files of a cell as one batch.
pub struct Columns(pub RecordBatch);

impl Columns {
    pub fn read(cell: &Path) -> Self {
        let mut paths: Vec<PathBuf> = fs::read_dir(cell).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let batches: Vec<RecordBatch> = paths.iter().flat_map(|path| batches(path)).collect();
        Self(concat_batches(&batches[0].schema(), &batches).unwrap())
    }

    pub fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, name: &str) -> &ArrayRef {
        self.0.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"))
    }

    fn numbers<T: ArrowPrimitiveType>(&self, name: &str) -> Vec<Option<T::Native>> {
        self.column(name).as_primitive::<T>().iter().collect()
    }

    pub fn u32s(&self, name: &str) -> Vec<Option<u32>> {
        self.numbers::<UInt32Type>(name)
    }

    pub fn f32s(&self, name: &str) -> Vec<Option<f32>> {
        self.numbers::<Float32Type>(name)
    }

    pub fn f64s(&self, name: &str) -> Vec<Option<f64>> {
        self.numbers::<Float64Type>(name)
    }

    pub fn bools(&self, name: &str) -> Vec<Option<bool>> {
        self.column(name).as_boolean().iter().collect()
    }

    pub fn texts(&self, name: &str) -> Vec<Option<String>> {
        self.column(name).as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
    }

    fn lists<T: ArrowPrimitiveType>(&self, name: &str) -> Vec<Vec<T::Native>> {
        let lists = self.column(name).as_list::<i32>();
        (0..lists.len()).map(|row| lists.value(row).as_primitive::<T>().values().to_vec()).collect()
    }

    pub fn u32_lists(&self, name: &str) -> Vec<Vec<u32>> {
        self.lists::<UInt32Type>(name)
    }

    pub fn f32_lists(&self, name: &str) -> Vec<Vec<f32>> {
        self.lists::<Float32Type>(name)
    }
}

fn batches(path: &Path) -> Vec<RecordBatch> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    reader.map(Result::unwrap).collect()
}

/// A dataset of `n` rows in the manner of [`rows`]; a part holds 256.
pub fn many_rows(n: usize) -> Vec<Value> {
    let row = |(i, mut row): (usize, Value)| {
        row["id"] = json!(i);
        row["output"] = json!(format!("{} ({i})", row["output"].as_str().unwrap()));
        row
    };
    rows().into_iter().cycle().take(n).enumerate().map(row).collect()
}

/// Thirty rows of ordinary text, several with equal prompts, with a reward, a group and an id.
pub fn rows() -> Vec<Value> {
    const PROMPTS: [&str; 6] = [
        "Question: what is the capital of France?\nAnswer:",
        "Où se trouve la gare de Lyon ? ",
        "把下面的句子翻译成英文：你好，世界。\n",
        "def mean(xs):\n    ",
        "A train leaves at 9:40 and arrives at 12:15. How long does it take?",
        "Say something cheerful 🙂 ",
    ];
    const RESPONSES: [&str; 5] = [
        " Paris, of course; it has been for centuries.",
        "Là-bas, tout près du café — vous ne pouvez pas la manquer.",
        "Hello, world! 你好 means hello 👋🏽, and 世界 means world.",
        "return sum(xs) / len(xs)  # naïve, but fine\n",
        " <think>From 9:40 to 12:15 is 2 h 35 min.</think> Two hours and thirty-five minutes.",
    ];
    let row = |i: usize| {
        json!({
            "id": format!("row-{i}"),
            "input": PROMPTS[i % PROMPTS.len()],
            "output": format!("{} ({i})", RESPONSES[i % RESPONSES.len()]),
            "reward": i as f64 / 10.0,
            "correct": i.is_multiple_of(3),
            "group": format!("g{}", i % 4),
        })
    };
    (0..30).map(row).collect()
}
