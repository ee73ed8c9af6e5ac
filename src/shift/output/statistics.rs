//! A comparison's statistics as one long table: one row per statistic.
//!
//! Owns that table's columns. Not here: computing them, and the formats of files (`file`).

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::weight_statistics;
use crate::error::Result;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::between::{Between, BetweenMeasure};
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::{self, KlEstimate};
use crate::shift::result::means::{Difference, Means, Overall};
use crate::shift::result::pair::Pair;
use crate::shift::result::relation::MeasureRelation;
use crate::shift::token::measures::is_of_pairs;

/// All tokens of a pair.
const ALL: &str = "all";

/// Which tokens a statistic is about, and which models scored them.
#[derive(Clone, Debug)]
struct Subject<'a> {
    p: &'a str,
    q: &'a str,
    /// Another Q, whose values were subtracted from Q's.
    minus: Option<&'a str>,
    /// P of what was subtracted, on its own text, if it is another P.
    minus_p: Option<&'a str>,
    generation_model: &'a str,
    /// None: of all tasks together.
    task: Option<&'a str>,
    /// [`ALL`], or `region=answer` and the like.
    slice: Cow<'a, str>,
    /// What logits were divided by for measures of the pairs table; all others are at 1.
    temperature: f64,
    /// Parts of a table are missing, or a task's tables.
    partial: bool,
    /// Whether k1 and k3 estimate KL(P‖Q).
    kl_estimate: &'a KlEstimate,
}

/// A statistic of Q compared with P.
struct Row<'a> {
    subject: Subject<'a>,
    measure: &'a str,
    statistic: &'a str,
    estimate: Estimate,
}

/// The end of responses, from the pairs table like its measures.
const STOPS: [&str; 3] = ["stop_p", "stop_q", "delta_stop"];

impl Row<'_> {
    /// What logits were divided by for it.
    fn temperature(&self) -> f64 {
        let is_exact = is_of_pairs(self.measure) || STOPS.contains(&self.measure);
        if is_exact { self.subject.temperature } else { 1.0 }
    }

    /// The answer, and its reason; nothing of measures that hold on any text.
    fn kl_estimate(&self) -> Option<&KlEstimate> {
        kl_estimate::of_measure(self.measure, self.subject.kl_estimate)
    }
}

/// Every mean and quantile, one row per statistic.
///
/// # Errors
/// [`crate::Error::Arrow`]: the table cannot be made.
pub fn statistics(comparison: &Comparison) -> Result<RecordBatch> {
    let mut rows: Vec<_> = comparison.pairs.iter().flat_map(of_pair).collect();
    rows.extend(comparison.differences.iter().flat_map(|of| of_difference(of, &comparison.pairs)));
    rows.extend(comparison.overall.iter().flat_map(of_overall));
    rows.extend(comparison.between.iter().flat_map(of_between));
    batch(&rows)
}

/// A statistic that may be absent.
type Figure<'a> = (&'a str, &'a str, Option<Estimate>);

impl<'a> Subject<'a> {
    fn new(
        p: &'a str,
        q: &'a str,
        generation_model: &'a str,
        task: Option<&'a str>,
        kl_estimate: &'a KlEstimate,
    ) -> Self {
        let (slice, temperature) = (Cow::Borrowed(ALL), 1.0);
        Self {
            p,
            q,
            minus: None,
            minus_p: None,
            generation_model,
            task,
            slice,
            temperature,
            partial: false,
            kl_estimate,
        }
    }

    /// Marked if parts are missing of one of the `pairs` that its statistics are about.
    fn marked(self, pairs: &[Pair]) -> Self {
        let is_of = |pair: &&Pair| {
            (pair.p.as_str(), pair.generation_model.as_str()) == (self.p, self.generation_model)
                && (pair.q == self.q || Some(pair.q.as_str()) == self.minus)
                && self.task == Some(pair.task.as_str())
        };
        let partial = pairs.iter().filter(is_of).any(|pair| pair.partial.is_some());
        Self { partial, ..self }
    }

    fn rows(self, figures: impl IntoIterator<Item = Figure<'a>>) -> Vec<Row<'a>> {
        let row = |(measure, statistic, estimate): Figure<'a>| {
            Some(Row { subject: self.clone(), measure, statistic, estimate: estimate? })
        };
        figures.into_iter().filter_map(row).collect()
    }
}

