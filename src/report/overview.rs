//! The first view of a report: what was compared, how far the models moved, and where.
//!
//! Owns which statistics it shows; they are readable without JavaScript and printable. Not here: figures (`figure`),
//! and the list of samples, which a script makes.

use std::fmt::Write;

use super::contents::Contents;
use super::figure::{self, mean};
use super::html::{fragment, table, text};
use crate::shift::{
    Comparison, Estimate, ExactFigures, KlEstimate, Pair, Place, bounds_text, estimate_text, short_text,
};
use crate::store::FoundCell;

/// Tokens and responses in each list.
const MOST: usize = 10;

/// Characters of a name in a table.
const MOST_CHARACTERS: usize = 80;

/// What stands there while the statistics are computed.
const PENDING: &str = "<h1>What changed, token by token</h1>\n<p role=\"status\" id=\"pending\">The statistics are being computed \
from all tokens, and appear here when they are done. <a href=\"#samples\">Samples</a> and the reader are complete.</p>\n";

/// The overview as HTML; `cells` are what the manifests say of the models. Until there is a comparison it says so.
pub fn html(contents: &Contents, cells: &[FoundCell]) -> String {
    let Some(comparison) = contents.comparison.get() else { return PENDING.to_owned() };
    let pairs = &comparison.pairs;
    let mut out = String::from("<h1>What changed, token by token</h1>\n");
    out += &lead(contents, comparison);
    out += &section("KL divergence by task", &(figure::kl_by_task(comparison).in_page() + KL_LEGEND + &kl(pairs)));
    out += &section("Classes of tokens", &(CLASSES.to_owned() + &figure::classes(comparison).in_page()));
    let positions = [("kl", "KL(P‖Q), nats per token"), ("delta_entropy", "change of entropy, nats")];
    let by_position = positions.iter().filter_map(|(name, unit)| figure::position(comparison, name, unit));
    let by_position: String = by_position.map(figure::Figure::in_page).collect();
    if !by_position.is_empty() {
        let note = "<p class=\"note\">The three pairs with the largest mean; bands are 95% intervals.</p>\n";
        out += &section("By position in the response", &(note.to_owned() + &by_position));
    }
    out += &section("Ranks and perplexities", &(figure::rank_shift(comparison).in_page() + &perplexities(pairs)));
    let slices: String = pairs.iter().map(slices).collect();
    if !slices.is_empty() {
        out += &section("By region, kind of token and kept field", &slices);
    }
    out += &section("What moved most", &pairs.iter().map(most).collect::<String>());
    out + &section("What was compared", &compared(contents, comparison, cells))
}

const KL_LEGEND: &str = "<p class=\"note\">Point and line: KL(P‖Q) with its 95% interval, clustered by prompt. Grey bar: \
guaranteed bounds from the lists of most likely tokens. Purple band: noise floor, where f32 versions were scored. Hollow \
circle: the published study's value, an absolute difference of log-probabilities and no KL.</p>\n";

const CLASSES: &str = "<p class=\"note\">By the place of P's most likely token in Q's list: first is unshifted, second or third \
marginal, below that shifted.</p>\n";

fn section(title: &str, content: &str) -> String {
    format!("<section><h2>{}</h2>\n{content}</section>\n", text(title))
}

/// The set, with a link to its samples, and the pair.
fn names(pair: &Pair) -> [String; 3] {
    let part = pair.partial.as_ref().map_or_else(String::new, |of| format!(" ({} of {} parts)", of.compared, of.parts));
    let address = fragment(&[("g", &pair.generation_model), ("t", &pair.task), ("q", &pair.q)]);
    let name = text(&format!("{} by {}{part}", pair.task, pair.generation_model));
    let link = format!("<a href=\"#samples&amp;{}\">{name}</a>", address.trim_start_matches('#').replace('&', "&amp;"));
    [link, text(&pair.p), text(&pair.q)]
}

