//! A comparison's figures as one long table: a row a figure.
//!
//! Owns that file's columns and that it is whole or not there. Refuses to compute.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;

use super::comparison::{Comparison, Pair};
use super::overall::Overall;
use super::stats::Estimate;
use crate::error::{Error, Result};

/// All tokens of a pair.
const ALL: &str = "all";

/// A figure of Q against P.
struct Row<'a> {
    p: &'a str,
    q: &'a str,
    generation_model: &'a str,
    /// None: of all tasks together.
    task: Option<&'a str>,
    measure: &'a str,
    statistic: &'a str,
    estimate: Estimate,
}

/// Writes every mean and quantile to a Parquet file, which replaces one of that name only when it is whole.
///
/// # Errors
/// [`Error::Io`], [`Error::Parquet`]: the file could not be written; nothing is left of it.
pub fn write_statistics(path: &Path, comparison: &Comparison) -> Result<()> {
    let pairs = comparison.pairs.iter().flat_map(of_pair);
    let rows: Vec<_> = pairs.chain(comparison.overall.iter().flat_map(of_overall)).collect();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, schema(), None)?;
    writer.write(&batch(&rows)?)?;
    writer.close()?;
    let temporary = temporary(path);
    let published = publish(&bytes, &temporary, path);
    if published.is_err() {
        // What cannot be removed either is a dot file with a process id: nothing reads it.
        fs::remove_file(&temporary).unwrap_or_default();
    }
    published
}

fn of_pair(pair: &Pair) -> Vec<Row<'_>> {
    let row = |measure, statistic, estimate: Option<Estimate>| {
        let (p, q, generation_model, task) = (&pair.p, &pair.q, &pair.generation_model, Some(pair.task.as_str()));
        Some(Row { p, q, generation_model, task, measure, statistic, estimate: estimate? })
    };
    let means = pair.measures.iter().flat_map(|m| {
        let means = [("token_mean", m.token_mean), ("sample_mean", m.sample_mean), ("response_mean", m.response_mean)];
        means.into_iter().filter_map(|(statistic, mean)| row(m.name, statistic, mean))
    });
    let quantiles = pair.quantiles.iter().flat_map(|of| {
        of.quantiles.iter().filter_map(|quantile| row(of.measure, quantile.name, Some(quantile.estimate)))
    });
    means.chain(quantiles).collect()
}

fn of_overall(overall: &Overall) -> Vec<Row<'_>> {
    let row = |measure, statistic, estimate: Option<Estimate>| {
        let Overall { p, q, generation_model, .. } = overall;
        Some(Row { p, q, generation_model, task: None, measure, statistic, estimate: estimate? })
    };
    let means = overall.measures.iter().flat_map(|m| {
        let means = [
            ("token_mean", m.token_mean),
            ("sample_mean", m.sample_mean),
            ("mean_of_token_means", m.mean_of_token_means),
            ("mean_of_sample_means", m.mean_of_sample_means),
        ];
        means.into_iter().filter_map(|(statistic, mean)| row(m.name, statistic, mean))
    });
    means.collect()
}

fn schema() -> SchemaRef {
    let field = |name: &str, data_type: &DataType, nullable| Field::new(name, data_type.clone(), nullable);
    let texts = ["p", "q", "generation_model", "task", "slice", "measure", "statistic"];
    let texts = texts.map(|name| field(name, &DataType::Utf8, name == "task"));
    let numbers = ["value", "stderr", "low", "high"].map(|name| field(name, &DataType::Float64, name != "value"));
    let counts = ["clusters", "n"].map(|name| field(name, &DataType::UInt64, false));
    Arc::new(Schema::new(texts.into_iter().chain(numbers).chain(counts).collect::<Vec<_>>()))
}

fn batch(rows: &[Row<'_>]) -> Result<RecordBatch> {
    let texts = |f: fn(&Row<'_>) -> Option<String>| Arc::new(rows.iter().map(f).collect::<StringArray>()) as ArrayRef;
    let numbers =
        |f: fn(&Estimate) -> Option<f64>| Arc::new(rows.iter().map(|r| f(&r.estimate)).collect::<Float64Array>()) as _;
    let counts = |f: fn(&Estimate) -> u64| Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| f(&r.estimate))));
    let columns: Vec<ArrayRef> = vec![
        texts(|r| Some(r.p.to_owned())),
        texts(|r| Some(r.q.to_owned())),
        texts(|r| Some(r.generation_model.to_owned())),
        texts(|r| r.task.map(str::to_owned)),
        texts(|_| Some(ALL.to_owned())),
        texts(|r| Some(r.measure.to_owned())),
        texts(|r| Some(r.statistic.to_owned())),
        numbers(|e| Some(e.value)),
        numbers(|e| e.stderr),
        numbers(|e| e.low),
        numbers(|e| e.high),
        counts(|e| e.clusters),
        counts(|e| e.n),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// A name in the same folder, so that renaming is one step.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.tmp", std::process::id()))
}

fn publish(bytes: &[u8], temporary: &Path, path: &Path) -> Result<()> {
    let mut file = File::create(temporary).map_err(Error::io("create", temporary))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(Error::io("write", temporary))?;
    fs::rename(temporary, path).map_err(Error::io("write", path))
}
