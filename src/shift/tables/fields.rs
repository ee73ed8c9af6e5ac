//! Samples grouped by a field that their table kept.
//!
//! Owns which values form a group of their own. Not here: tokens (`slices`).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use polars::prelude::{AnyValue, DataFrame, DataType, Engine, Expr, col};

use super::samples::SampleFacts;
use super::scan::scan;
use crate::error::Result;
use crate::schema::{self, sample};
use crate::shift::numbers::stats::FEW_CLUSTERS;

/// Values that get a group each; more of them are put together.
const MOST: usize = 12;

/// Of rows without the field, and of the rarer texts.
const NULL: &str = "(null)";
const OTHERS: &str = "(others)";

/// Each group's name, and each sample's group.
pub struct Groups {
    pub names: Vec<String>,
    pub of_sample: Vec<usize>,
}

/// What decides whether a sample is in a group, as far as the samples show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// All rows of a cluster have one value, and enough clusters of the group have several rows.
    Prompt,
    /// Rows of a cluster have several values, of this group or another.
    Response,
    /// Too few clusters of the group have several rows to tell, whatever those of other groups have.
    Either,
}

/// Groups `samples` by the kept field `name`. Up to 12 values: each one. More numbers: four groups at the quartiles.
/// More texts: the 11 most frequent and the others. Also says of each group what decides it.
pub fn groups(files: &[PathBuf], name: &str, samples: &[SampleFacts]) -> Result<(Groups, Vec<DecidedBy>)> {
    // Not `col`, to which some names are patterns.
    let frame = scan(files, &schema::samples(&[]))?.select([
        col(sample::SAMPLE_ID),
        col(sample::ROW),
        Expr::Column(name.into()),
    ]);
    let frame = frame.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let is_number = frame.column(name)?.dtype() == &DataType::Float64;
    let values = values(&frame, name, samples)?;
    let counts = values.iter().fold(BTreeMap::<&str, usize>::new(), |mut counts, value| {
        *counts.entry(value.as_str()).or_default() += 1;
        counts
    });
    let groups = if counts.keys().filter(|value| **value != NULL).count() <= MOST {
        each(&values, is_number)
    } else if is_number {
        quartiles(&values)
    } else {
        frequent(&values, &counts)
    };
    let decided_by = decided_by(&values, &groups, &rows(&frame)?, samples);
    Ok((groups, decided_by))
}

/// The row of each sample, by its id.
fn rows(frame: &DataFrame) -> Result<HashMap<u32, u32>> {
    let (ids, rows) = (frame.column(sample::SAMPLE_ID)?.u32()?, frame.column(sample::ROW)?.u32()?);
    Ok(ids.iter().zip(rows.iter()).filter_map(|(id, row)| Some((id?, row?))).collect())
}

/// Samples of one row have its one value, whatever decided it: only several rows of a cluster tell. Rows of one value tell
/// nothing about another: of a prompt whose rows differ, a selection may have left those of one value alone.
fn decided_by(values: &[String], groups: &Groups, rows: &HashMap<u32, u32>, samples: &[SampleFacts]) -> Vec<DecidedBy> {
    let mut clusters: HashMap<u32, (&str, Option<&u32>)> = HashMap::new();
    let mut several = vec![HashSet::new(); groups.names.len()];
    for ((value, group), facts) in values.iter().zip(&groups.of_sample).zip(samples) {
        let row = rows.get(&facts.id);
        let (first, first_row) = *clusters.entry(facts.cluster).or_insert((value.as_str(), row));
        if first != value.as_str() {
            return vec![DecidedBy::Response; several.len()];
        }
        if first_row != row {
            several[*group].insert(facts.cluster);
        }
    }
    let is_enough = |clusters: &HashSet<u32>| clusters.len() as u64 >= FEW_CLUSTERS;
    several.iter().map(|of| if is_enough(of) { DecidedBy::Prompt } else { DecidedBy::Either }).collect()
}