/// One sentence about the largest change, and what the page contains.
fn lead(contents: &Contents, comparison: &Comparison) -> String {
    let kl = |pair: &Pair| mean(pair, "kl").filter(|mean| mean.value.is_finite());
    let largest = comparison.pairs.iter().filter_map(|pair| Some((pair, kl(pair)?)));
    let mut out = String::new();
    if let Some((pair, value)) = largest.max_by(|a, b| a.1.value.total_cmp(&b.1.value)) {
        let what = format!(
            "The largest KL(P‖Q) is {} nats per token, between {} (P) and {} (Q) on {} by {}.",
            estimate_text(Some(value))[0],
            pair.p,
            pair.q,
            pair.task,
            pair.generation_model
        );
        let _ = writeln!(out, "<p>{}</p>", text(&what));
    }
    let (inside, all) = contents.samples();
    let which = if inside == all {
        format!("All {all} compared responses are in this page.")
    } else {
        format!(
            "{inside} of {all} compared responses are in this page: half of its room is for those that moved most, the other \
             half for responses chosen by a hash of their names. All figures of this overview are of all {all}; \
             `tokshift view` shows them all."
        )
    };
    out + &format!("<p>{} Every difference is Q − P. KL is in nats per token.</p>\n", text(&which))
}

fn kl(pairs: &[Pair]) -> String {
    let head = [
        "responses",
        "P",
        "Q",
        "KL(P‖Q)",
        "95% interval",
        "bounds",
        "by k1",
        "by k3",
        "same top token",
        "estimates KL?",
    ];
    let row = |pair: &Pair| {
        let [value, interval] = estimate_text(mean(pair, "kl"));
        let [k1, k3] = ["kl_k1", "kl_k3"].map(|name| {
            let [value, _] = estimate_text(mean(pair, name));
            let caveat = if pair.kl_estimate == KlEstimate::Yes { "" } else { " †" };
            text(&format!("{value}{caveat}"))
        });
        let bound = |name| mean(pair, name).map(|mean| mean.value);
        let bounds = bound("kl_lower").map_or_else(|| "-".to_owned(), |low| bounds_text(low, bound("kl_upper")));
        let same = mean(pair, "same_top").map_or_else(|| "-".to_owned(), |mean| format!("{:.1}%", 100.0 * mean.value));
        let answer =
            format!("<span title=\"{}\">{}</span>", text(pair.kl_estimate.reason()), pair.kl_estimate.answer());
        let mut row = names(pair).to_vec();
        row.extend([text(&value), text(&interval), text(&bounds), k1, k3, same, answer]);
        row
    };
    let mut out = table("KL divergence of each pair", &head, 3, pairs.iter().map(row));
    let caveat =
        |pair: &Pair| Some(format!("<li>{}</li>", text(&format!("{}: {}", pair.title(), pair.kl_estimate.note()?))));
    let caveats: String = pairs.iter().filter_map(caveat).collect();
    if !caveats.is_empty() {
        let summary = "† k1 and k3 are not, or not known to be, KL estimates; exact KL and bounds hold all the same";
        let _ = writeln!(out, "<details class=\"note\"><summary>{summary}</summary><ul>{caveats}</ul></details>");
    }
    out
}

fn perplexities(pairs: &[Pair]) -> String {
    let head = [
        "responses",
        "P",
        "Q",
        "perplexity of P",
        "of Q",
        "ratio",
        "rank shift",
        "log2 rank ratio",
        "P(stop) of P",
        "of Q",
    ];
    let cell = |mean: Option<Estimate>| text(&estimate_text(mean)[0]);
    let row = |pair: &Pair| {
        let stop = pair.exact.as_ref().and_then(|exact| exact.stop.as_ref());
        let mut row = names(pair).to_vec();
        row.extend([cell(pair.perplexity.p), cell(pair.perplexity.q), cell(pair.perplexity_ratio)]);
        row.extend([cell(mean(pair, "rank_shift")), cell(mean(pair, "log2_rank_ratio"))]);
        row.extend([cell(stop.map(|stop| stop.p)), cell(stop.map(|stop| stop.q))]);
        row
    };
    table("Perplexities, ranks and the probability to end where the response ended", &head, 3, pairs.iter().map(row))
}

