//! A comparison as one flat JSON object, for dashboards.
//!
//! Owns its keys, `TASK/P-Q/STATISTIC`. Not here: values that are no estimate of what their name says, which are left
//! out.

use serde_json::{Map, Value};

use super::statistic::Statistic;
use super::summary::{Of, rows};
use crate::error::{Error, Result};
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::{KlEstimate, of_measure};
use crate::shift::token::measures;

/// Statistics other than means over tokens and quantiles.
const OTHERS: [&str; 5] = ["perplexity_p", "perplexity_q", "perplexity_ratio", "kl.response_mean", "rms_delta_p"];

/// One number per key, nothing nested: the mean over tokens of every measure, its standard error (`…/kl_stderr`), the
/// quantiles that were computed (`…/kl.q0.99`), perplexities, and how many clusters there are; of every pair, and of those
/// that are pooled over tasks (`all/P-Q/…`). k1 and k3 are there only where they estimate KL, and numbers only if they are
/// finite.
///
/// # Errors
/// [`Error::Usage`] if two pairs have one key, because of dashes in names.
pub fn scalars(comparison: &Comparison) -> Result<String> {
    let mut all = Map::new();
    for row in rows(comparison) {
        let prefix = prefix(row);
        for (name, value) in of_row(row)? {
            let key = format!("{prefix}/{name}");
            if all.insert(key.clone(), value).is_some() {
                let what = format!("--scalars: two pairs have the key `{key}`");
                return Err(Error::Usage(format!("{what}: use --task, --generation-model or --pair for one of them")));
            }
        }
    }
    serde_json::to_string_pretty(&all)
        .map(|text| text + "\n")
        .map_err(|e| Error::Usage(format!("cannot write JSON: {e}")))
}

/// `TASK/P-Q`, and the author of the responses where that is not P.
fn prefix(row: Of) -> String {
    let [p, q] = row.models();
    let task = match row {
        Of::Pair(pair) => pair.task.clone(),
        Of::Pooled(_) => "all".to_owned(),
    };
    let by = if row.generation_model() == p { String::new() } else { format!(" by {}", row.generation_model()) };
    format!("{task}{by}/{p}-{q}")
}

fn of_row(row: Of) -> Result<Vec<(String, Value)>> {
    let mut found = Vec::new();
    let mut add = |name: String, number: Option<f64>| {
        let number = number.and_then(serde_json::Number::from_f64);
        found.extend(number.map(|number| (name, Value::Number(number))));
    };
    let is_one = |name: &str| of_measure(name, row.kl_estimate()).is_none_or(|of| *of == KlEstimate::Yes);
    for measure in measures::ALL.iter().filter(|measure| is_one(measure.name)) {
        let mean: Option<Estimate> = row.mean(measure.name);
        add(measure.name.to_owned(), mean.map(|mean| mean.value));
        add(format!("{}_stderr", measure.name), mean.and_then(|mean| mean.stderr));
    }
    for name in OTHERS {
        add(name.to_owned(), Statistic::of_name(name)?.value(row).map(|estimate| estimate.value));
    }
    if let Of::Pair(pair) = row {
        for of in pair.quantiles.iter().filter(|of| is_one(&of.measure)) {
            for quantile in &of.quantiles {
                add(format!("{}.{}", of.measure, quantile.name), Some(quantile.estimate.value));
            }
        }
        add("samples".to_owned(), Some(pair.samples as f64));
        add("tokens".to_owned(), Some(pair.tokens as f64));
    }
    add("clusters".to_owned(), Some(row.clusters() as f64));
    Ok(found)
}
