//! The scoring options of the command line.
//!
//! Owns their flags and help. Not here: their meaning and their defaults, which a study file shares
//! ([`Options`]).

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::experiments::{DtypeChoice, OnError, Options, OutFormat, TemplateChoice};
use crate::template::{Kwargs, NaiveDate};
use crate::tokenize::{Bos, Boundary, TooLong};

/// Every option of `score` other than datasets, models and output.
#[derive(Clone, Debug, clap::Args)]
pub struct OptionArgs {
    /// What is written: the tables, or the published study's files as well [default: parquet]
    ///
    /// `tokshift export` writes either, and JSON lines, of tables that exist.
    #[arg(long, help_heading = "Output", value_parser = word::<OutFormat>(&OUT))]
    out: Option<OutFormat>,

    /// Length of the top-k lists, 0 for none [default: 20]
    #[arg(long, help_heading = "Output", alias = "top_k", value_name = "K")]
    top_k: Option<usize>,

    /// Only the first rows of each dataset (the published study scored 100)
    #[arg(long, help_heading = "What to score", value_name = "ROWS")]
    limit: Option<u32>,

    /// The tokenizer for all models: a tokenizer.json, or a model directory or hub id that contains one [default: the
    /// generation model's if it is in --models, else the first model's]
    #[arg(long, help_heading = "Tokenisation", value_name = "PATH")]
    tokenizer: Option<String>,

    /// The chat template for rows of messages: its file, or a model directory or hub id that contains one [default: the
    /// one in the tokenizer's directory]
    #[arg(long, help_heading = "Tokenisation", alias = "chat_template", value_name = "PATH")]
    chat_template: Option<String>,

    /// Whether all models read messages as one chat template writes them (text), or each as its own does (own)
    /// [default: text]
    ///
    /// With `own` contexts differ between models, and responses are tokenised separately from them.
    #[arg(long, help_heading = "Tokenisation", conflicts_with = "chat_template", value_parser = word::<TemplateChoice>(&TEMPLATE))]
    template: Option<TemplateChoice>,

    /// Date that a chat template's `strftime_now` returns [default: 2024-07-26, the fallback date in Llama's templates]
    ///
    /// It is fixed, so that prompts do not change from day to day.
    #[arg(long, help_heading = "Tokenisation", alias = "chat_date", value_name = "YYYY-MM-DD")]
    chat_date: Option<NaiveDate>,

    /// More variables for the chat template, as a JSON object, e.g. {"enable_thinking": false}
    ///
    /// A row's own `chat_template_kwargs` take precedence.
    #[arg(long, help_heading = "Tokenisation", alias = "chat_template_kwargs", value_name = "JSON")]
    chat_template_kwargs: Option<Kwargs>,

    /// Tokenise prompt and response as one text (joint) or separately [default: joint]
    #[arg(long, help_heading = "Tokenisation", value_parser = word::<Boundary>(&BOUNDARY))]
    boundary: Option<Boundary>,

    /// Whether every text begins with a BOS; auto: as the tokenizer's files say. Chats contain what their template writes
    /// [default: auto]
    #[arg(long, help_heading = "Tokenisation", value_parser = word::<Bos>(&BOS))]
    bos: Option<Bos>,

    /// End token appended to text responses: none, auto (from the generation config) or an id [default: none]
    ///
    /// It is never appended to chats, to token ids, or to a response that a length limit ended. In rows of token ids it
    /// marks an existing last token as the end.
    #[arg(long, help_heading = "Tokenisation", visible_alias = "end-token", value_name = "none|auto|ID")]
    end: Option<String>,

    /// What to do with a row that is longer than the context [default: skip]
    ///
    /// The limit is the shortest context among the models of the first run on these responses. It also applies to models
    /// that are added later; rows that do not fit into a later model with a shorter context are recorded as too long.
    #[arg(long, help_heading = "Tokenisation", alias = "too_long", value_parser = word::<TooLong>(&TOO_LONG))]
    too_long: Option<TooLong>,

    /// What to do with an unreadable row [default: skip]
    #[arg(long, help_heading = "Failures", alias = "on_error", value_parser = word::<OnError>(&ON_ERROR))]
    on_error: Option<OnError>,

    /// Field names in your rows, e.g. input=question,output=answer
    #[arg(long, help_heading = "What to score", value_delimiter = ',', value_name = "NAME=FIELD")]
    fields: Option<Vec<String>>,

    /// Cluster standard errors by this field [default: by the token ids of the prompt]
    #[arg(long, help_heading = "Output", visible_alias = "cluster-by", value_name = "FIELD")]
    cluster: Option<String>,

    /// P, the model that the others are compared with [default: the model that wrote the responses, else the first of
    /// --models]
    ///
    /// The first run on some responses fixes it for them. `kl --reference` compares with another.
    #[arg(long, help_heading = "What to score", value_name = "NAME")]
    reference: Option<String>,

