//! What is scored: from options to a device, datasets and the one tokenizer.
//!
//! Owns the defaults that depend on one another. Refuses to score, and to create anything.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Device;

use super::args::{Listed, ScoreArgs};
use super::models::Model;
use super::named;
use super::progress;
use crate::dataset::{self, FieldNames, Plan, PlanOptions, RowOptions};
use crate::error::Error;
use crate::experiments::Options;
use crate::gguf::is_gguf;
use crate::template::{self, ChatTemplate, SpecialTokens};
use crate::tokenize;
use crate::{hub, python_json};

/// A dataset with its names.
pub struct Dataset {
    pub generation_model: String,
    pub task: String,
    pub plan: Plan,
}

/// `--device`.
pub fn device(text: &str) -> Result<Device> {
    let cuda = |index: &str| -> Result<Device> {
        let index = index.parse().with_context(|| format!("--device {text}: expected cuda:N"))?;
        Device::new_cuda(index).with_context(|| format!("--device {text}"))
    };
    match text.split_once(':') {
        None if text == "cpu" => Ok(Device::Cpu),
        None if text == "cuda" => cuda("0"),
        Some(("cuda", index)) => cuda(index),
        _ => bail!("--device {text}: expected cpu, cuda or cuda:N"),
    }
}

/// Scans the datasets and settles their names.
pub fn datasets(args: &ScoreArgs) -> Result<Vec<Dataset>> {
    let (options, mut names) = (args.options.options(), BTreeSet::new());
    let dataset = |path: &PathBuf| {
        let (generation_model, task) = dataset_names(args, path)?;
        if !names.insert((generation_model.clone(), task.clone())) {
            bail!(
                "two datasets are called {generation_model}_{task}: score them one at a time with --generation-model"
            );
        }
        Ok(Dataset { generation_model, task, plan: scan(path, &options)? })
    };
    Listed::all(&args.dataset).iter().map(dataset).collect()
}

/// Scans a dataset as the options say.
///
/// # Errors
/// What the scan refuses, and field names that make no sense.
pub fn scan(path: &Path, options: &Options) -> Result<Plan, Error> {
    let fields = FieldNames::parse(options.fields.as_deref().unwrap_or_default());
    let fields = fields.map_err(|what| Error::Usage(format!("--fields {what}")))?;
    let rows = RowOptions { fields, cluster: options.cluster.clone(), keep: options.keep_fields() };
    dataset::scan(path, PlanOptions { rows, limit: options.limit })
}

fn dataset_names(args: &ScoreArgs, path: &Path) -> Result<(String, String)> {
    let models: Vec<String> = match &args.generation_model {
        Some(name) => vec![name.clone()],
        None => Listed::all(&args.models).iter().map(|model| named::split(model).0).collect(),
    };
    let found = dataset::names_from_path(path, &models);
    let from_file = found.as_ref().map(|(generation_model, task)| (Some(generation_model), Some(task)));
    let (generation_model, task) = from_file.unwrap_or_default();
    match (args.generation_model.as_ref().or(generation_model), args.task.as_ref().or(task)) {
        (Some(generation_model), Some(task)) => Ok((generation_model.clone(), task.clone())),
        _ => {
            bail!("`{}` is not called GENERATION-MODEL_TASK.jsonl: give --generation-model and --task", path.display())
        }
    }
}

/// The tokenizer that was asked for.
pub fn tokenizer_path(source: &str) -> Result<PathBuf> {
    Ok(match Path::new(source) {
        path if path.is_file() => path.to_owned(),
        _ => tokenizer_of(&hub::resolve(source, hub::Kind::Model)?),
    })
}

/// Where the tokenizer of a model is, if it has one: a GGUF file holds its own.
pub fn tokenizer_of(model: &Path) -> PathBuf {
    if model.is_file() { model.to_owned() } else { model.join("tokenizer.json") }
}

