//! The scoring options, from the command line or from a study file.
//!
//! Owns their names, their words, their defaults, and which of them a model may have to itself. Not here: their flags and
//! help (`cli`), and their effects (`score`).

use serde::{Deserialize, Deserializer};

use crate::template::{Kwargs, NaiveDate};
use crate::tokenize::{Bos, Boundary, TooLong};

/// Every option of scoring besides datasets, models and output; what is `None` has the default that the
/// method of the same name gives. `cli/args/options.rs` has the flags and their help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    /// Format of the tables.
    pub out: Option<OutFormat>,
    /// Length of the lists of most likely tokens; 0 for none.
    pub top_k: Option<usize>,
    /// Only the first rows of a dataset.
    pub limit: Option<u32>,
    /// A `tokenizer.json`, or a model directory or hub id that has one; `None`: that of a model.
    pub tokenizer: Option<String>,
    /// A chat template's file, or a model directory or hub id that has one; `None`: that of the tokenizer's directory.
    pub chat_template: Option<String>,
    /// Whose chat template renders rows of messages.
    pub template: Option<TemplateChoice>,
    /// The day that a chat template's `strftime_now` returns.
    pub chat_date: Option<NaiveDate>,
    /// More variables for the chat template; a row's own come before these.
    pub chat_template_kwargs: Option<Kwargs>,
    /// Whether prompt and response are tokenised as one text.
    pub boundary: Option<Boundary>,
    /// Whether a BOS stands before every text.
    pub bos: Option<Bos>,
    /// Token appended after each response: `none`, `auto` or an id.
    #[serde(default, deserialize_with = "word_or_id")]
    pub end: Option<String>,
    /// What becomes of a row that is longer than the shortest context among the models.
    pub too_long: Option<TooLong>,
    /// What becomes of a row that cannot be read.
    pub on_error: Option<OnError>,
    /// What the rows call the fields that are read, each as `NAME=FIELD`.
    pub fields: Option<Vec<String>>,
    /// Field whose equal values mark rows that are not independent; `None`: equal prompts do.
    pub cluster: Option<String>,
    /// Fields of the rows to keep in the samples table.
    pub keep_fields: Option<Vec<String>>,
    /// P of the response sets, where that is not the model that wrote them or else the first model.
    pub reference: Option<String>,
    /// Whether hidden states are kept: hidden size × 2 or 4 bytes a token.
    pub keep_hidden: Option<bool>,
    /// Type of weights and products.
    pub dtype: Option<DtypeChoice>,
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: Option<String>,
    /// Tokens computed together: decides memory and speed, never a number.
    pub batch_tokens: Option<usize>,
}

/// The names of all options.
pub const NAMES: [&str; 21] = [
    "out",
    "top_k",
    "limit",
    "tokenizer",
    "chat_template",
    "template",
    "chat_date",
    "chat_template_kwargs",
    "boundary",
    "bos",
    "end",
    "too_long",
    "on_error",
    "fields",
    "cluster",
    "keep_fields",
    "reference",
    "keep_hidden",
    "dtype",
    "device",
    "batch_tokens",
];

/// Options that may differ by model: they affect how it runs, but neither rows nor ids.
pub const OF_A_MODEL: [&str; 3] = ["dtype", "device", "batch_tokens"];

/// Options of rows, which plain text has none of.
pub const OF_ROWS: [&str; 5] = ["fields", "cluster", "keep_fields", "boundary", "end"];

impl Options {
    /// Whether one of [`OF_ROWS`] is set.
    pub fn sets(&self, name: &str) -> bool {
        match name {
            "fields" => self.fields.is_some(),
            "cluster" => self.cluster.is_some(),
            "keep_fields" => self.keep_fields.is_some(),
            "boundary" => self.boundary.is_some(),
            "end" => self.end.is_some(),
            _ => false,
        }
    }

