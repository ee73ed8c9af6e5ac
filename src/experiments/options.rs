//! Options of scoring, whether typed after `--` or written in a file.
//!
//! Owns their names, their help, their defaults, and which of them a model may have to itself. Refuses their effects.

use clap::ValueEnum;
use serde::{Deserialize, Deserializer};

use crate::template::{Kwargs, NaiveDate};
use crate::tokenize::{Bos, Boundary, TooLong};

/// Everything that `score` can be told beside datasets, models and output; what is `None` has the default that the
/// method of the same name gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Format of the tables [default: parquet]
    #[arg(long)]
    pub out: Option<OutFormat>,

    /// Length of the lists of most likely tokens; 0 for none [default: 20]
    #[arg(long, alias = "top_k", value_name = "K")]
    pub top_k: Option<usize>,

    /// Only the first rows (the published study scored 100)
    #[arg(long, value_name = "ROWS")]
    pub limit: Option<u32>,

    /// tokenizer.json for all models, or a model directory or hub id that has one
    /// [default: the generation model's if it is among the models, else the first model's]
    #[arg(long, value_name = "PATH")]
    pub tokenizer: Option<String>,

    /// What renders rows of messages: a chat template's file, or a model directory or hub id that has one
    /// [default: that of the tokenizer's directory]
    #[arg(long, alias = "chat_template", value_name = "PATH")]
    pub chat_template: Option<String>,

    /// Whose chat template renders rows of messages: text, one for all models, or own, each model's own, so that contexts
    /// differ and responses are tokenised apart from them [default: text]
    #[arg(long, conflicts_with = "chat_template")]
    pub template: Option<TemplateChoice>,

    /// The day that a chat template's `strftime_now` tells; a template that asks for it gives another text each day
    /// [default: 2024-07-26, to which Llama's templates fall back]
    #[arg(long, alias = "chat_date", value_name = "YYYY-MM-DD")]
    pub chat_date: Option<NaiveDate>,

    /// More variables for the chat template, as a JSON object, e.g. {"enable_thinking": false}; a row's own
    /// `chat_template_kwargs` come before these
    #[arg(long, alias = "chat_template_kwargs", value_name = "JSON")]
    pub chat_template_kwargs: Option<Kwargs>,

    /// Tokenise prompt and response as one text, or apart [default: joint]
    #[arg(long)]
    pub boundary: Option<BoundaryChoice>,

    /// Whether a BOS stands before every text; auto: as the tokenizer's own file says. Chats have what their template
    /// writes [default: auto]
    #[arg(long)]
    pub bos: Option<BosChoice>,

    /// Token appended after each response: none, auto (the generation config's end-of-sequence) or an id
    /// [default: none]
    #[arg(long, value_name = "none|auto|ID")]
    #[serde(default, deserialize_with = "word_or_id")]
    pub end: Option<String>,

    /// What to do with a row longer than the shortest context among the models [default: skip]
    #[arg(long, alias = "too_long")]
    pub too_long: Option<TooLongChoice>,

    /// What to do with a row that cannot be read [default: skip]
    #[arg(long, alias = "on_error")]
    pub on_error: Option<OnError>,

    /// What the rows call the fields that are read, e.g. input=question,output=answer
    #[arg(long, value_delimiter = ',', value_name = "NAME=FIELD")]
    pub fields: Option<Vec<String>>,

    /// Field whose equal values mark rows that are not independent [default: equal prompts]
    #[arg(long, value_name = "FIELD")]
    pub cluster: Option<String>,

    /// Fields of the rows to keep in the samples table, e.g. reward,correct
    #[arg(long, alias = "keep_fields", value_delimiter = ',', value_name = "FIELDS")]
    pub keep_fields: Option<Vec<String>>,

    /// Keep what each model's head reads of every response token (hidden size × 2 or 4 bytes a token), so that
    /// `kl --exact` has both full distributions again
    #[arg(long, alias = "keep_hidden", num_args = 0..=1, default_missing_value = "true", value_name = "true|false", require_equals = true)]
    pub keep_hidden: Option<bool>,

    /// Type of weights and products [default: auto]
    #[arg(long)]
    pub dtype: Option<DtypeChoice>,

    /// cpu, cuda or cuda:N [default: cpu]
    #[arg(long)]
    pub device: Option<String>,

    /// Tokens computed together: decides memory and speed, never a number [default: 4096]
    #[arg(long, visible_alias = "batch-size", alias = "batch_size", alias = "batch_tokens", value_name = "N")]
    pub batch_tokens: Option<usize>,
}

/// Options that a model may have to itself: they decide how it is run, and neither rows nor ids.
pub const OF_A_MODEL: [&str; 3] = ["dtype", "device", "batch_tokens"];

