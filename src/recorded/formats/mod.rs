//! The formats that recorded numbers come in.
//!
//! Owns how a format is recognised by a row's fields, and what all have in common: names, clusters, kept fields. Each
//! format has a file of its own, which reads one row.

mod answers;
mod fields;
pub mod inspect;
mod lists;
pub mod names;
mod rollouts;
mod rows;
mod sglang;
mod tinker;
pub mod token_losses;
mod tokens;
mod vllm;

use std::path::Path;

use self::fields::Row;
use self::names::FieldNames;
pub use self::tokens::Tokens;
use super::row::RecordedRow;
use crate::dataset::json::{self, Fields};
use crate::dataset::records::Records;
use crate::dataset::unpack::{Packing, Tally};
use crate::error::{Error, Result};
use crate::llama_logits::is_logits_file;
use crate::store::UNKNOWN;

/// A format of recorded numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// prime-rl's token exports.
    PrimeRl,
    /// NeMo-RL's training data.
    NemoRl,
    /// vLLM's `RequestOutput` as JSON.
    Vllm,
    /// Answers of servers that speak OpenAI's language.
    Answers,
    /// SGLang's answers of `/generate`.
    Sglang,
    /// tinker's answers of its sampling client.
    Tinker,
    /// Logs of Inspect.
    Inspect,
    /// Rows of ids and log-probabilities.
    Rows,
    /// The published study's file of token losses, which is one JSON object.
    TokenLosses,
}

impl Format {
    /// All of them, in the order in which they are tried.
    pub const ALL: [Self; 9] = [
        Self::PrimeRl,
        Self::NemoRl,
        Self::Vllm,
        Self::Sglang,
        Self::Tinker,
        Self::Inspect,
        Self::Rows,
        Self::Answers,
        Self::TokenLosses,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrimeRl => "prime-rl",
            Self::NemoRl => "nemo-rl",
            Self::Vllm => "vllm",
            Self::Answers => "openai",
            Self::Sglang => "sglang",
            Self::Tinker => "tinker",
            Self::Inspect => "inspect",
            Self::Rows => "rows",
            Self::TokenLosses => "token-losses",
        }
    }

    /// What made the numbers of each of its models, for manifests, in the order of a row's numbers.
    pub fn models(self) -> &'static [&'static str] {
        match self {
            Self::PrimeRl => &["prime-rl token export, inference_logprobs", "prime-rl token export, trainer_logprobs"],
            Self::NemoRl => &["NeMo-RL train data, generation_logprobs", "NeMo-RL train data, prev_logprobs"],
            Self::Vllm => &["vLLM outputs"],
            Self::Answers => &["answers of a server"],
            Self::Sglang => &["SGLang answers"],
            Self::Tinker => &["tinker answers"],
            Self::Inspect => &["Inspect log"],
            Self::Rows => &["rows of log-probabilities"],
            Self::TokenLosses => &["token losses"],
        }
    }

    /// What its ranks count, for manifests.
    pub fn rank_rule(self) -> &'static str {
        match self {
            // Answers with ranks are vLLM's.
            Self::TokenLosses | Self::Vllm | Self::Answers => VLLM_RANKS,
            Self::PrimeRl | Self::NemoRl | Self::Sglang | Self::Tinker | Self::Inspect | Self::Rows => UNKNOWN,
        }
    }

    /// Names of the models, if the format has several: the first wrote the responses.
    pub fn model_names(self) -> &'static [&'static str] {
        match self {
            Self::PrimeRl | Self::NemoRl => &["inference", "trainer"],
            _ => &[],
        }
    }

    /// Fields that are kept without being named, as far as rows have them.
    fn kept(self) -> &'static [&'static str] {
        match self {
            Self::PrimeRl => &rollouts::PRIME_RL_KEPT,
            Self::NemoRl => &rollouts::NEMO_RL_KEPT,
            _ => &[],
        }
    }

    /// The fields that are read from a row; some of them recognise the format.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::PrimeRl => &rollouts::PRIME_RL,
            Self::NemoRl => &rollouts::NEMO_RL,
            Self::Vllm => &vllm::FIELDS,
            Self::Answers => &answers::FIELDS,
            Self::Sglang => &sglang::FIELDS,
            Self::Tinker => &tinker::FIELDS,
            Self::Rows => &rows::FIELDS,
            Self::Inspect | Self::TokenLosses => &[],
        }
    }

    /// The fields of every format, which may be called otherwise in rows.
    pub fn fields_of_all() -> Vec<&'static str> {
        Self::ALL.iter().flat_map(|format| format.fields()).copied().chain([CONTEXT]).collect()
    }

    /// The fields that a row of it has, in one of several ways.
    fn needs(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::PrimeRl => &[&["token_ids", "inference_logprobs", "trainer_logprobs", "loss_mask"]],
            Self::NemoRl => &[&["token_ids", "generation_logprobs", "prev_logprobs", "token_loss_mask"]],
            Self::Vllm => &[&["prompt_token_ids", "outputs"]],
            Self::Answers => &[&["choices"], &["response"], &["body"]],
            Self::Sglang => &[&["meta_info"]],
            Self::Tinker => &[&["sequences"]],
            Self::Rows => &[&["token_ids", "logprobs"]],
            Self::Inspect => &[&["eval", "samples"]],
            Self::TokenLosses => &[&["results"]],
        }
    }

    /// The format of the file at `path`, by the fields of its first row.
    ///
    /// # Errors
    /// A file that cannot be read, or whose first row has the fields of none.
    pub fn of_file(path: &Path, names: &FieldNames) -> Result<Self> {
        if is_logits_file(path) {
            let file = path.display();
            return Err(Error::usage(format!(
                "`{file}` is a logits file of llama.cpp, which is read as a model: tokshift score --text {file} \
                 --models base={file},q=MODEL --exact --output-dir DIR"
            )));
        }
        if inspect::is_log(&inspect::head(path)?) {
            return Ok(Self::Inspect);
        }
        let needs = Self::ALL.iter().flat_map(|format| format.needs().concat());
        let all: Vec<&str> = needs.map(|name| names.of(name)).collect();
        let mut records = Records::begin(path, Packing::of(path)?, &Tally::default(), &all)?;
        while let Some(record) = records.next_record()? {
            let Ok(text) = str::from_utf8(record.text()) else { continue };
            if text.is_empty() {
                continue;
            }
            let text = json::standard(text);
            // The study's file is one object over many lines.
            let Ok(fields) = Fields::parse(&text, &all) else { break };
            let has = |name: &&str| fields.get(names.of(name)).is_some();
            if let Some(format) =
                Self::ALL.into_iter().find(|format| format.needs().iter().any(|needs| needs.iter().all(has)))
            {
                return Ok(format);
            }
            let described: Vec<String> = Self::ALL.iter().map(|format| format.described()).collect();
            let what = format!("its first row has the fields of no known format: {}", described.join("; "));
            return Err(Error::dataset(path, None, format!("{what}. --fields names yours, --format chooses one")));
        }
        Ok(Self::TokenLosses)
    }

    /// For messages.
    fn described(self) -> String {
        let ways: Vec<String> = self.needs().iter().map(|needs| format!("`{}`", needs.join("` + `"))).collect();
        format!("{} ({})", self.name(), ways.join(" or "))
    }
}

