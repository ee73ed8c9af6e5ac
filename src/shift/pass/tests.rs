//! Tests the pass against the reference: a lazy query over the same files.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float32Builder, Float64Array, ListBuilder, RecordBatch, StringArray,
    UInt32Array, UInt32Builder,
};
use arrow::datatypes::{DataType, Field};
use polars::prelude::{Column, DataFrame};
use proptest::prelude::*;
use tempfile::TempDir;

use super::collect::{self, What};
use super::sums::Sums;
use super::{plain, values};
use crate::sample::Status;
use crate::schema::{self, Divergence, LIST_ITEM, pair, token};
use crate::shift::numbers::quantiles::Quantile;
use crate::shift::result::pair::Heads;
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::footers::Footers;
use crate::shift::tables::pair_files::PairFiles;
use crate::shift::tables::samples::{SampleFacts, Samples};
use crate::shift::token::columns::STUDY_FROM;
use crate::shift::token::measures;
use crate::store::{ResponseSetKey, ResultFile};
use crate::table;

const K: usize = 3;
const SAMPLES_A_PART: u32 = 4;

/// A row of one table, without its keys.
#[derive(Clone, Debug)]
struct Row {
    id: Option<u32>,
    has_text: bool,
    is_end: bool,
    logprob: Option<f32>,
    rank: Option<u32>,
    entropy: Option<f32>,
    list: Vec<(u32, f32)>,
    rest: Option<f32>,
    min: Option<f32>,
}

fn row() -> impl Strategy<Value = Row> {
    let logprob = || prop_oneof![8 => -9.0f32..0.0, 1 => Just(f32::NEG_INFINITY), 1 => Just(0.0)];
    let known = |strategy| prop::option::weighted(0.9, strategy);
    let list = prop_oneof![4 => Just(K), 1 => Just(0)]
        .prop_flat_map(|k| prop::collection::vec((0u32..6, -6.0f32..0.0), k))
        .prop_map(|mut list| {
            list.sort_by(|a, b| b.1.total_cmp(&a.1));
            list
        });
    let numbers = (known(logprob().boxed()), prop::option::weighted(0.9, 1u32..9), known((0.0f32..3.0).boxed()));
    let more = (list, known(logprob().boxed()), known((-30.0f32..-9.0).boxed()));
    let id = prop_oneof![9 => Just(Some(7)), 1 => Just(None), 1 => Just(Some(3))];
    (id, prop::bool::weighted(0.8), prop::bool::weighted(0.1), numbers, more).prop_map(
        |(id, has_text, is_end, (logprob, rank, entropy), (list, rest, min))| Row {
            id,
            has_text,
            is_end,
            logprob,
            rank,
            entropy,
            list,
            rest,
            min,
        },
    )
}

/// Rows of a sample on both sides; either may have fewer.
type Sample = (Vec<Row>, Vec<Row>);

fn sample() -> impl Strategy<Value = Sample> {
    (prop::collection::vec(row(), 0..6), prop::collection::vec(row(), 0..6))
}

fn write(path: &Path, first_sample: u32, samples: &[&Vec<Row>]) {
    let keys: Vec<(u32, u32)> =
        (first_sample..).zip(samples).flat_map(|(id, rows)| (0..rows.len() as u32).map(move |at| (id, at))).collect();
    let rows: Vec<&Row> = samples.iter().flat_map(|rows| rows.iter()).collect();
    let item = |kind| Field::new(LIST_ITEM, kind, false);
    let mut ids = ListBuilder::new(UInt32Builder::new()).with_field(item(DataType::UInt32));
    let mut logprobs = ListBuilder::new(Float32Builder::new()).with_field(item(DataType::Float32));
    for row in &rows {
        ids.append_value(row.list.iter().map(|(id, _)| Some(*id)));
        logprobs.append_value(row.list.iter().map(|(_, logprob)| Some(*logprob)));
    }
    let u32s = |of: &dyn Fn(&Row) -> Option<u32>| {
        Arc::new(rows.iter().map(|row| of(row)).collect::<UInt32Array>()) as ArrayRef
    };
    let f32s = |of: &dyn Fn(&Row) -> Option<f32>| {
        Arc::new(rows.iter().map(|row| of(row)).collect::<Float32Array>()) as ArrayRef
    };
    let flags = |of: &dyn Fn(&Row) -> bool| {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<BooleanArray>()) as ArrayRef
    };
    let columns = vec![
        Arc::new(keys.iter().map(|key| Some(key.0)).collect::<UInt32Array>()) as ArrayRef,
        Arc::new(keys.iter().map(|key| Some(key.1)).collect::<UInt32Array>()),
        u32s(&|row| row.id),
        // Where ids are unknown, texts decide.
        Arc::new(rows.iter().map(|row| row.has_text.then(|| row.id.unwrap_or(7).to_string())).collect::<StringArray>()),
        u32s(&|_| None),
        u32s(&|_| None),
        flags(&|_| false),
        flags(&|row| row.is_end),
        f32s(&|row| row.logprob),
        f32s(&|row| row.logprob),
        u32s(&|row| row.rank),
        u32s(&|_| None),
        f32s(&|row| row.entropy),
        Arc::new(ids.finish()),
        Arc::new(logprobs.finish()),
        f32s(&|row| row.rest),
        f32s(&|row| row.min),
    ];
    let batch = RecordBatch::try_new(schema::tokens(), columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    table::write(file, table::Table::Tokens, &batch, None).unwrap();
}

