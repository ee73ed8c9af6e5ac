//! Answers of servers that speak OpenAI's language: completions and chats, vLLM's, Fireworks' and Together's additions to
//! both, lines of the Batch API.
//!
//! Owns their fields (platform.openai.com/docs/api-reference; vllm/entrypoints/openai/protocol.py; fireworks-ai 1.2.30,
//! fireworks/types/shared; together 3.1.1, together/types). Not here: what is made of the tokens (`tokens`).

use serde_json::value::RawValue;

use super::fields::{ENDINGS, Row};
use super::lists::{Entry, by_name, id_of};
use super::names::FieldNames;
use super::tokens::{Scored, Token, Tokens, sample};
use super::vllm;
use crate::dataset::json::Fields;
use crate::recorded::numbers;
use crate::recorded::row::{RecordedRow, RecordedSample};

/// The fields of a row: an answer, or one in `response` or `body`, perhaps with its request.
pub const FIELDS: [&str; 11] = [
    "choices",
    "response",
    "body",
    "request",
    "custom_id",
    "id",
    "model",
    "prompt_logprobs",
    "prompt_token_ids",
    "prompt",
    "error",
];
/// Those of an answer.
const OF_ANSWER: [&str; 7] = ["choices", "body", "model", "prompt_logprobs", "prompt_token_ids", "prompt", "error"];
/// Those of a choice.
const OF_CHOICE: [&str; 6] = ["logprobs", "prompt_logprobs", "prompt_token_ids", "token_ids", "index", "raw_output"];
/// Those of lists of tokens, in either form.
const OF_LOGPROBS: [&str; 5] = ["content", "tokens", "token_ids", "token_logprobs", "top_logprobs"];

/// Reads a row; gives the model that the answer names.
///
/// # Errors
/// It is no answer, or one without numbers.
pub fn read(row: &Row, tokens: Option<Tokens>) -> Result<(RecordedRow, Option<String>), String> {
    let none = FieldNames::default();
    if let (None, Some(error)) = (row.get("choices"), row.get("error")) {
        return Err(error_of(error));
    }
    let inside = row.get("response").or(row.get("body"));
    let id = row.label("custom_id")?.or(row.label("id")?);
    let request = Request::of(row.get("request"))?;
    let Some(inside) = inside.filter(|_| row.get("choices").is_none()) else {
        let model = row.named();
        return Ok((read_answer(row, &request, id, tokens)?, model));
    };
    let outer = Fields::parse(inside, &OF_ANSWER)?;
    let Some(body) = outer.get("body") else {
        let answer = Row::new(&outer, &none);
        return Ok((read_answer(&answer, &request, id, tokens)?, answer.named()));
    };
    let inner = Fields::parse(body, &OF_ANSWER)?;
    let answer = Row::new(&inner, &none);
    Ok((read_answer(&answer, &request, id, tokens)?, answer.named()))
}

/// What is read of a request.
#[derive(Default)]
struct Request {
    /// The ids of each prompt, if it gave ids.
    prompts: Vec<Vec<u32>>,
}

impl Request {
    fn of(raw: Option<&str>) -> Result<Self, String> {
        let Some(raw) = raw else { return Ok(Self::default()) };
        let fields = Fields::parse(raw, &["prompt"]).map_err(|what| format!("`request`: {what}"))?;
        let prompt = fields.get("prompt").unwrap_or_default();
        let one: Option<Vec<u32>> = serde_json::from_str(prompt).ok();
        let prompts = one.map(|one| vec![one]).or_else(|| serde_json::from_str(prompt).ok());
        Ok(Self { prompts: prompts.unwrap_or_default() })
    }

    /// The prompt of a choice, of `choices`: each prompt has equally many.
    fn prompt(&self, choice: usize, choices: usize) -> Option<Vec<u32>> {
        let each = choices.checked_div(self.prompts.len()).filter(|each| each * self.prompts.len() == choices)?;
        self.prompts.get(choice.checked_div(each)?).cloned()
    }
}

fn read_answer(
    answer: &Row,
    request: &Request,
    id: Option<String>,
    tokens: Option<Tokens>,
) -> Result<RecordedRow, String> {
    let raw = answer.get("choices").ok_or_else(|| match answer.get("error") {
        Some(error) => error_of(error),
        None => "the answer has no `choices`".to_owned(),
    })?;
    let choices: Vec<&RawValue> = serde_json::from_str(raw).map_err(|e| format!("`choices` is no list: {e}"))?;
    let mut row = RecordedRow { id, ..RecordedRow::default() };
    for (place, choice) in choices.iter().enumerate() {
        let prompt = request.prompt(place, choices.len());
        let (sample, is_given) =
            read_choice(answer, choice.get(), prompt, tokens).map_err(|what| format!("choice {place}: {what}"))?;
        row.samples.push(sample);
        row.is_given |= is_given;
    }
    if row.samples.is_empty() { Err("`choices` is empty".to_owned()) } else { Ok(row) }
}

