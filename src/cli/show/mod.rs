//! `tokshift show`: one response in the terminal, coloured by how far each token moved; one token's numbers and lists.
//!
//! Owns what is printed. Not here: which escape sequences a terminal takes (`paint`), and reading tables (`report`).

mod paint;

use anyhow::Result;

use super::args::ShowArgs;
use super::exit::Exit;
use super::{kl, report};
use crate::Error;
use crate::escape::visible;
use crate::report::{OfModel, OneSample, OneToken, level, one};
use crate::shift::{aligned, number_text};
use paint::Paint;

/// Tokens in the list below a response.
const MOST: usize = 10;

/// Candidates in a token's panel.
const CANDIDATES: usize = 10;

/// Reads the sample and prints it.
pub fn run(args: &ShowArgs) -> Result<Exit> {
    let sample = one(&args.which.output_dir, &report::options(&args.which, &args.shown)?, args.sample)?;
    let Some(position) = args.token else {
        let text =
            if args.json { serde_json::to_string_pretty(&sample)? + "\n" } else { whole(&sample, Paint::of_stdout()) };
        return kl::print(&text);
    };
    let token = sample.tokens.iter().find(|token| token.position == position).ok_or_else(|| {
        let last = sample.tokens.last().map_or(0, |token| token.position);
        Error::usage(format!("sample {} has no token {position}: its last one is {last}", sample.sample_id))
    })?;
    kl::print(&if args.json { serde_json::to_string_pretty(token)? + "\n" } else { panel(&sample, token) })
}

/// The response, and the tokens that moved most.
fn whole(sample: &OneSample, paint: Paint) -> String {
    let mut out = heading(sample);
    for token in &sample.tokens {
        let delta = token.pairs.first().and_then(|pair| pair.delta_logprob).unwrap_or_default();
        out += &paint.token(&token.name, i32::from(level(delta)) - 5);
    }
    out += "\n\n";
    let mut most: Vec<&OneToken> = sample.tokens.iter().filter(|token| size(token) > 0.0).collect();
    most.sort_by(|a, b| size(b).total_cmp(&size(a)));
    let head = ["token", "at", "Δ log p", "p", "q", "rank p", "rank q"].map(str::to_owned).to_vec();
    let rows = most.into_iter().take(MOST).map(|token| {
        let [p, q] = [&token.models[0], &token.models[1]];
        let delta = token.pairs.first().and_then(|pair| pair.delta_logprob);
        let rank = |model: &OfModel| model.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string());
        let delta = delta.map_or_else(|| "-".to_owned(), |delta| format!("{delta:+.3}"));
        vec![format!("[{}]", token.name), token.position.to_string(), delta, share(p), share(q), rank(p), rank(q)]
    });
    out + &lines(&aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), 1))
}

/// What the response is, and of which models.
fn heading(sample: &OneSample) -> String {
    let OneSample { generation_model, task, sample_id, row, models, .. } = sample;
    let of_pair = format!("P = {}, Q = {}", models[0], models[1..].join(", "));
    let mut out = vec![format!("sample {sample_id}, row {row} of {task} by {generation_model}; {of_pair}")];
    out.extend(sample.fields.iter().map(|(name, value)| format!("{name}: {}", value.as_str().unwrap_or("-"))));
    let sum: f64 = sample.tokens.iter().filter_map(|token| token.pairs.first()?.delta_logprob).sum();
    let (q, sum, n) = (&models[1], number_text(sum), sample.tokens.len());
    out.push(format!("Σ ln q − ln p with Q = {q}: {sum} nats over {n} tokens"));
    lines(&out.iter().map(|line| visible(line)).collect::<Vec<_>>()) + "\n"
}

/// One token: the numbers of all models, and the most likely tokens of P and the first Q side by side.
fn panel(sample: &OneSample, token: &OneToken) -> String {
    let mut out = visible(&format!("[{}] token {}, id {}", token.name, token.position, id(token.token_id))) + "\n\n";
    let head = ["model", "log p", "p", "rank", "entropy", "Δ log p", "KL(P‖Q)", "class"].map(str::to_owned).to_vec();
    let rows = sample.models.iter().enumerate().map(|(i, model)| {
        let of = &token.models[i];
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), number_text);
        let pair = i.checked_sub(1).map(|q| &token.pairs[q]);
        vec![
            model.clone(),
            number(of.logprob),
            share(of),
            of.rank.map_or_else(|| "-".to_owned(), |rank| rank.to_string()),
            number(of.entropy),
            number(pair.and_then(|pair| pair.delta_logprob)),
            number(pair.and_then(|pair| pair.kl)),
            pair.and_then(|pair| pair.class).unwrap_or("-").to_owned(),
        ]
    });
    out += &lines(&aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), 1));
    let longest = token.models.iter().map(|model| model.top.len()).max().unwrap_or_default().min(CANDIDATES);
    let head = sample.models.iter().flat_map(|model| [model.clone(), String::new()]).collect();
    let row = |place: usize| {
        token.models.iter().flat_map(move |model| match model.top.get(place) {
            Some(found) => {
                let text = found.token.clone().unwrap_or_else(|| format!("#{}", found.token_id));
                [format!("[{text}]"), percent(found.logprob)]
            }
            None => [String::new(), String::new()],
        })
    };
    let rows: Vec<Vec<String>> = std::iter::once(head).chain((0..longest).map(|place| row(place).collect())).collect();
    out + "\n" + &lines(&aligned(&rows, 2 * sample.models.len()))
}

fn lines(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}

/// How far a token moved.
fn size(token: &OneToken) -> f64 {
    token.pairs.first().and_then(|pair| pair.delta_logprob).map_or(0.0, f64::abs)
}

fn id(id: Option<u32>) -> String {
    id.map_or_else(|| "unknown".to_owned(), |id| id.to_string())
}

fn share(model: &OfModel) -> String {
    model.logprob.map_or_else(|| "-".to_owned(), percent)
}

fn percent(logprob: f64) -> String {
    let share = 100.0 * logprob.exp();
    if share >= 0.01 { format!("{share:.2}%") } else { format!("{share:.1e}%") }
}
