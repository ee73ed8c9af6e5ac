//! Samples grouped by a field that their table kept.
//!
//! Owns reading a field's values, and that they fall into the same groups in every response set of a task, so that
//! slices of several checkpoints' texts can be put side by side. Not here: the groups (`buckets`), and tokens
//! (`slices`).

use std::collections::{HashMap, HashSet};

use polars::prelude::{AnyValue, DataFrame, DataType, Engine, Expr, col};

use super::files::{ModelTable, PairTables};
use super::footers;
use super::samples::SampleFacts;
use super::scan::scan;
use crate::error::Result;
use crate::sample::Status;
use crate::schema::sample;
use crate::shift::numbers::buckets::{Buckets, Groups, NULL, OTHERS, Pooled};
use crate::shift::numbers::stats::FEW_CLUSTERS;
use crate::table::Table;

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
            // Damaged tables are reported where they are compared.
            if footers::must_be_samples(&pair.p).is_err() {
                continue;
            }
            for name in &pair.p.kept {
                let Ok(column) = Column::read(&pair.p, name) else { continue };
                let values = column.scored.iter().filter_map(|id| Some(&column.samples.get(id)?.1));
                pooled.entry((pair.set.task.clone(), name.clone())).or_default().add(values, column.are_numbers);
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

/// What decides whether a sample is in a group, as far as the samples show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidedBy {
    /// All rows of a cluster have one value, and enough clusters of the group have several rows.
    Prompt,
    /// Rows of a cluster have several values, of this group or another.
    Response,
    /// Too few clusters of the group have several rows to decide it, whatever those of other groups have.
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

/// Samples of one row have its one value, whatever decided it: only several rows of a cluster decide it. Rows of one value
/// say nothing about another: of a prompt whose rows differ, a selection may have left those of one value alone.
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
