//! `tokshift inspect`: shows how a model is read.
//!
//! Owns the values that follow from headers alone. No weights are loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use candle_core::DType;
use serde::Serialize;

use super::args::InspectArgs;
use super::exit::Exit;
use super::{kl, progress};
use crate::decoder::{Adapter, Checkpoint, DecoderSpec, Rope, RopeScaling, Targets, VOCABULARY_BLOCK};
use crate::engine::local;
use crate::escape::visible;
use crate::experiments::Options;
use crate::score::named::{self, NamedModel};
use crate::tokenize::TextTokenizer;

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Inspected<'a> {
    path: PathBuf,
    /// What is added to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<AdapterFiles>,
    /// Files that decide the numbers, by name.
    files: BTreeMap<String, u64>,
    parameters: u64,
    /// By the type in which they are stored.
    stored: BTreeMap<String, StoredKind>,
    /// What `--dtype auto` chooses.
    dtype: &'static str,
    /// Why.
    dtype_because: String,
    /// What its owner should know of how it is read.
    notes: &'a [String],
    context: usize,
    spec: &'a DecoderSpec,
    tokenizer: Tokenizer,
    memory: Memory,
}

#[derive(Debug, Serialize)]
struct AdapterFiles {
    path: PathBuf,
    /// Files that decide what it adds, by name.
    files: BTreeMap<String, u64>,
    #[serde(flatten)]
    targets: Targets,
}

#[derive(Debug, Default, Serialize)]
struct StoredKind {
    tensors: u64,
    parameters: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Tokenizer {
    Read {
        path: PathBuf,
        tokens: usize,
        /// What stands before every text.
        prefix: Vec<u32>,
        blake3: String,
    },
    /// Why there is none.
    Missing { missing: String },
}

/// Bytes, estimated.
#[derive(Debug, Serialize)]
struct Memory {
    weights: u64,
    /// Of the tokens that are computed at once by default.
    batch: u64,
    batch_tokens: usize,
}

/// Prints what was understood of a model.
pub fn run(args: &InspectArgs) -> Result<Exit> {
    let NamedModel { path, adapter, .. } = NamedModel::find(named::split(&args.model).0, &args.model)?;
    let checkpoint = Checkpoint::open(&path)?;
    let adapter = adapter.map(|adapter| AdapterFiles::read(adapter, checkpoint.spec())).transpose()?;
    let inspected = Inspected { adapter, ..Inspected::of(&checkpoint, path)? };
    if args.json {
        return kl::print(&(serde_json::to_string_pretty(&inspected)? + "\n"));
    }
    kl::print(&inspected.describe())
}

impl<'a> Inspected<'a> {
    fn of(checkpoint: &'a Checkpoint, path: PathBuf) -> Result<Self> {
        let dtype = checkpoint.stored_dtype();
        let mut stored: BTreeMap<String, StoredKind> = BTreeMap::new();
        let mut weights = 0;
        for (_, tensor) in checkpoint.tensors() {
            let parameters = tensor.shape.iter().product::<usize>() as u64;
            // Vectors are kept in f32 whatever the matrices are.
            let width = if tensor.shape.len() > 1 { dtype } else { DType::F32 }.size_in_bytes();
            weights += parameters * width as u64;
            let kind = stored.entry(tensor.kind).or_default();
            kind.tensors += 1;
            kind.parameters += parameters;
            kind.bytes += tensor.bytes;
        }
        let spec = checkpoint.spec();
        let batch_tokens = Options::default().batch_tokens();
        Ok(Self {
            adapter: None,
            files: sizes(checkpoint.files())?,
            parameters: stored.values().map(|kind| kind.parameters).sum(),
            stored,
            dtype: dtype.as_str(),
            dtype_because: checkpoint.why_stored_dtype(),
            notes: checkpoint.notes(),
            context: spec.max_tokens,
            spec,
            tokenizer: Tokenizer::of(&named::tokenizer_of(&path)),
            memory: Memory { weights, batch: batch_bytes(spec, batch_tokens), batch_tokens },
            path,
        })
    }

    fn describe(&self) -> String {
        let Self { spec, memory, .. } = self;
        let kinds = self.stored.iter().map(|(kind, of)| format!("{} {kind}", count(of.parameters)));
        let heads = format!("{} heads of {}, {} for keys and values", spec.heads, spec.head_dim, spec.kv_heads);
        let tied = if spec.tied_head { ", head and embedding are one" } else { "" };
        let bytes: u64 = self.files.values().sum();
        let (weights, batch) = (progress::size(memory.weights), progress::size(memory.batch));
        let lines = [
            ("model", format!("{}, {}", self.path.display(), progress::size(bytes))),
            ("parameters", format!("{} ({})", count(self.parameters), kinds.collect::<Vec<_>>().join(", "))),
            ("dtype", format!("{} by default: {}", self.dtype, self.dtype_because)),
            ("context", format!("{} tokens", self.context)),
            ("vocabulary", format!("{} ids{tied}", spec.vocab)),
            ("layers", format!("{} of width {}: {heads}", spec.layers, spec.hidden)),
            ("feed-forward", feed_forward(spec)),
            (
                "norms",
                format!(
                    "{}, eps {}, of queries and keys: {}",
                    word(spec.norms),
                    spec.norm_eps as f32,
                    word(spec.qk_norm)
                ),
            ),
            ("attention", attention(spec)),
            ("rope", spec.ropes.iter().map(rotation).collect::<Vec<_>>().join("; ")),
            ("tokenizer", self.tokenizer.describe()),
            ("memory", format!("{weights} for weights, about {batch} for {} tokens at once", memory.batch_tokens)),
        ];
        let adapter = self.adapter.iter().map(|adapter| ("adapter", adapter.describe()));
        let notes = adapter.chain(self.notes.iter().map(|note| ("note", note.clone())));
        let lines: Vec<String> =
            lines.into_iter().chain(notes).map(|(name, text)| format!("{name:13}{}\n", visible(&text))).collect();
        lines.concat()
    }
}

impl AdapterFiles {
    fn read(path: PathBuf, spec: &DecoderSpec) -> Result<Self> {
        let adapter = Adapter::open(&path)?;
        Ok(Self { files: sizes(adapter.files().to_vec())?, targets: adapter.targets(spec)?, path })
    }