/// That an answer is an error, in the server's words: `{"message": …}`, or a text.
fn error_of(error: &str) -> String {
    let of_object = || Fields::parse(error, &["message"]).ok()?.optional_text("message").ok().flatten();
    let said = of_object().or_else(|| serde_json::from_str(error).ok()).unwrap_or_else(|| error.to_owned());
    format!("the answer is an error: {}", said.chars().take(200).collect::<String>())
}

/// The sample of a choice, and whether it is of a given text.
fn read_choice(
    answer: &Row,
    raw: &str,
    prompt: Option<Vec<u32>>,
    tokens: Option<Tokens>,
) -> Result<(RecordedSample, bool), String> {
    let wanted: Vec<&str> = OF_CHOICE.into_iter().chain(ENDINGS).collect();
    let (fields, none) = (Fields::parse(raw, &wanted)?, FieldNames::default());
    let choice = Row::new(&fields, &none);
    let either = |name: &'static str| choice.get(name).or(answer.get(name));
    let raw_output =
        choice.get("raw_output").map(|raw| Fields::parse(raw, &["prompt_token_ids", "completion_token_ids"]));
    let raw_output = raw_output.transpose().map_err(|what| format!("`raw_output`: {what}"))?;
    let of_raw = |name: &str| raw_output.as_ref().and_then(|fields| fields.get(name));
    let prompt = match either("prompt_token_ids").or(of_raw("prompt_token_ids")) {
        Some(raw) => Some(numbers::ids("prompt_token_ids", raw)?),
        None => prompt,
    };
    let echoed = answer.get("prompt").map(echoed).transpose()?.flatten();
    if let Some(echoed) = echoed {
        return match (choice.get("logprobs"), tokens) {
            (Some(_), None) => Err(BOTH.to_owned()),
            (_, None | Some(Tokens::Prompt)) => Ok((sample(None, echoed)?, true)),
            (Some(raw), Some(Tokens::Generated)) => {
                let before = echoed.iter().map(|token| token.id).collect();
                let mut sample = generated(raw, before, None)?;
                sample.is_cut = choice.is_cut()?;
                Ok((sample, false))
            }
            (None, Some(Tokens::Generated)) => Err(NONE.to_owned()),
        };
    }
    match (either("prompt_logprobs"), choice.get("logprobs"), tokens) {
        (Some(_), Some(_), None) => Err(BOTH.to_owned()),
        (Some(raw), _, None | Some(Tokens::Prompt)) => {
            let prompt = prompt.ok_or(
                "it has `prompt_logprobs`, but not the prompt's ids: send `return_token_ids` with the request, or write the \
                 request next to the answer, as `request`",
            )?;
            Ok((vllm::prompt(&prompt, raw)?, true))
        }
        (_, Some(raw), None | Some(Tokens::Generated)) => {
            let ids = choice.get("token_ids").or(of_raw("completion_token_ids"));
            let ids = ids.map(|raw| numbers::ids("token_ids", raw)).transpose()?;
            let mut sample = generated(raw, prompt, ids)?;
            sample.is_cut = choice.is_cut()?;
            Ok((sample, false))
        }
        _ => Err(NONE.to_owned()),
    }
}

/// Of answers with two kinds of numbers.
const BOTH: &str =
    "it has numbers of the prompt and of the generated tokens: --tokens prompt or --tokens generated chooses";
/// Of answers without any.
const NONE: &str = "it has no log-probabilities: ask the server for `logprobs`";

/// The tokens of the prompt that Together's answers have beside the choices, as `[{"text", "logprobs"}]`; `None` if they
/// have no numbers. What else `prompt` may be is of no use here.
fn echoed(raw: &str) -> Result<Option<Vec<Token>>, String> {
    let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return Ok(None) };
    let mut tokens = Vec::new();
    for item in items {
        let Ok(fields) = Fields::parse(item.get(), &["logprobs"]) else { return Ok(None) };
        let Some(logprobs) = fields.get("logprobs") else { return Ok(None) };
        tokens.extend(tokens_of(logprobs).map_err(|what| format!("`prompt`: {what}"))?);
    }
    Ok(Some(tokens).filter(|tokens| !tokens.is_empty()))
}

/// The tokens of either form of `logprobs`.
fn tokens_of(raw: &str) -> Result<Vec<Token>, String> {
    let fields = Fields::parse(raw, &OF_LOGPROBS)?;
    match fields.get("content") {
        Some(content) => of_chat(content),
        None => of_completion(&fields),
    }
}

/// The sample of generated tokens.
fn generated(raw: &str, prompt: Option<Vec<u32>>, ids: Option<Vec<u32>>) -> Result<RecordedSample, String> {
    let mut tokens = tokens_of(raw)?;
    // With `echo` the prompt is among the tokens.
    let echoes = tokens.first().is_some_and(|token| token.scored.logprob.is_none());
    let first = if echoes { tokens.len() - ids.as_ref().map_or(0, Vec::len).min(tokens.len()) } else { 0 };
    if let Some(ids) = ids {
        if tokens.len() - first != ids.len() {
            return Err(format!("{} tokens and {} token ids", tokens.len() - first, ids.len()));
        }
        tokens[first..].iter_mut().zip(ids).for_each(|(token, id)| token.id = Some(id));
    }
    if echoes {
        let prompt = prompt.unwrap_or_default();
        tokens[..first].iter_mut().zip(prompt).for_each(|(token, id)| token.id = Some(id));
        return sample(None, tokens);
    }
    sample(prompt, tokens)
}