/// The value of each sample, as text.
fn values(frame: &DataFrame, name: &str, samples: &[SampleFacts]) -> Result<Vec<String>> {
    let (ids, column) = (frame.column(sample::SAMPLE_ID)?.u32()?, frame.column(name)?);
    let mut known = HashMap::with_capacity(frame.height());
    for (row, id) in ids.iter().enumerate() {
        let value = match column.get(row)? {
            AnyValue::Null => NULL.to_owned(),
            AnyValue::Boolean(value) => value.to_string(),
            // Without the sign of a zero.
            AnyValue::Float64(value) => (value + 0.0).to_string(),
            value => match value.get_str().unwrap_or_default() {
                ours @ (NULL | OTHERS) => format!("{ours:?}"),
                text => text.to_owned(),
            },
        };
        known.insert(id.unwrap_or_default(), value);
    }
    Ok(samples.iter().map(|s| known.get(&s.id).cloned().unwrap_or_else(|| NULL.to_owned())).collect())
}

fn each(values: &[String], is_number: bool) -> Groups {
    let mut names = values.to_vec();
    names.sort_by(|a, b| match (is_number, a.parse::<f64>(), b.parse::<f64>()) {
        (true, Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    names.dedup();
    let place = |value: &String| names.iter().position(|name| name == value).unwrap_or_default();
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

fn frequent(values: &[String], counts: &BTreeMap<&str, usize>) -> Groups {
    let mut by_count: Vec<_> = counts.iter().collect();
    by_count.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), **name));
    let mut names: Vec<_> = by_count.iter().take(MOST - 1).map(|(name, _)| (**name).to_owned()).collect();
    let others = names.len();
    names.push(OTHERS.to_owned());
    let place = |value: &String| names[..others].iter().position(|name| name == value).unwrap_or(others);
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

/// Groups of about as many samples each, and one of those without a number.
fn quartiles(values: &[String]) -> Groups {
    // `NaN` is a value and no number, and lies in no quarter.
    let number = |value: &String| value.parse::<f64>().ok().filter(|number| !number.is_nan());
    let mut sorted: Vec<f64> = values.iter().filter_map(number).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: usize| sorted[(sorted.len() - 1) * share / 4];
    let ends = [at(1), at(2), at(3)];
    let mut names = vec![format!("<= {}", ends[0])];
    names.extend(ends.windows(2).map(|two| format!("{} to {}", two[0], two[1])));
    names.extend([format!("> {}", ends[2]), NULL.to_owned()]);
    let place = |value: &String| number(value).map_or(4, |x| ends.iter().filter(|end| x > **end).count());
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: &[&str]) -> Vec<String> {
        values.iter().map(|v| (*v).to_owned()).collect()
    }

    #[test]
    fn few_numbers_are_in_the_order_of_numbers() {
        let groups = each(&texts(&["10", "9", NULL, "9"]), true);
        assert_eq!((groups.names, groups.of_sample), (texts(&[NULL, "9", "10"]), vec![2, 1, 0, 1]));
    }

    #[test]
    fn many_numbers_are_cut_at_quartiles() {
        let none = [NULL.to_owned(), f64::NAN.to_string()];
        let values: Vec<String> = (0..40).map(|i| i.to_string()).chain(none).collect();
        let groups = quartiles(&values);
        assert_eq!(groups.names, ["<= 9", "9 to 19", "19 to 29", "> 29", NULL]);
        let sizes: Vec<_> = (0..5).map(|g| groups.of_sample.iter().filter(|of| **of == g).count()).collect();
        assert_eq!(sizes, [10, 10, 10, 10, 2]);
    }

    #[test]
    fn rare_texts_are_put_together() {
        let values: Vec<String> = (0..20).flat_map(|i| vec![format!("t{i:02}"); 20 - i]).collect();
        let counts = values.iter().fold(BTreeMap::new(), |mut counts, v| {
            *counts.entry(v.as_str()).or_default() += 1;
            counts
        });
        let groups = frequent(&values, &counts);
        assert_eq!((groups.names.len(), groups.names[0].as_str(), groups.names[11].as_str()), (12, "t00", "(others)"));
        assert_eq!(groups.of_sample.iter().filter(|g| **g == 11).count(), (1..=9).sum::<usize>());
    }
}