/// Means by region, kind and kept field of one pair.
fn slices(pair: &Pair) -> String {
    let slices: Vec<_> = pair.slices.iter().filter(|slice| slice.by != "position").collect();
    if slices.is_empty() {
        return String::new();
    }
    let measures = ["kl", "kl_lower", "kl_upper", "delta_entropy", "log2_rank_ratio", "shift_class.shifted"];
    let has = |name: &&&str| slices.iter().any(|slice| slice.measures.iter().any(|means| means.name == ***name));
    let measures: Vec<&str> = measures.iter().filter(has).copied().collect();
    let mut head = vec!["by", "value", "tokens"];
    head.extend(&measures);
    let rows = slices.iter().map(|slice| {
        let mut row = vec![text(&slice.by), text(&shortened(&slice.value)), slice.tokens.to_string()];
        row.extend(measures.iter().map(|name| {
            let means = slice.measures.iter().find(|means| means.name == **name);
            text(&estimate_text(means.and_then(|means| means.token_mean))[0])
        }));
        row
    });
    let title = format!("{} by {}: {} → {}", pair.task, pair.generation_model, pair.p, pair.q);
    format!("<details><summary>{}</summary>\n{}</details>\n", text(&title), table(&title, &head, 2, rows))
}

/// The beginning of a token or a field's value, which may be as long as a response.
fn shortened(name: &str) -> String {
    let end = name.char_indices().nth(MOST_CHARACTERS).map_or(name.len(), |(i, _)| i);
    if end < name.len() { format!("{}…", &name[..end]) } else { name.to_owned() }
}

/// A token's text, or its id.
fn token(name: Option<&str>, id: Option<u32>) -> String {
    let name = name.filter(|name| !name.is_empty()).map(str::to_owned);
    let name = name.or_else(|| id.map(|id| format!("#{id}"))).unwrap_or_else(|| "?".to_owned());
    format!("<code class=\"token\">{}</code>", text(&shortened(&name)))
}

/// The largest differences of one pair, each with a link to its place.
fn most(pair: &Pair) -> String {
    let link = |place: &Place, position: Option<u32>, label: &str| {
        let (sample, position) = (place.sample_id.to_string(), position.map(|position| position.to_string()));
        let mut fields = vec![
            ("g", pair.generation_model.as_str()),
            ("t", &pair.task),
            ("p", &pair.p),
            ("q", &pair.q),
            ("s", &sample),
        ];
        fields.extend(position.as_ref().map(|position| ("k", position.as_str())));
        format!("<a href=\"{}\">{}</a>", text(&fragment(&fields)), text(label))
    };
    let title = format!("{} by {}: {} → {}", pair.task, pair.generation_model, pair.p, pair.q);
    let mut out = format!("<h3>{}</h3>\n<div class=\"columns\">", text(&title));
    let tokens = pair.read_first.tokens.iter().map(|far| {
        let number = |logprob: Option<f64>| logprob.map_or_else(|| "-".to_owned(), short_text);
        let delta = far.logprob_q.zip(far.logprob_p).map(|(q, p)| q - p);
        vec![
            token(far.token.as_deref(), far.token_id),
            link(&far.place, Some(far.position), &format!("row {}, token {}", far.place.row, far.position)),
            number(delta),
        ]
    });
    out += &table("Tokens with the largest change of log-probability", &["token", "where", "Δ log p"], 2, tokens);
    let responses = pair.read_first.responses.iter().map(|far| {
        vec![link(&far.place, None, &format!("row {}", far.place.row)), far.tokens.to_string(), short_text(far.nats)]
    });
    out += &table("Responses with the largest Σ ln p − ln q", &["where", "tokens", "nats"], 1, responses);
    out += &pair.exact.as_ref().map(most_of_vocabulary).unwrap_or_default();
    out + "</div>\n"
}

