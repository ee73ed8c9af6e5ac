//! Scoring options as they are typed.
//!
//! Owns their flags and help. Not here: their words' meaning and their defaults, which a file of experiments shares
//! ([`Options`]).

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};

use crate::experiments::{DtypeChoice, OnError, Options, OutFormat, TemplateChoice};
use crate::template::{Kwargs, NaiveDate};
use crate::tokenize::{Bos, Boundary, TooLong};

/// Everything that `score` can be told beside datasets, models and output.
#[derive(Clone, Debug, clap::Args)]
pub struct OptionArgs {
    /// Format of the tables [default: parquet]
    #[arg(long, value_parser = word::<OutFormat>(&OUT))]
    out: Option<OutFormat>,

    /// Length of the lists of most likely tokens; 0 for none [default: 20]
    #[arg(long, alias = "top_k", value_name = "K")]
    top_k: Option<usize>,

    /// Only the first rows (the published study scored 100)
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,

    /// tokenizer.json for all models, or a model directory or hub id that has one
    /// [default: the generation model's if it is among the models, else the first model's]
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<String>,

    /// What renders rows of messages: a chat template's file, or a model directory or hub id that has one
    /// [default: that of the tokenizer's directory]
    #[arg(long, alias = "chat_template", value_name = "PATH")]
    chat_template: Option<String>,

    /// Whose chat template renders rows of messages: text, one for all models, or own, each model's own, so that contexts
    /// differ and responses are tokenised apart from them [default: text]
    #[arg(long, conflicts_with = "chat_template", value_parser = word::<TemplateChoice>(&TEMPLATE))]
    template: Option<TemplateChoice>,

    /// The day that a chat template's `strftime_now` tells; a template that asks for it gives another text each day
    /// [default: 2024-07-26, to which Llama's templates fall back]
    #[arg(long, alias = "chat_date", value_name = "YYYY-MM-DD")]
    chat_date: Option<NaiveDate>,

    /// More variables for the chat template, as a JSON object, e.g. {"enable_thinking": false}; a row's own
    /// `chat_template_kwargs` come before these
    #[arg(long, alias = "chat_template_kwargs", value_name = "JSON")]
    chat_template_kwargs: Option<Kwargs>,

    /// Tokenise prompt and response as one text, or apart [default: joint]
    #[arg(long, value_parser = word::<Boundary>(&BOUNDARY))]
    boundary: Option<Boundary>,

    /// Whether a BOS stands before every text; auto: as the tokenizer's own file says. Chats have what their template
    /// writes [default: auto]
    #[arg(long, value_parser = word::<Bos>(&BOS))]
    bos: Option<Bos>,

    /// Token appended after each response: none, auto (the generation config's end-of-sequence) or an id
    /// [default: none]
    #[arg(long, value_name = "none|auto|ID")]
    end: Option<String>,

    /// What to do with a row longer than the shortest context among the models [default: skip]
    #[arg(long, alias = "too_long", value_parser = word::<TooLong>(&TOO_LONG))]
    too_long: Option<TooLong>,

    /// What to do with a row that cannot be read [default: skip]
    #[arg(long, alias = "on_error", value_parser = word::<OnError>(&ON_ERROR))]
    on_error: Option<OnError>,

    /// What the rows call the fields that are read, e.g. input=question,output=answer
    #[arg(long, value_delimiter = ',', value_name = "NAME=FIELD")]
    fields: Option<Vec<String>>,

    /// Field whose equal values mark rows that are not independent [default: equal prompts]
    #[arg(long, value_name = "FIELD")]
    cluster: Option<String>,

    /// Fields of the rows to keep in the samples table, e.g. reward,correct
    #[arg(long, alias = "keep_fields", value_delimiter = ',', value_name = "FIELDS")]
    keep_fields: Option<Vec<String>>,

    /// Keep what each model's head reads of every response token (hidden size × 2 or 4 bytes a token), so that
    /// `kl --exact` has both full distributions again
    #[arg(long, alias = "keep_hidden", num_args = 0..=1, default_missing_value = "true", value_name = "true|false", require_equals = true)]
    keep_hidden: Option<bool>,

    /// Type of weights and products [default: auto]
    #[arg(long, value_parser = word::<DtypeChoice>(&DTYPE))]
    dtype: Option<DtypeChoice>,

    /// cpu, cuda or cuda:N [default: cpu]
    #[arg(long)]
    device: Option<String>,

    /// Tokens computed together: decides memory and speed, never a number [default: 4096]
    #[arg(long, visible_alias = "batch-size", alias = "batch_size", alias = "batch_tokens", value_name = "N")]
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
            keep_hidden: typed.keep_hidden,
            dtype: typed.dtype,
            device: typed.device,
            batch_tokens: typed.batch_tokens,
        }
    }
}

/// A word that the library knows, and what the help says of it.
type Word = (&'static str, Option<&'static str>);

const OUT: [Word; 3] =
    [("parquet", None), ("jsonl", None), ("token-losses", Some("Parquet, and the published study's JSON beside it"))];
const TEMPLATE: [Word; 2] = [("text", None), ("own", None)];
const BOUNDARY: [Word; 2] = [("joint", None), ("separate", None)];
const BOS: [Word; 3] = [("auto", None), ("always", None), ("never", None)];
const TOO_LONG: [Word; 3] = [
    ("skip", Some("Record it as too long")),
    ("truncate", Some("Score the tokens that fit")),
    ("fail", Some("End the run")),
];
const ON_ERROR: [Word; 2] = [("skip", Some("Record it as failed and go on")), ("fail", Some("End the run"))];
const DTYPE: [Word; 3] =
    [("auto", Some("bf16 if every matrix is stored in bf16, else f32")), ("f32", None), ("bf16", None)];

/// Takes one of `words` and reads it as a file of experiments would.
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