fn of_pair(pair: &Pair) -> Vec<Row<'_>> {
    let temperature = pair.exact.as_ref().map_or(1.0, |exact| exact.temperature);
    let subject = Subject::new(&pair.p, &pair.q, &pair.generation_model, Some(&pair.task), &pair.kl_estimate);
    let subject = Subject { temperature, partial: pair.partial.is_some(), ..subject };
    let means = pair.measures.iter().flat_map(|m| {
        let means = [("token_mean", m.token_mean), ("sample_mean", m.sample_mean), ("response_mean", m.response_mean)];
        means.map(|(statistic, mean)| (m.name.as_str(), statistic, mean))
    });
    let quantiles = pair.quantiles.iter().flat_map(|of| {
        of.quantiles.iter().map(|quantile| (of.measure.as_str(), quantile.name.as_str(), Some(quantile.estimate)))
    });
    let (tokens, samples) = (pair.perplexity, pair.mean_sample_perplexity);
    let perplexities = [
        ("perplexity_p", "over_tokens", tokens.p),
        ("perplexity_q", "over_tokens", tokens.q),
        ("perplexity_p", "sample_mean", samples.p),
        ("perplexity_q", "sample_mean", samples.q),
    ];
    let stop = pair.exact.as_ref().and_then(|exact| exact.stop.as_ref());
    let correlation = pair.log_perplexity_correlation.map(|value| {
        let (stderr, low, high) = (None, None, None);
        Estimate { value, stderr, low, high, clusters: pair.clusters, n: pair.tokens }
    });
    let joint = [
        ("perplexity_ratio", "over_tokens", pair.perplexity_ratio),
        ("perplexity_difference", "over_tokens", pair.perplexity_difference),
        ("log_perplexity_correlation", "over_tokens", correlation),
        ("delta_p", "root_mean_square", pair.rms_delta_p),
        ("is_cut", "sample_mean", pair.cut.map(|cut| cut.share)),
        (STOPS[0], "sample_mean", stop.map(|stop| stop.p)),
        (STOPS[1], "sample_mean", stop.map(|stop| stop.q)),
        (STOPS[2], "sample_mean", stop.map(|stop| stop.difference)),
    ];
    let mut rows = subject.clone().rows(means.chain(quantiles).chain(perplexities).chain(joint));
    for slice in &pair.slices {
        let name = format!("{}={}", slice.by, slice.value);
        let subject = Subject { slice: name.into(), kl_estimate: &slice.kl_estimate, ..subject.clone() };
        rows.extend(subject.rows(slice.measures.iter().flat_map(both_means)));
    }
    for (step, weights) in pair.weights.iter().flat_map(weight_statistics::of) {
        let slice = step.map_or(ALL.into(), |step| format!("field.step={step}").into());
        rows.extend(Subject { slice, ..subject.clone() }.rows(weights));
    }
    for field in &pair.fields {
        let slice = format!("field.{}", field.field).into();
        let subject = Subject { slice, kl_estimate: &field.kl_estimate, ..subject.clone() };
        rows.extend(subject.rows(field.measures.iter().flat_map(of_relation)));
    }
    rows
}

fn of_relation(measure: &MeasureRelation) -> [Figure<'_>; 4] {
    let name = measure.name.as_str();
    let [tokens, responses] = [measure.per_token, measure.per_response];
    [
        (name, "slope_per_token", tokens.map(|of| of.slope)),
        (name, "correlation_per_token", tokens.and_then(|of| of.correlation)),
        (name, "slope_per_response", responses.map(|of| of.slope)),
        (name, "correlation_per_response", responses.and_then(|of| of.correlation)),
    ]
}

fn of_difference<'a>(difference: &'a Difference, pairs: &[Pair]) -> Vec<Row<'a>> {
    let Difference { p, q, minus, generation_model, task, temperature, kl_estimate, .. } = difference;
    let subject = Subject {
        minus: Some(minus),
        temperature: temperature.unwrap_or(1.0),
        ..Subject::new(p, q, generation_model, Some(task), kl_estimate)
    };
    subject.marked(pairs).rows(difference.measures.iter().flat_map(both_means))
}

fn both_means(means: &Means) -> [Figure<'_>; 2] {
    [(means.name.as_str(), "token_mean", means.token_mean), (means.name.as_str(), "sample_mean", means.sample_mean)]
}

fn of_overall(overall: &Overall) -> Vec<Row<'_>> {
    let subject = Subject::new(&overall.p, &overall.q, &overall.generation_model, None, &overall.kl_estimate);
    let (temperature, partial) = (overall.temperature.unwrap_or(1.0), overall.incomplete().is_some());
    Subject { temperature, partial, ..subject }.rows(overall.measures.iter().flat_map(|m| {
        let means = [
            ("token_mean", m.token_mean),
            ("sample_mean", m.sample_mean),
            ("mean_of_token_means", m.mean_of_token_means),
            ("mean_of_sample_means", m.mean_of_sample_means),
        ];
        means.map(|(statistic, mean)| (m.name.as_str(), statistic, mean))
    }))
}