/// The tokens of the vocabulary that moved most.
fn most_of_vocabulary(exact: &ExactFigures) -> String {
    let rows = exact.most_shifted.iter().take(MOST).map(|found| {
        vec![token(found.token.as_deref(), Some(found.token_id)), found.shifted.to_string(), found.tokens.to_string()]
    });
    let shifted = table(
        "Written tokens at which P's top token is most often not among Q's top three",
        &["token", "shifted", "of"],
        1,
        rows,
    );
    let rows = exact.most_kl.iter().take(MOST).map(|found| {
        vec![token(found.token.as_deref(), Some(found.token_id)), short_text(found.kl), found.tokens.to_string()]
    });
    shifted + &table("Tokens at which most of the KL is", &["token", "Σ KL, nats", "places"], 1, rows)
}

/// Models, files, what was left out, and the notes of the comparison.
fn compared(contents: &Contents, comparison: &Comparison, cells: &[FoundCell]) -> String {
    let pair = |pair: &Pair| {
        let left_out =
            pair.left_out.iter().map(|out| format!("{}: {} / {}", out.samples, out.p.as_str(), out.q.as_str()));
        let left_out = text(&left_out.collect::<Vec<_>>().join(", "));
        let mut row = names(pair).to_vec();
        row.extend([pair.samples.to_string(), pair.tokens.to_string(), pair.clusters.to_string(), left_out]);
        row
    };
    let head = ["responses", "P", "Q", "samples", "tokens", "clusters", "left out (status of P / Q)"];
    let pairs = table("What was compared", &head, 3, comparison.pairs.iter().map(pair));
    scored(cells) + &pairs + &notes(contents, comparison)
}

/// What scored which rows.
fn scored(cells: &[FoundCell]) -> String {
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    let code = |hash: &str| format!("<code>{}</code>", text(&short(hash)));
    let rows = cells.iter().map(|found| {
        let (cell, manifest) = (&found.cell, &found.manifest);
        let engine = &manifest.engine;
        let files: Vec<String> = engine.files.iter().map(|(name, hash)| format!("{name} {}", short(hash))).collect();
        vec![
            text(&format!("{} by {}", cell.set.task, cell.set.generation_model)),
            text(&cell.model),
            text(&format!("{}, {}", engine.dtype, engine.device)),
            format!("<code>{}</code>", text(&files.join(", "))),
            code(&manifest.dataset.blake3),
            code(&manifest.tokens.tokenizer),
            manifest.dataset.rows.to_string(),
            engine.top_k.to_string(),
        ]
    });
    let head = ["responses", "model", "dtype, device", "files", "dataset", "tokenizer", "rows", "top-k"];
    table("What was scored; files by the first digits of their BLAKE3 hashes", &head, 6, rows)
}

fn notes(contents: &Contents, comparison: &Comparison) -> String {
    let left_out = comparison.not_compared.iter().map(|not| format!("Not compared: {}", not.described()));
    let models = contents.sets.iter().filter(|set| !set.left_out.is_empty());
    let models = models.map(|set| format!("{}: not in the reader: {}", set.title(), set.left_out.join(", ")));
    let notes = comparison.pairs.iter().flat_map(|pair| {
        // The table of KL has these.
        let others = pair.notes.iter().filter(|note| Some(*note) != pair.kl_estimate.note().as_ref());
        others.map(|note| format!("{}: {note}", pair.title()))
    });
    let lines: Vec<String> =
        left_out.chain(models).chain(notes).map(|line| format!("<li>{}</li>", text(&line))).collect();
    if lines.is_empty() { String::new() } else { format!("<ul class=\"note\">{}</ul>\n", lines.join("")) }
}