    /// These options without [`OF_ROWS`].
    #[must_use]
    pub fn without_rows(self) -> Self {
        Self { fields: None, cluster: None, keep_fields: None, boundary: None, end: None, ..self }
    }

    /// These options; where one is not set, the one of `outer`.
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
            reference: self.reference.or(outer.reference),
            keep_hidden: self.keep_hidden.or(outer.keep_hidden),
            dtype: self.dtype.or(outer.dtype),
            device: self.device.or(outer.device),
            batch_tokens: self.batch_tokens.or(outer.batch_tokens),
        }
    }

    /// Format of the files.
    pub fn out(&self) -> OutFormat {
        self.out.unwrap_or(OutFormat::Parquet)
    }

    /// Length of the top-k lists.
    pub fn top_k(&self) -> usize {
        self.top_k.unwrap_or(20)
    }

    /// How the boundary between prompt and response is tokenised.
    pub fn boundary(&self) -> Boundary {
        match self.boundary {
            // Responses that are paired by their ids must not contain a token that spans the boundary.
            None if self.has_own_templates() => Boundary::Separate,
            None => Boundary::Joint,
            Some(boundary) => boundary,
        }
    }

    /// Whether each model reads messages as its own chat template writes them.
    pub fn has_own_templates(&self) -> bool {
        self.template == Some(TemplateChoice::Own)
    }

    /// Whether a BOS is added.
    pub fn bos(&self) -> Bos {
        self.bos.unwrap_or_default()
    }

    /// The end token that is appended: `none`, `auto` or an id.
    pub fn end(&self) -> &str {
        self.end.as_deref().unwrap_or("none")
    }

    /// What is done with samples that are longer than the context.
    pub fn too_long(&self) -> TooLong {
        self.too_long.unwrap_or(TooLong::Skip)
    }

    /// Whether an unreadable row stops the run.
    pub fn fails_on_unreadable_row(&self) -> bool {
        self.on_error == Some(OnError::Fail)
    }

    /// Fields that the samples table keeps.
    pub fn keep_fields(&self) -> Vec<String> {
        self.keep_fields.clone().unwrap_or_default()
    }

    /// Whether final hidden states are stored.
    pub fn keeps_hidden(&self) -> bool {
        self.keep_hidden.unwrap_or(false)
    }

    /// These options for models of which some `has_adapters`: f32 for all of them, so that they can be compared, unless a type is
    /// given. In bf16 the rounding of activations can exceed what an adapter changes.
    #[must_use]
    pub fn for_adapters(self, has_adapters: bool) -> Self {
        let is_open = has_adapters && self.dtype() == DtypeChoice::Auto;
        Self { dtype: if is_open { Some(DtypeChoice::F32) } else { self.dtype }, ..self }
    }

    /// Type of the weights.
    pub fn dtype(&self) -> DtypeChoice {
        self.dtype.unwrap_or(DtypeChoice::Auto)
    }

    /// Where models run.
    pub fn device(&self) -> &str {
        self.device.as_deref().unwrap_or("cpu")
    }

    /// Tokens per batch.
    pub fn batch_tokens(&self) -> usize {
        self.batch_tokens.unwrap_or(4096)
    }
}

/// Format of the tokens files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutFormat {
    /// Parquet.
    Parquet,
    /// Parquet, and the published study's JSON next to it.
    TokenLosses,
}

/// Which chat template renders rows of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TemplateChoice {
    /// One for all models.
    Text,
    /// Each model's own.
    Own,
}

/// What an unreadable row does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// It is recorded as failed.
    Skip,
    /// It ends the run.
    Fail,
}

/// Type of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DtypeChoice {
    /// bf16 if every matrix is stored in bf16 and no model scored with it is an adapter, else f32.
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16.
    Bf16,
}

impl DtypeChoice {
    /// The name that manifests give the type; `None` where the checkpoint decides.
    pub fn decided(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::F32 => Some("f32"),
            Self::Bf16 => Some("bf16"),
        }
    }
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