impl Options {
    /// These, and where they say nothing those of `outer`.
    #[must_use]
    pub fn or(self, outer: &Self) -> Self {
        let outer = outer.clone();
        Self {
            out: self.out.or(outer.out),
            top_k: self.top_k.or(outer.top_k),
            limit: self.limit.or(outer.limit),
            tokenizer: self.tokenizer.or(outer.tokenizer),
            chat_template: self.chat_template.or(outer.chat_template),
            template: self.template.or(outer.template),
            chat_date: self.chat_date.or(outer.chat_date),
            chat_template_kwargs: self.chat_template_kwargs.or(outer.chat_template_kwargs),
            boundary: self.boundary.or(outer.boundary),
            bos: self.bos.or(outer.bos),
            end: self.end.or(outer.end),
            too_long: self.too_long.or(outer.too_long),
            on_error: self.on_error.or(outer.on_error),
            fields: self.fields.or(outer.fields),
            cluster: self.cluster.or(outer.cluster),
            keep_fields: self.keep_fields.or(outer.keep_fields),
            keep_hidden: self.keep_hidden.or(outer.keep_hidden),
            dtype: self.dtype.or(outer.dtype),
            device: self.device.or(outer.device),
            batch_tokens: self.batch_tokens.or(outer.batch_tokens),
        }
    }

    pub fn out(&self) -> OutFormat {
        self.out.unwrap_or(OutFormat::Parquet)
    }

    pub fn top_k(&self) -> usize {
        self.top_k.unwrap_or(20)
    }

    pub fn boundary(&self) -> Boundary {
        match self.boundary {
            // What is paired by its ids must not have been merged with what stands before it.
            None if self.has_own_templates() => Boundary::Separate,
            None | Some(BoundaryChoice::Joint) => Boundary::Joint,
            Some(BoundaryChoice::Separate) => Boundary::Separate,
        }
    }

    /// Whether each model reads messages as its own chat template writes them.
    pub fn has_own_templates(&self) -> bool {
        self.template == Some(TemplateChoice::Own)
    }

    pub fn bos(&self) -> Bos {
        match self.bos {
            None | Some(BosChoice::Auto) => Bos::Auto,
            Some(BosChoice::Always) => Bos::Always,
            Some(BosChoice::Never) => Bos::Never,
        }
    }

    pub fn end(&self) -> &str {
        self.end.as_deref().unwrap_or("none")
    }

    pub fn too_long(&self) -> TooLong {
        match self.too_long {
            None | Some(TooLongChoice::Skip) => TooLong::Skip,
            Some(TooLongChoice::Truncate) => TooLong::Truncate,
            Some(TooLongChoice::Fail) => TooLong::Fail,
        }
    }

    /// Whether a row that cannot be read ends the run.
    pub fn fails_on_bad_row(&self) -> bool {
        self.on_error == Some(OnError::Fail)
    }

    pub fn keep_fields(&self) -> Vec<String> {
        self.keep_fields.clone().unwrap_or_default()
    }

    pub fn keeps_hidden(&self) -> bool {
        self.keep_hidden.unwrap_or(false)
    }

    pub fn dtype(&self) -> DtypeChoice {
        self.dtype.unwrap_or(DtypeChoice::Auto)
    }

    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap_or("cpu")
    }

    pub fn batch_tokens(&self) -> usize {
        self.batch_tokens.unwrap_or(4096)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutFormat {
    Parquet,
    Jsonl,
    /// Parquet, and the published study's JSON beside it
    TokenLosses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundaryChoice {
    Joint,
    Separate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateChoice {
    Text,
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BosChoice {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooLongChoice {
    /// Record it as too long
    Skip,
    /// Score the tokens that fit
    Truncate,
    /// End the run
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Record it as failed and go on
    Skip,
    /// End the run
    Fail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DtypeChoice {
    /// bf16 if every matrix is stored in bf16, else f32
    Auto,
    F32,
    Bf16,
}

/// `end = "auto"` and `end = 151645` both read well.
fn word_or_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct WordOrId;
    impl serde::de::Visitor<'_> for WordOrId {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("\"none\", \"auto\" or a token id")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
            match text {
                "none" | "auto" => Ok(text.to_owned()),
                _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
            }
        }

        fn visit_i64<E: serde::de::Error>(self, id: i64) -> Result<String, E> {
            let wrong = |_| E::invalid_value(serde::de::Unexpected::Signed(id), &self);
            u32::try_from(id).map(|id| id.to_string()).map_err(wrong)
        }
    }
    deserializer.deserialize_any(WordOrId).map(Some)
}
