//! Logs of Inspect: `.eval`, an archive with a file for each sample, and `.json`.
//!
//! Owns their fields (inspect_ai 0.3.285, log/_recorders/eval.py, log/_log.py and model/_model_output.py): tokens are texts,
//! in `output.choices[].logprobs.content`. Not here: the archive (`zip`), and one token (`answers`).

use std::path::Path;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::answers;
use super::fields::{ENDINGS, Row};
use super::names::FieldNames;
use super::tokens::{Tokens, sample};
use crate::dataset::json::{self, Fields};
use crate::error::{Error, Result};
use crate::recorded::row::{RecordedRow, RecordedSample};
use crate::recorded::zip::{self, Archive};
use crate::{digest, stand_in};

/// Bytes of a log's beginning that have its first fields.
const HEAD: usize = 4096;

/// What a log says.
pub struct Read {
    /// BLAKE3 of the file.
    pub hash: String,
    /// The model that was evaluated, and the task; empty if the log does not say.
    pub model: String,
    pub task: String,
    /// A row a sample and epoch: how messages name it, and what it says.
    pub rows: Vec<(String, Result<RecordedRow, String>)>,
}

/// Whether a file that begins so may be a log.
pub fn is_log(head: &[u8]) -> bool {
    let has = |name: &[u8]| head.windows(name.len()).any(|window| window == name);
    head.starts_with(&zip::MAGIC) || head.starts_with(b"{") && has(b"\"eval\"") && has(b"\"status\"")
}

/// The first bytes of a file.
///
/// # Errors
/// It cannot be read.
pub fn head(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let mut head = Vec::new();
    file.take(HEAD as u64).read_to_end(&mut head).map_err(Error::io("read", path))?;
    Ok(head)
}

/// Reads a log. Memory: a sample's text at a time of an archive, the whole text of a `.json`, and the numbers of all.
///
/// # Errors
/// A file that cannot be read or is no log; what is wrong with a sample is its row's failure.
pub fn read(path: &Path, tokens: Option<Tokens>, kept: &[String]) -> Result<Read> {
    let hash = digest::file(path)?;
    if head(path)?.starts_with(&zip::MAGIC) {
        archive(path, hash, tokens, kept)
    } else {
        whole(path, hash, tokens, kept)
    }
}

/// What a log says of the evaluation.
#[derive(Default, Deserialize)]
struct Eval {
    #[serde(default)]
    task: String,
    #[serde(default)]
    model: String,
}

fn archive(path: &Path, hash: String, tokens: Option<Tokens>, kept: &[String]) -> Result<Read> {
    let archive = Archive::open(path)?;
    let names: Vec<String> = archive.names().filter(|name| is_sample(name)).map(str::to_owned).collect();
    // A run that has not ended has its beginning alone.
    let described = ["header.json", "_journal/start.json"].into_iter().find_map(|name| archive.read(name).ok());
    let Some(described) = described else {
        return Err(Error::file(path, "is an archive without `header.json`: no log of Inspect"));
    };
    let Eval { task, model } = eval(path, &String::from_utf8_lossy(&described))?;
    let row = |name: String| {
        let text = archive.read(&name).and_then(|bytes| String::from_utf8(bytes).map_err(|e| e.to_string()));
        let row = text.and_then(|text| of_sample(&text, tokens, kept));
        (name, row)
    };
    Ok(Read { hash, model, task, rows: names.into_iter().map(row).collect() })
}

fn is_sample(name: &str) -> bool {
    name.strip_prefix("samples/").and_then(|name| name.strip_suffix(".json")).is_some()
}

fn whole(path: &Path, hash: String, tokens: Option<Tokens>, kept: &[String]) -> Result<Read> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    stand_in::reject(path, &bytes)?;
    let text = String::from_utf8(bytes).map_err(|e| Error::file(path, format!("invalid UTF-8: {e}")))?;
    let text = json::standard(&text);
    let fields = Fields::parse(&text, &["eval", "samples"]).map_err(|what| Error::file(path, what))?;
    let Eval { task, model } = eval(path, &text)?;
    let samples: Vec<&RawValue> = match fields.get("samples") {
        Some(_) => fields.list("samples", "samples").map_err(|what| Error::file(path, what))?,
        None => Vec::new(),
    };
    let row = |(place, sample): (usize, &RawValue)| (format!("sample {place}"), of_sample(sample.get(), tokens, kept));
    Ok(Read { hash, model, task, rows: samples.into_iter().enumerate().map(row).collect() })
}

fn eval(path: &Path, text: &str) -> Result<Eval> {
    let text = json::standard(text);
    let fields = Fields::parse(&text, &["eval"]).map_err(|what| Error::file(path, what))?;
    let eval = fields.get("eval").ok_or_else(|| Error::file(path, "has no `eval`: no log of Inspect"))?;
    serde_json::from_str(eval).map_err(|e| Error::file(path, format!("`eval`: {e}")))
}

/// The row of a sample: its choices. Epochs of one sample are not independent.
fn of_sample(text: &str, tokens: Option<Tokens>, kept: &[String]) -> Result<RecordedRow, String> {
    let text = json::standard(text);
    let wanted: Vec<&str> =
        ["id", "epoch", "output", "error"].into_iter().chain(kept.iter().map(String::as_str)).collect();
    let fields = Fields::parse(&text, &wanted)?;
    let (id, epoch) = (fields.label("id")?, fields.label("epoch")?);
    let output = fields.get("output").ok_or_else(|| fields.missing("output"))?;
    let output = Fields::parse(output, &["choices", "error"])?;
    let choices: Vec<&RawValue> = output.list("choices", "choices")?;
    let mut row = RecordedRow { cluster: id.clone(), ..RecordedRow::default() };
    row.id = id.map(|id| epoch.map_or(id.clone(), |epoch| format!("{id} epoch {epoch}")));
    for (place, choice) in choices.iter().enumerate() {
        let found = of_choice(choice.get(), tokens).map_err(|what| format!("choice {place}: {what}"))?;
        row.samples.push(found.0);
        row.is_given |= found.1;
    }
    row.kept = kept.iter().map(|name| fields.kept(name, false)).collect::<Result<_, String>>()?;
    if row.samples.is_empty() { Err("`choices` is empty: the model gave no output".to_owned()) } else { Ok(row) }
}

/// The sample of a choice, and whether its tokens were given.
fn of_choice(raw: &str, tokens: Option<Tokens>) -> Result<(RecordedSample, bool), String> {
    let wanted: Vec<&str> = ["logprobs", "prompt_logprobs"].into_iter().chain(ENDINGS).collect();
    let (fields, none) = (Fields::parse(raw, &wanted)?, FieldNames::default());
    let choice = Row::new(&fields, &none);
    let content = |raw: &str| {
        let fields = Fields::parse(raw, &["content"])?;
        let content = fields.get("content").ok_or_else(|| fields.missing("content"))?;
        sample(None, answers::of_chat(content)?)
    };
    match (choice.get("prompt_logprobs"), choice.get("logprobs"), tokens) {
        (Some(_), Some(_), None) => Err(
            "it has numbers of the prompt and of the generated tokens: --tokens prompt or --tokens generated chooses"
                .to_owned(),
        ),
        (Some(raw), _, None | Some(Tokens::Prompt)) => Ok((content(raw)?, true)),
        (_, Some(raw), None | Some(Tokens::Generated)) => {
            let mut sample = content(raw)?;
            sample.is_cut = choice.is_cut()?;
            Ok((sample, false))
        }
        _ => Err("it has no log-probabilities: run the evaluation with `--logprobs`".to_owned()),
    }
}