/// `{"tokens", "token_logprobs", "top_logprobs", "token_ids"}`, a list each.
fn of_completion(fields: &Fields) -> Result<Vec<Token>, String> {
    let texts: Vec<String> = fields.list("tokens", "tokens as strings")?;
    let missing = |name: &str| fields.missing(name);
    let raw = fields.get("token_logprobs").ok_or_else(|| missing("token_logprobs"))?;
    let logprobs = numbers::numbers("token_logprobs", raw)?;
    let tops: Vec<Option<&RawValue>> = match fields.get("top_logprobs") {
        // Together's schema has one object for all tokens, which says of none where it belongs.
        Some(raw) if raw.starts_with('[') => fields.list("top_logprobs", "lists")?,
        _ => vec![None; texts.len()],
    };
    // Together's ids are numbers like any other.
    let ids = fields.get("token_ids").map(|raw| numbers::numbers("token_ids", raw)).transpose()?;
    if ids.as_ref().is_some_and(|ids| ids.len() != texts.len()) {
        return Err(format!("{} tokens and {} token ids", texts.len(), ids.map_or(0, |ids| ids.len())));
    }
    let ids: Vec<Option<u32>> = match ids {
        Some(ids) => ids.into_iter().map(|id| whole_id(id).map(Some)).collect::<Result<_, String>>()?,
        None => vec![None; texts.len()],
    };
    if logprobs.len() != texts.len() || tops.len() != texts.len() {
        let (n, logprobs, tops) = (texts.len(), logprobs.len(), tops.len());
        return Err(format!("{n} tokens, {logprobs} log-probabilities and {tops} lists"));
    }
    let mut tokens = Vec::new();
    for ((text, logprob), (top, id)) in texts.into_iter().zip(logprobs).zip(tops.into_iter().zip(ids)) {
        let named = top.map(|top| by_name(top.get())).transpose()?;
        let names_texts = matches!(named, Some(None));
        let scored = Scored { logprob, top: named.flatten(), may_add_own: true, names_texts, ..Scored::default() };
        tokens.push(of(text, id, scored));
    }
    Ok(tokens)
}

/// An id that is written as a number.
fn whole_id(id: Option<f64>) -> Result<u32, String> {
    let whole = id.filter(|id| id.fract() == 0.0 && (0.0..4_294_967_296.0).contains(id));
    whole.map(|id| id as u32).ok_or_else(|| format!("`token_ids` has {}, which is no id", id.unwrap_or(f64::NAN)))
}

/// `[{"token", "logprob", "top_logprobs"}]`; Fireworks' entries have a `token_id` too. The first of an echoed prompt has no
/// number.
///
/// # Errors
/// What is wrong with it.
pub fn of_chat(content: &str) -> Result<Vec<Token>, String> {
    let items: Vec<&RawValue> =
        serde_json::from_str(content).map_err(|e| format!("`content` is no list of tokens: {e}"))?;
    let token = |(place, item): (usize, &RawValue)| {
        let fields = Fields::parse(item.get(), &["token", "token_id", "logprob", "top_logprobs"])?;
        let logprob = fields.get("logprob").and_then(numbers::number);
        let tops: Option<Vec<&RawValue>> =
            fields.get("top_logprobs").map(|_| fields.list("top_logprobs", "tokens")).transpose()?;
        let tops = tops.filter(|tops| !tops.is_empty());
        let top = tops.as_ref().map(|tops| tops.iter().map(|top| top_of_chat(top)).collect::<Option<Vec<Entry>>>());
        let names_texts = matches!(top, Some(None));
        if logprob.is_none() && place > 0 {
            return Err(format!("token {place} has no log-probability"));
        }
        let id =
            fields.get("token_id").map(|raw| raw.parse().map_err(|_| format!("`token_id` is {raw}, which is no id")));
        let scored = Scored { logprob, top: top.flatten(), may_add_own: true, names_texts, ..Scored::default() };
        Ok(of(fields.text("token")?, id.transpose()?, scored))
    };
    items.into_iter().enumerate().map(token).collect()
}

/// An entry of a chat's list, if it is of a certain id.
fn top_of_chat(item: &RawValue) -> Option<Entry> {
    let fields = Fields::parse(item.get(), &["token", "token_id", "logprob"]).ok()?;
    let logprob = numbers::number(fields.get("logprob")?)?;
    let id = fields.get("token_id").and_then(|raw| raw.parse().ok());
    Some(Entry { id: id.or_else(|| id_of(&fields.text("token").ok()?))?, logprob, rank: None, text: None })
}

/// A token with an id of its own, or one that is called `token_id:ID`, or by its text.
fn of(text: String, id: Option<u32>, scored: Scored) -> Token {
    match id_of(&text) {
        Some(named) => Token { id: id.or(Some(named)), text: None, scored },
        None => Token { id, text: Some(text), scored },
    }
}
