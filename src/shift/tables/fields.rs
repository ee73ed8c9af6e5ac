//! Samples grouped by a field that their table kept.
//!
//! Owns a field's values, and which of them form a group of their own: the same groups in every response set of a task,
//! so that slices of several checkpoints' texts can be put side by side. Not here: tokens (`slices`).

use std::collections::{BTreeMap, HashMap, HashSet};

use polars::prelude::{AnyValue, DataFrame, DataType, Engine, Expr, col};

use super::files::{ModelTable, PairTables};
use super::footers;
use super::samples::SampleFacts;
use super::scan::scan;
use crate::error::Result;
use crate::sample::Status;
use crate::schema::sample;
use crate::shift::numbers::stats::FEW_CLUSTERS;
use crate::table::Table;

/// Values that get a group each; more of them are put together.
const MOST: usize = 12;

/// Of rows without the field, and of the rarer texts.
const NULL: &str = "(null)";
const OTHERS: &str = "(others)";

/// How the values of a field are grouped.
#[derive(Clone, Debug, PartialEq)]
pub enum Buckets {
    /// Up to 12 values: each one. Whether they are numbers decides their order.
    Each { are_numbers: bool },
    /// More numbers: four groups at their quartiles.
    Quartiles([f64; 3]),
    /// More texts: the 11 most frequent, and the others.
    Frequent(Vec<String>),
}

/// The buckets of every kept field, by task and name, over all response sets that are compared.
#[derive(Default)]
pub struct Fields {
    buckets: HashMap<(String, String), Buckets>,
}

impl Fields {
    /// Reads the fields of all samples that P scored, of each response set once.
    pub fn read(pairs: &[PairTables]) -> Self {
        let mut pooled: HashMap<(String, String), Pooled> = HashMap::new();
        for pair in pairs.chunk_by(|a, b| a.set == b.set).filter_map(<[_]>::first) {
            // Tables that are damaged are told of where they are compared.
            if footers::must_be_samples(&pair.p).is_err() {
                continue;
            }
            for name in &pair.p.kept {
                let Ok(column) = Column::read(&pair.p, name) else { continue };
                pooled.entry((pair.set.task.clone(), name.clone())).or_default().add(&column);
            }
        }
        let buckets = pooled.into_iter().map(|(key, pooled)| (key, pooled.buckets()));
        Self { buckets: buckets.collect() }
    }

    /// Those of a field in the response sets of a task.
    pub fn buckets(&self, task: &str, name: &str) -> &Buckets {
        const EACH: &Buckets = &Buckets::Each { are_numbers: false };
        self.buckets.get(&(task.to_owned(), name.to_owned())).unwrap_or(EACH)
    }
}

/// A field of one response set's samples.
struct Column {
    /// By the sample's id: its row, and its value as text and, if the field is one of numbers or flags, as a number.
    samples: HashMap<u32, (Option<u32>, String, Option<f64>)>,
    /// In the order of the table, those that were scored.
    scored: Vec<u32>,
    are_numbers: bool,
    is_numeric: bool,
}

impl Column {
    fn read(table: &ModelTable, name: &str) -> Result<Self> {
        // Not `col`, to which some names are patterns.
        let frame = scan(&table.samples, Table::Samples)?.select([
            col(sample::SAMPLE_ID),
            col(sample::ROW),
            col(sample::STATUS),
            Expr::Column(name.into()),
        ]);
        let frame = frame.collect_with_engine(Engine::Streaming)?.unwrap_single();
        Self::of(&frame, name)
    }

    fn of(frame: &DataFrame, name: &str) -> Result<Self> {
        let (ids, rows) = (frame.column(sample::SAMPLE_ID)?.u32()?, frame.column(sample::ROW)?.u32()?);
        let (status, column) = (frame.column(sample::STATUS)?.str()?, frame.column(name)?);
        let (mut samples, mut scored) = (HashMap::with_capacity(frame.height()), Vec::new());
        for (place, id) in ids.iter().enumerate() {
            let id = id.unwrap_or_default();
            let (text, number) = value(&column.get(place)?);
            samples.insert(id, (rows.get(place), text, number));
            if status.get(place).and_then(Status::of_name).is_some_and(Status::is_scored) {
                scored.push(id);
            }
        }
        let are_numbers = column.dtype() == &DataType::Float64;
        Ok(Self { samples, scored, are_numbers, is_numeric: are_numbers || column.dtype() == &DataType::Boolean })
    }