    /// Fields to copy to the samples table, e.g. reward,correct
    ///
    /// In rows of several responses, a list of as many values in every row is one value for each response.
    #[arg(long, help_heading = "Output", alias = "keep_fields", value_delimiter = ',', value_name = "FIELDS")]
    keep_fields: Option<Vec<String>>,

    /// Store the final hidden state of every response token, from which `kl --exact` recomputes the full distributions
    ///
    /// This needs hidden size × 2 or 4 bytes per token.
    #[arg(long, help_heading = "Output", visible_alias = "keep-hidden-states", alias = "keep_hidden", num_args = 0..=1, default_missing_value = "true", value_name = "true|false", require_equals = true)]
    keep_hidden: Option<bool>,

    /// Type of weights and matrix products [default: auto: bf16 if every matrix is stored in bf16 and none of the models is an
    /// adapter, else f32]
    #[arg(long, help_heading = "Models", value_parser = word::<DtypeChoice>(&DTYPE))]
    dtype: Option<DtypeChoice>,

    /// cpu, cuda or cuda:N [default: cpu]
    #[arg(long, help_heading = "Models")]
    device: Option<String>,

    /// Tokens per batch. Affects memory and speed; on a CPU never the results [default: 4096]
    #[arg(
        long,
        help_heading = "Speed",
        visible_alias = "batch-size",
        alias = "batch_size",
        alias = "batch_tokens",
        value_name = "N"
    )]
    batch_tokens: Option<usize>,
}

impl OptionArgs {
    /// As the library has them.
    pub fn options(&self) -> Options {
        let typed = self.clone();
        Options {
            out: typed.out,
            top_k: typed.top_k,
            limit: typed.limit,
            tokenizer: typed.tokenizer,
            chat_template: typed.chat_template,
            template: typed.template,
            chat_date: typed.chat_date,
            chat_template_kwargs: typed.chat_template_kwargs,
            boundary: typed.boundary,
            bos: typed.bos,
            end: typed.end,
            too_long: typed.too_long,
            on_error: typed.on_error,
            fields: typed.fields,
            cluster: typed.cluster,
            keep_fields: typed.keep_fields,
            reference: typed.reference,
            keep_hidden: typed.keep_hidden,
            dtype: typed.dtype,
            device: typed.device,
            batch_tokens: typed.batch_tokens,
        }
    }
}

/// A value that the library knows, and its help.
type Word = (&'static str, Option<&'static str>);

const OUT: [Word; 2] = [("parquet", None), ("token-losses", Some("Parquet, and the published study's JSON as well"))];
const TEMPLATE: [Word; 2] = [("text", None), ("own", None)];
const BOUNDARY: [Word; 2] = [("joint", None), ("separate", None)];
const BOS: [Word; 3] = [("auto", None), ("always", None), ("never", None)];
const TOO_LONG: [Word; 3] = [
    ("skip", Some("Record it as too long")),
    ("truncate", Some("Score the tokens that fit")),
    ("fail", Some("Stop the run")),
];
const ON_ERROR: [Word; 2] = [("skip", Some("Record it as failed and continue")), ("fail", Some("Stop the run"))];
const DTYPE: [Word; 3] =
    [("auto", Some("bf16 if every matrix is stored in bf16, else f32")), ("f32", None), ("bf16", None)];

/// Accepts one of `words` and reads it as a study file would.
fn word<T: DeserializeOwned + Clone + Send + Sync + 'static>(words: &[Word]) -> impl TypedValueParser<Value = T> {
    let value = |&(name, help): &Word| help.into_iter().fold(PossibleValue::new(name), PossibleValue::help);
    let words: Vec<PossibleValue> = words.iter().map(value).collect();
    PossibleValuesParser::new(words).try_map(|word: String| {
        let word: StrDeserializer<Error> = word.as_str().into_deserializer();
        T::deserialize(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct Typed {
        #[command(flatten)]
        options: OptionArgs,
    }

    /// The words of the command line are those of a file.
    #[test]
    fn every_word_of_the_help_is_one_of_the_library() {
        let words = [
            ("--out", &OUT[..]),
            ("--template", &TEMPLATE),
            ("--boundary", &BOUNDARY),
            ("--bos", &BOS),
            ("--too-long", &TOO_LONG),
            ("--on-error", &ON_ERROR),
            ("--dtype", &DTYPE),
        ];
        for (flag, words) in words {
            for (word, _) in words {
                let typed = <Typed as clap::Parser>::try_parse_from(["score", flag, word]).map(|typed| typed.options);
                assert!(typed.is_ok_and(|typed| typed.options() != Options::default()), "{flag} {word}");
            }
        }
    }
}