/// A chat template from its file, with the special tokens of the model at `tokens`; or from a model directory, GGUF file
/// or hub id.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn chat_template(source: &str, tokens: &Path) -> Result<ChatTemplate> {
    let path = Path::new(source);
    if path.is_file() && !is_gguf(path) {
        return Ok(ChatTemplate::from_file(path, SpecialTokens::of_model(tokens)?)?);
    }
    match ChatTemplate::of_model(&hub::resolve(source, hub::Kind::Model)?)? {
        Some(template) => Ok(template),
        None => bail!("`{source}` has no chat template: neither in its own file nor beside the tokenizer's settings"),
    }
}

/// The chat template that was asked for, else that of the tokenizer's directory or GGUF file if it has one.
pub fn chat_template_of(options: &Options, tokenizer: &Path) -> Result<Option<ChatTemplate>> {
    let model = if is_gguf(tokenizer) { tokenizer } else { tokenizer.parent().unwrap_or(Path::new(".")) };
    let template = match &options.chat_template {
        Some(source) => Some(chat_template(source, model)?),
        // Rows of text need none: what is wrong with it is told where it is missed.
        None => ChatTemplate::of_model(model).unwrap_or_else(|error| {
            progress::say(&format!("warning: {error}"));
            None
        }),
    };
    let kwargs = options.chat_template_kwargs.clone().unwrap_or_default();
    let date = options.chat_date.unwrap_or(template::DATE);
    Ok(template.map(|template| template.with_date(date).with_kwargs(kwargs)))
}

/// Every id that a model's configuration says ends a text; none if it says nothing.
///
/// # Errors
/// A file that is no JSON.
pub fn end_ids(directory: &Path) -> Result<Vec<u32>> {
    for name in ["generation_config.json", "config.json"] {
        let path = directory.join(name);
        let Ok(text) = std::fs::read(&path) else { continue };
        let config = python_json::parse(&path, &text)?;
        let ids = config.get("eos_token_id").unwrap_or(&serde_json::Value::Null);
        let ids = ids.as_array().map_or(std::slice::from_ref(ids), Vec::as_slice);
        let mut ids: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()).collect();
        if !ids.is_empty() {
            ids.sort_unstable();
            ids.dedup();
            return Ok(ids);
        }
    }
    Ok(Vec::new())
}

/// `--end`: no token, an id, or the one end-of-sequence id of the generation config beside the tokenizer, or of the
/// GGUF file that holds it.
///
/// # Errors
/// A text that is none of these, a file that does not name one token, an id that a model does not have.
pub fn end_token(text: &str, models: &[&Model], tokenizer: &Path) -> Result<Option<u32>> {
    let end = named_end_token(text, tokenizer)?;
    let lacks = |model: &&&Model| end.zip(model.vocab()).is_some_and(|(end, vocab)| end as usize >= vocab);
    match models.iter().find(lacks) {
        Some(model) => bail!("--end {text}: `{}` has no token {}", model.named.name, end.unwrap_or_default()),
        None => Ok(end),
    }
}

fn named_end_token(text: &str, tokenizer: &Path) -> Result<Option<u32>> {
    match text {
        "none" => Ok(None),
        "auto" if is_gguf(tokenizer) => Ok(Some(tokenize::gguf_end_token(tokenizer).context("--end auto")?)),
        "auto" => {
            let path = tokenizer.with_file_name("generation_config.json");
            let config =
                std::fs::read(&path).with_context(|| format!("--end auto: cannot read `{}`", path.display()))?;
            let config = python_json::parse(&path, &config)?;
            let ids = config.get("eos_token_id").unwrap_or(&serde_json::Value::Null);
            if ids.as_array().is_some_and(|ids| ids.len() > 1) {
                // Which of them ends a turn is not written there, and the wrong one costs some 12 nats a response.
                bail!(
                    "--end auto: `{}` names several end tokens, {ids}: give the id of the one that ends a turn",
                    path.display()
                );
            }
            let id = ids.get(0).unwrap_or(ids).as_u64();
            match id.and_then(|id| u32::try_from(id).ok()) {
                Some(id) => Ok(Some(id)),
                None => bail!("--end auto: `{}` names no eos_token_id; give the id", path.display()),
            }
        }
        id => match id.parse() {
            Ok(id) => Ok(Some(id)),
            Err(_) => bail!("--end {id}: expected none, auto or a token id"),
        },
    }
}