/// The subtracted mean is of the same Q, with another P on that one's own text.
fn of_between(between: &Between) -> Vec<Row<'_>> {
    let Between { model, minus, to, tasks, overall, .. } = between;
    let subject = |task, kl_estimate, temperature: Option<f64>, partial| Subject {
        minus: Some(to),
        minus_p: Some(minus),
        temperature: temperature.unwrap_or(1.0),
        partial,
        ..Subject::new(model, to, model, task, kl_estimate)
    };
    let mut rows = Vec::new();
    for of in tasks {
        let subject = subject(Some(&of.task), &of.kl_estimate, of.temperature, of.partial);
        rows.extend(subject.rows(differences(&of.measures, |name| name)));
    }
    if let Some(of) = overall {
        let subject = subject(None, &of.kl_estimate, of.temperature, of.partial);
        rows.extend(subject.clone().rows(differences(&of.measures, |name| name)));
        rows.extend(subject.rows(differences(&of.mean_of_tasks, mean_of)));
    }
    rows
}

fn differences<'a>(
    measures: &'a [BetweenMeasure],
    name: fn(&'static str) -> &'static str,
) -> impl Iterator<Item = Figure<'a>> {
    let of_measure = move |m: &'a BetweenMeasure| {
        m.means().map(|(mean, contrast)| (m.name.as_str(), name(mean), contrast.map(|of| of.difference)))
    };
    measures.iter().flat_map(of_measure)
}

/// The name of a mean over tasks.
fn mean_of(mean: &'static str) -> &'static str {
    match mean {
        "token_mean" => "mean_of_token_means",
        "sample_mean" => "mean_of_sample_means",
        "prompt_mean" => "mean_of_prompt_means",
        _ => "mean_of_response_means",
    }
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type: &DataType, nullable| Field::new(name, data_type.clone(), nullable);
    let texts = ["p", "q", "minus", "minus_p", "generation_model", "task", "slice", "measure", "statistic"];
    let texts = texts.map(|name| field(name, &DataType::Utf8, ["minus", "minus_p", "task"].contains(&name)));
    let numbers = ["temperature", "value", "stderr", "low", "high"];
    let numbers = numbers.map(|name| field(name, &DataType::Float64, !["temperature", "value"].contains(&name)));
    let counts = ["clusters", "n"].map(|name| field(name, &DataType::UInt64, false));
    let partial = field("partial", &DataType::Boolean, false);
    let estimates = ["kl_estimate", "kl_estimate_reason"].map(|name| field(name, &DataType::Utf8, true));
    let fields = texts.into_iter().chain(numbers).chain(counts).chain([partial]).chain(estimates);
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn batch(rows: &[Row<'_>]) -> Result<RecordBatch> {
    let texts = |f: fn(&Row<'_>) -> Option<String>| Arc::new(rows.iter().map(f).collect::<StringArray>()) as ArrayRef;
    let numbers =
        |f: fn(&Estimate) -> Option<f64>| Arc::new(rows.iter().map(|r| f(&r.estimate)).collect::<Float64Array>()) as _;
    let counts = |f: fn(&Estimate) -> u64| Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| f(&r.estimate))));
    let columns: Vec<ArrayRef> = vec![
        texts(|r| Some(r.subject.p.to_owned())),
        texts(|r| Some(r.subject.q.to_owned())),
        texts(|r| r.subject.minus.map(str::to_owned)),
        texts(|r| r.subject.minus_p.map(str::to_owned)),
        texts(|r| Some(r.subject.generation_model.to_owned())),
        texts(|r| r.subject.task.map(str::to_owned)),
        texts(|r| Some(r.subject.slice.clone().into_owned())),
        texts(|r| Some(r.measure.to_owned())),
        texts(|r| Some(r.statistic.to_owned())),
        Arc::new(Float64Array::from_iter_values(rows.iter().map(Row::temperature))),
        numbers(|e| Some(e.value)),
        numbers(|e| e.stderr),
        numbers(|e| e.low),
        numbers(|e| e.high),
        counts(|e| e.clusters),
        counts(|e| e.n),
        Arc::new(rows.iter().map(|r| Some(r.subject.partial)).collect::<BooleanArray>()),
        texts(|r| r.kl_estimate().map(|of| of.answer().to_owned())),
        texts(|r| r.kl_estimate().map(|of| of.reason().to_owned())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
