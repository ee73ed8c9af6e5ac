//! How much of a pair's KL may be rounding, as far as this is known without a noise floor.
//!
//! Owns these notes and the size below which bf16 is doubtful (docs/measures.md: "Rounding"). Not here: the noise
//! floor, which measures it (`floor`).

use crate::schema::pair::KL;
use crate::shift::options::Options;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::pair::Pair;
use crate::shift::tables::f32_versions;
use crate::shift::tables::files::{ModelTable, PairTables};

/// Nats per token below which rounding to bf16 can be a large part of KL. Rounding alone gives SmolLM2-135M a KL of
/// 1e-4 to 1.7e-4 (docs/speed.md has the former): more than 1% of anything smaller than this.
const DOUBTFUL_IN_BF16: f64 = 1e-2;

/// The type of a logits file's numbers in its manifest.
const IN_16_BITS: &str = "u16";

/// What a reader of a small KL has to know of the arithmetic.
pub fn notes(tables: &PairTables, pair: &Pair, options: &Options) -> Vec<String> {
    let (p, q) = (&tables.p, &tables.q);
    if p.recorded || q.recorded {
        return Vec::new();
    }
    if let Some(side) =
        [("P", p), ("Q", q)].into_iter().find_map(|(side, table)| (dtype(table) == IN_16_BITS).then_some(side))
    {
        return vec![format!(
            "{side} is a logits file of llama.cpp: 16 bits a log-probability; ids that are 16 nats less likely than the \
             likeliest count as one, and a written token among them has that bound as its log-probability (docs/measures.md: \
             \"Logits files\")"
        )];
    }
    if !p.weights.0.is_empty() && p.weights.0 == q.weights.0 {
        return vec![same_weights(p, q, pair)];
    }
    let has_floor =
        [p, q].iter().all(|table| is_in_f32(table) || f32_versions::of(&options.noise_floor, &table.model).is_some());
    note(p, q, pair).filter(|_| !has_floor || is_in_f32(p) && is_in_f32(q)).into_iter().collect()
}

fn is_in_f32(table: &ModelTable) -> bool {
    dtype(table) == "f32"
}

fn dtype(table: &ModelTable) -> &str {
    &table.weights.1
}

/// The hashes of all files agree.
fn same_weights(p: &ModelTable, q: &ModelTable, pair: &Pair) -> String {
    let (of_p, of_q) = (dtype(p), dtype(q));
    if of_p != of_q {
        return format!("P and Q are the same weights, in {of_p} and in {of_q}: what differs is rounding alone");
    }
    let is_zero = kl(pair).is_some_and(|kl| kl == 0.0);
    let what = if is_zero { "so that KL is 0 by construction" } else { "so that what differs is rounding alone" };
    format!("P and Q are the same weights in the same dtype (their files are equal), {what}")
}

fn note(p: &ModelTable, q: &ModelTable, pair: &Pair) -> Option<String> {
    let (of_p, of_q) = (dtype(p), dtype(q));
    let remedy = "score both with --dtype f32, or measure it with `score --noise-floor DIR`";
    if of_p != of_q {
        return Some(format!(
            "P was computed in {of_p}, Q in {of_q}: KL contains what rounding alone gives (1e-4 to 1.7e-4 nats/token for \
             SmolLM2-135M in bf16 against itself in f32): {remedy}"
        ));
    }
    if of_p == "f32" {
        return None;
    }
    kl(pair).filter(|kl| *kl < DOUBTFUL_IN_BF16).map(|_| {
        format!(
            "KL is, or may be, below {DOUBTFUL_IN_BF16} nats/token, and both models were computed in {of_p}: rounding alone can \
             be much of that (1e-4 to 1.7e-4 nats/token for SmolLM2-135M in bf16; a LoRA of 1e-3 of the weights came out 5 \
             times too far): {remedy}"
        )
    })
}

/// The exact mean, else what k1 says if it estimates KL, else the lower bound.
fn kl(pair: &Pair) -> Option<f64> {
    let mean = |name: &str| pair.measures.iter().find(|m| m.name == name)?.token_mean;
    let k1 = mean("kl_k1").filter(|_| pair.kl_estimate == KlEstimate::Yes);
    mean(KL).or(k1).or_else(|| mean("kl_lower")).map(|mean| mean.value)
}