    /// The value of each sample, as text.
    fn values(&self, samples: &[SampleFacts]) -> Vec<String> {
        let text =
            |s: &SampleFacts| self.samples.get(&s.id).map_or_else(|| NULL.to_owned(), |(_, text, _)| text.clone());
        samples.iter().map(text).collect()
    }
}

/// As text, and as a number if it is one or a flag.
fn value(value: &AnyValue) -> (String, Option<f64>) {
    match value {
        AnyValue::Null => (NULL.to_owned(), None),
        AnyValue::Boolean(value) => (value.to_string(), Some(f64::from(u8::from(*value)))),
        // Without the sign of a zero.
        AnyValue::Float64(value) => ((value + 0.0).to_string(), Some(*value)),
        value => match value.get_str().unwrap_or_default() {
            ours @ (NULL | OTHERS) => (format!("{ours:?}"), None),
            text => (text.to_owned(), None),
        },
    }
}

/// The values of a field in several response sets, and how many samples have each.
#[derive(Default)]
struct Pooled {
    counts: BTreeMap<String, usize>,
    has_texts: bool,
}

impl Pooled {
    fn add(&mut self, column: &Column) {
        self.has_texts |= !column.are_numbers;
        for id in &column.scored {
            let Some((_, text, _)) = column.samples.get(id) else { continue };
            match self.counts.get_mut(text) {
                Some(count) => *count += 1,
                None => drop(self.counts.insert(text.clone(), 1)),
            }
        }
    }

    fn buckets(self) -> Buckets {
        if self.counts.keys().filter(|value| *value != NULL).count() <= MOST {
            Buckets::Each { are_numbers: !self.has_texts }
        } else if self.has_texts {
            frequent(&self.counts)
        } else {
            quartiles(&self.counts)
        }
    }
}

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

/// The kept field `name` of P's samples: groups by `buckets`, and what decides each.
pub fn groups(
    table: &ModelTable,
    name: &str,
    samples: &[SampleFacts],
    buckets: &Buckets,
) -> Result<(Groups, Vec<DecidedBy>)> {
    let column = Column::read(table, name)?;
    let values = column.values(samples);
    let groups = buckets.groups(&values);
    let decided_by = decided_by(&values, &groups, &column, samples);
    Ok((groups, decided_by))
}

/// The number that each sample has in a kept field, and what decides it; `None` of a field of texts. A flag is 1 or 0.
pub fn numbers(
    table: &ModelTable,
    name: &str,
    samples: &[SampleFacts],
) -> Result<Option<(Vec<Option<f64>>, DecidedBy)>> {
    let column = Column::read(table, name)?;
    if !column.is_numeric {
        return Ok(None);
    }
    let one_group = Groups { names: vec![String::new()], of_sample: vec![0; samples.len()] };
    let decided_by = decided_by(&column.values(samples), &one_group, &column, samples);
    let number =
        |s: &SampleFacts| column.samples.get(&s.id).and_then(|(_, _, number)| *number).filter(|x| x.is_finite());
    Ok(Some((samples.iter().map(number).collect(), decided_by.first().copied().unwrap_or(DecidedBy::Either))))
}