/// vLLM's ranks.
pub const VLLM_RANKS: &str = "vllm: 1 + count(>=) or place in its top-k";

/// The field of any format that says how many tokens of the sequence were given, of those that have numbers.
const CONTEXT: &str = "context_tokens";

/// What is read of rows.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// What the rows call the fields of the format.
    pub names: FieldNames,
    /// The field whose value says which rows belong together.
    pub cluster: Option<String>,
    /// Fields to keep, as they were named.
    pub keep: Vec<String>,
    /// All that are kept if some row has them: the format's own, then `keep`.
    pub kept: Vec<String>,
    /// Ids that the model can score, if that is known: a larger one makes a row unreadable.
    pub vocab: Option<u32>,
    /// Which tokens, where a row has numbers of both.
    pub tokens: Option<Tokens>,
}

impl Reads {
    /// The given options, and what the format keeps by itself.
    pub fn of(self, format: Format) -> Self {
        let own = format.kept().iter().map(|name| (*name).to_owned());
        let more = self.keep.iter().filter(|name| !format.kept().contains(&name.as_str())).cloned();
        Self { kept: own.chain(more).collect(), ..self }
    }

    /// Every field that a row is read from.
    pub(super) fn wanted(&self, format: Format) -> Vec<&str> {
        let own = format.fields().iter().map(|name| self.names.of(name));
        let context = std::iter::once(self.names.of(CONTEXT));
        own.chain(context).chain(self.cluster.iter().chain(&self.kept).map(String::as_str)).collect()
    }

    /// A row of `file` as `format` has it, or what is wrong with it; and the model that it names, if it names one.
    pub(super) fn parse(
        &self,
        format: Format,
        file: &Path,
        text: &[u8],
    ) -> (Result<RecordedRow, String>, Option<String>) {
        let mut named = None;
        (self.read(format, file, text, &mut named), named)
    }

    fn read(
        &self,
        format: Format,
        file: &Path,
        text: &[u8],
        named: &mut Option<String>,
    ) -> Result<RecordedRow, String> {
        let text = str::from_utf8(text).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
        let text = json::standard(text);
        let fields = Fields::parse(&text, &self.wanted(format))?;
        let row = Row::new(&fields, &self.names);
        let mut read = match format {
            Format::PrimeRl => rollouts::prime_rl(&row)?,
            Format::NemoRl => rollouts::nemo_rl(&row, file)?,
            Format::Vllm => vllm::output(&row, self.tokens)?,
            Format::Sglang => sglang::read(&row, self.tokens)?,
            Format::Tinker => tinker::read(&row, self.tokens)?,
            Format::Answers => {
                let (read, model) = answers::read(&row, self.tokens)?;
                *named = model;
                read
            }
            Format::Rows => rows::read(&row)?,
            Format::Inspect | Format::TokenLosses => return Err("such a file is not read row by row".to_owned()),
        };
        *named = named.take().or_else(|| row.named());
        read.cluster = self.cluster.as_ref().map_or(Ok(None), |name| fields.label(name))?;
        if let Some(raw) = row.get(CONTEXT) {
            let context = raw.parse().map_err(|_| format!("`{}` is no number of tokens", row.called(CONTEXT)))?;
            read.samples.iter_mut().for_each(|sample| sample.begin_at(context));
        }
        if let Some(vocab) = self.vocab {
            let mut ids = read.samples.iter().flat_map(|sample| &sample.ids);
            if let Some(id) = ids.find(|&&id| id >= vocab) {
                return Err(format!("token id {id} is outside the vocabulary of {vocab} ids"));
            }
        }
        let own = std::mem::take(&mut read.kept);
        let of_format = own.into_iter().map(Ok);
        let skipped = of_format.len();
        let of_user = self.kept.iter().skip(skipped).map(|name| fields.kept(name, false));
        read.kept = of_format.chain(of_user).collect::<Result<_, String>>()?;
        Ok(read)
    }
}