/// A part of the pairs table: most of the tokens, and the row after each response; of an older version without `tv`.
fn write_pairs(path: &Path, first_sample: u32, samples: &[Sample], is_old: bool) {
    let rows = |(id, (p, _)): (u32, &Sample)| {
        let last = p.len() as u32;
        (0..=last).map(move |at| (id, at, at == last))
    };
    let rows: Vec<_> = (first_sample..).zip(samples).flat_map(rows).filter(|(id, at, _)| (id + at) % 5 != 4).collect();
    // Some number between 0 and 1 for each column and row.
    let value = |row: usize, column: usize| (((row * 31 + column) as f64) * 0.618_034).fract();
    let schema = schema::pairs();
    let columns = schema.fields().iter().enumerate().map(|(column, field)| match field.data_type() {
        DataType::UInt32 => {
            let u32s = rows.iter().enumerate().map(|(row, (id, at, is_after))| match field.name().as_str() {
                pair::SAMPLE_ID => Some(*id),
                pair::POSITION => Some(*at),
                pair::TOKEN_ID => (!is_after).then_some(7),
                _ => Some((value(row, column) * 9.0) as u32),
            });
            Arc::new(u32s.collect::<UInt32Array>()) as ArrayRef
        }
        _ => Arc::new((0..rows.len()).map(|row| Some(value(row, column))).collect::<Float64Array>()),
    });
    let mut batch = RecordBatch::try_new(schema.clone(), columns.collect()).unwrap();
    if is_old {
        batch.remove_column(schema.index_of(Divergence::Tv.column()).unwrap());
    }
    let file = std::fs::File::create(path).unwrap();
    table::write(file, table::Table::Pairs, &batch, None).unwrap();
}

/// What a case is about, other than the rows.
#[derive(Clone, Copy, Debug)]
struct Case {
    /// Every token has an id.
    has_ids: bool,
    has_pairs: bool,
}

/// Both tables, cut into parts, and what their footers say.
fn tables(folder: &TempDir, samples: &[Sample], case: Case) -> (PairTables, [Footers; 2]) {
    let side = |model: &str, of: fn(&Sample) -> &Vec<Row>| {
        let mut footers = Footers { lacks_ids: !case.has_ids, ..Footers::default() };
        let mut files = Vec::new();
        for (part, samples) in samples.chunks(SAMPLES_A_PART as usize).enumerate() {
            let (path, first) = (folder.path().join(format!("{model}-{part}.parquet")), part as u32 * SAMPLES_A_PART);
            let rows: Vec<&Vec<Row>> = samples.iter().map(of).collect();
            write(&path, first, &rows);
            let ids: Vec<u32> = (first..).zip(&rows).filter(|(_, rows)| !rows.is_empty()).map(|(id, _)| id).collect();
            footers.samples.push(ids.first().copied().zip(ids.last().copied()));
            footers.rows += rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
            files.push(ResultFile::at(path));
        }
        let table = ModelTable {
            model: model.to_owned(),
            weights: Default::default(),
            tokens: files,
            samples: Vec::new(),
            origins: Vec::new(),
            top_k: K,
            kept: Vec::new(),
            recorded: false,
        };
        (table, footers)
    };
    let ((p, of_p), (q, of_q)) = (side("p", |sample| &sample.0), side("q", |sample| &sample.1));
    let set = ResponseSetKey::new("p", "t");
    let (partial, of_windows, own_templates) = (None, false, false);
    let (notes, foreign) = (Vec::new(), None);
    let is_old = samples.len().is_multiple_of(3);
    let part = |(part, samples): (usize, &[Sample])| {
        let path = folder.path().join(format!("pairs-{part}.parquet"));
        write_pairs(&path, part as u32 * SAMPLES_A_PART, samples, is_old);
        ResultFile::at(path)
    };
    let exact = case.has_pairs.then(|| PairFiles {
        files: samples.chunks(SAMPLES_A_PART as usize).enumerate().map(part).collect(),
        origins: Vec::new(),
        temperature: 1.0,
        stop: Vec::new(),
        is_turned: samples.len().is_multiple_of(2),
    });
    let heads = (samples.len() % 2 == 1).then_some(Heads { p: 8, q: 7 });
    (
        PairTables { set, p, q, partial, of_windows, foreign, heads, own_templates, exact, vocabulary: None, notes },
        [of_p, of_q],
    )
}