    fn describe(&self) -> String {
        let Targets { maps, modules, ranks } = &self.targets;
        let modules = modules.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let ranks = ranks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let size = progress::size(self.files.values().sum());
        format!("{}, {size}: LoRA of rank {ranks} on {maps} maps ({modules})", self.path.display())
    }
}

/// Bytes of each file, by name.
fn sizes(files: Vec<PathBuf>) -> Result<BTreeMap<String, u64>> {
    let size = |file: PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok((name, std::fs::metadata(&file)?.len()))
    };
    files.into_iter().map(size).collect()
}

impl Tokenizer {
    fn of(path: &Path) -> Self {
        if !path.is_file() {
            return Self::Missing { missing: "no tokenizer.json".to_owned() };
        }
        match TextTokenizer::from_file(path) {
            Ok(read) => Self::Read {
                path: path.to_owned(),
                tokens: read.size(),
                prefix: read.prefix().to_vec(),
                blake3: read.identity().to_owned(),
            },
            Err(error) => Self::Missing { missing: error.to_string() },
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Missing { missing } => format!("none: {missing}"),
            Self::Read { tokens, prefix, .. } if prefix.is_empty() => format!("{tokens} tokens, nothing before a text"),
            Self::Read { tokens, prefix, .. } => format!("{tokens} tokens, {prefix:?} before every text"),
        }
    }
}

/// The values that `--json` prints too.
fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn feed_forward(spec: &DecoderSpec) -> String {
    let sparse = spec.sparse.iter().filter(|&&sparse| sparse).count();
    let dense = format!("{} wide, {}", spec.intermediate, word(spec.activation));
    match spec.experts.as_ref().filter(|_| sparse > 0) {
        None => dense,
        Some(experts) => {
            let shared = experts.shared.map(|width| format!(" and one {width} wide of all")).unwrap_or_default();
            let dense = if sparse < spec.layers { format!("; else {dense}") } else { String::new() };
            let (chosen, count, width) = (experts.chosen, experts.count, experts.intermediate);
            format!("{chosen} of {count} experts {width} wide{shared} in {sparse} layers{dense}")
        }
    }
}

fn attention(spec: &DecoderSpec) -> String {
    let widths: BTreeSet<usize> = spec.windows.iter().flatten().copied().collect();
    let of = |width: &usize| spec.windows.iter().filter(|window| **window == Some(*width)).count();
    let windows: Vec<String> = widths.iter().map(|width| format!("{width} tokens in {} layers", of(width))).collect();
    let windows = if windows.is_empty() { "sees all before it".to_owned() } else { windows.join(", ") };
    let biases = [("q, k, v", spec.qkv_bias), ("o", spec.o_bias), ("feed-forward", spec.mlp_bias)];
    let biases: Vec<&str> = biases.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let biases = if biases.is_empty() { String::new() } else { format!("; biases of {}", biases.join(", ")) };
    format!("{windows}, scale {:.6}{biases}", spec.attention_scale)
}

fn rotation(rope: &Rope) -> String {
    let pairs = if rope.interleaved { "neighbours" } else { "halves" };
    let scaling = match &rope.scaling {
        RopeScaling::None => "plain".to_owned(),
        RopeScaling::Each { .. } => "each divided by a factor of its own".to_owned(),
        RopeScaling::Linear { factor } => format!("linear {factor}"),
        RopeScaling::Llama3 { factor, .. } => format!("llama3 {factor}"),
        RopeScaling::Yarn { factor, .. } => format!("yarn {factor}"),
        RopeScaling::LongRope { original_max_tokens, .. } => format!("longrope beyond {original_max_tokens} tokens"),
    };
    format!("theta {}, {} dimensions as {pairs}, {scaling}", rope.theta, rope.rotary_dim)
}

/// What the operands of a layer and the logits of a block take, by their sizes; the allocator's share is not in it.
fn batch_bytes(spec: &DecoderSpec, tokens: usize) -> u64 {
    let residual = 4 * spec.hidden;
    let attention = 3 * (spec.query_width() + 2 * spec.key_width());
    let width = spec.experts.as_ref().map_or(spec.intermediate, |experts| spec.intermediate.max(experts.intermediate));
    let layer = tokens * (residual + attention.max(3 * width));
    let logits = local::TARGET_ROWS.min(tokens) * VOCABULARY_BLOCK.min(spec.vocab) * 2;
    ((layer + logits) * size_of::<f32>()) as u64
}

/// A number of parameters as people say it.
fn count(n: u64) -> String {
    match n {
        0..10_000 => n.to_string(),
        10_000..1_000_000 => format!("{:.1} k", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.2} B", n as f64 / 1e9),
    }
}