/// Samples of one row have its one value, whatever decided it: only several rows of a cluster tell. Rows of one value tell
/// nothing about another: of a prompt whose rows differ, a selection may have left those of one value alone.
fn decided_by(values: &[String], groups: &Groups, column: &Column, samples: &[SampleFacts]) -> Vec<DecidedBy> {
    let mut clusters: HashMap<u32, (&str, Option<u32>)> = HashMap::new();
    let mut several = vec![HashSet::new(); groups.names.len()];
    for ((value, group), facts) in values.iter().zip(&groups.of_sample).zip(samples) {
        let row = column.samples.get(&facts.id).and_then(|(row, _, _)| *row);
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

impl Buckets {
    /// Puts each value into its group.
    fn groups(&self, values: &[String]) -> Groups {
        match self {
            Self::Each { are_numbers } => each(values, *are_numbers),
            Self::Quartiles(ends) => cut(values, ends),
            Self::Frequent(names) => {
                let place = |value: &String| names.iter().position(|name| name == value).unwrap_or(names.len());
                let of_sample = values.iter().map(place).collect();
                Groups { names: names.iter().cloned().chain([OTHERS.to_owned()]).collect(), of_sample }
            }
        }
    }
}

fn each(values: &[String], are_numbers: bool) -> Groups {
    let mut names = values.to_vec();
    names.sort_by(|a, b| match (are_numbers, a.parse::<f64>(), b.parse::<f64>()) {
        (true, Ok(a), Ok(b)) => a.total_cmp(&b),
        _ => a.cmp(b),
    });
    names.dedup();
    let place = |value: &String| names.iter().position(|name| name == value).unwrap_or_default();
    let of_sample = values.iter().map(place).collect();
    Groups { names, of_sample }
}

fn frequent(counts: &BTreeMap<String, usize>) -> Buckets {
    let mut by_count: Vec<_> = counts.iter().collect();
    by_count.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    Buckets::Frequent(by_count.iter().take(MOST - 1).map(|(name, _)| (*name).clone()).collect())
}

/// `NaN` is a value and no number, and lies in no quarter.
fn number(value: &str) -> Option<f64> {
    value.parse().ok().filter(|number: &f64| !number.is_nan())
}

/// Where groups of about as many samples each end.
fn quartiles(counts: &BTreeMap<String, usize>) -> Buckets {
    let mut sorted: Vec<(f64, usize)> =
        counts.iter().filter_map(|(value, count)| Some((number(value)?, *count))).collect();
    sorted.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let all: usize = sorted.iter().map(|(_, count)| count).sum();
    let at = |share: usize| {
        let mut left = all.saturating_sub(1) * share / 4;
        let holds = |(_, count): &&(f64, usize)| {
            left < *count || {
                left -= count;
                false
            }
        };
        sorted.iter().find(holds).map_or(f64::NAN, |(value, _)| *value)
    };
    Buckets::Quartiles([at(1), at(2), at(3)])
}

/// Groups between the `ends`, and one of those without a number.
fn cut(values: &[String], ends: &[f64; 3]) -> Groups {
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

    fn counts(values: &[String]) -> BTreeMap<String, usize> {
        values.iter().fold(BTreeMap::new(), |mut counts, v| {
            *counts.entry(v.clone()).or_default() += 1;
            counts
        })
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
        let buckets = quartiles(&counts(&values));
        assert_eq!(buckets, Buckets::Quartiles([9.0, 19.0, 29.0]));
        let groups = buckets.groups(&values);
        assert_eq!(groups.names, ["<= 9", "9 to 19", "19 to 29", "> 29", NULL]);
        let sizes: Vec<_> = (0..5).map(|g| groups.of_sample.iter().filter(|of| **of == g).count()).collect();
        assert_eq!(sizes, [10, 10, 10, 10, 2]);
    }

    #[test]
    fn equal_values_count_as_often_as_they_are() {
        let values = texts(&["0", "0", "0", "0", "0", "0", "0", "1", "2"]);
        assert_eq!(quartiles(&counts(&values)), Buckets::Quartiles([0.0, 0.0, 0.0]));
        let values = texts(&["0", "1", "1", "1", "2"]);
        assert_eq!(quartiles(&counts(&values)), Buckets::Quartiles([1.0, 1.0, 1.0]));
    }

    #[test]
    fn rare_texts_are_put_together() {
        let values: Vec<String> = (0..20).flat_map(|i| vec![format!("t{i:02}"); 20 - i]).collect();
        let groups = frequent(&counts(&values)).groups(&values);
        assert_eq!((groups.names.len(), groups.names[0].as_str(), groups.names[11].as_str()), (12, "t00", "(others)"));
        assert_eq!(groups.of_sample.iter().filter(|g| **g == 11).count(), (1..=9).sum::<usize>());
    }
}