fn facts(n: usize) -> Samples {
    let ids: Vec<u32> = (0..n as u32).collect();
    let first_counted: Vec<u32> = ids.iter().map(|id| id % 3).collect();
    let (p, q, same_context, is_cut) = (Status::Ok, Status::Ok, true, Some(false));
    let row = |&id: &u32| SampleFacts { id, cluster: id / 2, p, q, same_context, lacks_context: false, is_cut };
    let columns = vec![Column::new(token::SAMPLE_ID.into(), &ids), Column::new(STUDY_FROM.into(), &first_counted)];
    let study_from = DataFrame::new(n, columns).unwrap();
    Samples {
        rows: ids.iter().map(row).collect(),
        clusters: n,
        cluster_keys: (0..n as u64).collect(),
        first_counted,
        study_from,
    }
}

fn close(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-13 * (1.0 + a.abs())
}

/// A sample's value, its count, and both together for several of them.
type Values = Vec<(f64, u64)>;

fn are_close(one: &Values, other: &Values) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|((a, n), (b, m))| n == m && close(*a, *b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Every sum, count and check of every sample and every quantile, whatever is null, infinite or on one side alone, with
    /// ids or without, with a pairs table or without.
    #[test]
    fn the_pass_gives_what_the_query_does(
        samples in prop::collection::vec(sample(), 1..14),
        has_ids: bool,
        has_pairs: bool,
    ) {
        let mut samples = samples;
        if has_ids {
            let rows = samples.iter_mut().flat_map(|(p, q)| p.iter_mut().chain(q));
            rows.for_each(|row| row.id = row.id.or(Some(5)));
        }
        let folder = TempDir::new().unwrap();
        let (pair, footers) = tables(&folder, &samples, Case { has_ids, has_pairs });
        let facts = facts(samples.len());
        let what = What::all(!has_ids, has_pairs, Vec::new());
        let fast = collect::collect(&pair, footers.each_ref(), &facts, what).unwrap();
        let plain = plain::collect(&pair, footers.each_ref(), &facts).unwrap();
        prop_assert_eq!(&plain.facts, &fast.facts);
        prop_assert_eq!(&plain.rows, &fast.rows);
        prop_assert_eq!(plain.not_finite(), fast.not_finite());
        prop_assert_eq!(plain.unchecked(), fast.unchecked());
        prop_assert_eq!(plain.farthest(), fast.farthest());
        prop_assert_eq!(plain.first_difference(), fast.first_difference());
        for term in measures::terms(true) {
            let (plain, fast) = (plain.of(term.name).unwrap(), fast.of(term.name).unwrap());
            prop_assert!(are_close(&plain, &fast), "{}: {:?} {:?}", term.name, plain, fast);
        }
        let quantiles = |sums: &Sums| -> Vec<(String, Values)> {
            let all = values::quantiles(&pair, sums, Some(u64::MAX)).unwrap();
            let of = |one: &Quantile| (one.estimate.value, one.estimate.n);
            all.iter().map(|all| (all.measure.clone(), all.quantiles.iter().map(of).collect())).collect()
        };
        for ((name, plain), (_, fast)) in quantiles(&plain).iter().zip(&quantiles(&fast)) {
            prop_assert!(are_close(plain, fast), "{}: {:?} {:?}", name, plain, fast);
        }
        prop_assert_eq!(quantiles(&plain).len(), quantiles(&fast).len());
    }
}
