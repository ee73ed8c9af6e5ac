//! The pass against the plain form: a lazy query over the same files.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float32Builder, ListBuilder, RecordBatch, StringArray, UInt32Array,
    UInt32Builder,
};
use arrow::datatypes::{DataType, Field};
use polars::prelude::{Column, DataFrame, Engine};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::sample::Status;
use crate::schema::{self, LIST_ITEM, token};
use crate::shift::pass::sums::{self, What};
use crate::shift::query::by_sample::{self, COUNT, DIFFERS_AT, FARTHEST, NOT_FINITE, ROWS};
use crate::shift::result::pair::Heads;
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::footers::Footers;
use crate::shift::tables::samples::{SampleFacts, Samples};
use crate::shift::token::columns::STUDY_FROM;
use crate::shift::token::measures::{self, LOGPROBS, SQUARES, STUDY};
use crate::table::{self, Format};

const K: usize = 3;
const SAMPLES_A_PART: u32 = 4;

/// A row of one table, without its keys.
#[derive(Clone, Debug)]
struct Row {
    id: Option<u32>,
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
    (id, prop::bool::weighted(0.1), numbers, more).prop_map(
        |(id, is_end, (logprob, rank, entropy), (list, rest, min))| Row {
            id,
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
        Arc::new(rows.iter().map(|row| Some(format!("{}", row.id.unwrap_or(7)))).collect::<StringArray>()),
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
    table::write(file, Format::Parquet, table::Table::Tokens, &batch, None).unwrap();
}

/// Both tables, cut into parts, and what their footers say.
fn tables(folder: &TempDir, samples: &[Sample]) -> (PairTables, [Footers; 2]) {
    let side = |model: &str, of: fn(&Sample) -> &Vec<Row>| {
        let mut footers = Footers { lacks_ids: true, ..Footers::default() };
        let mut files = Vec::new();
        for (part, samples) in samples.chunks(SAMPLES_A_PART as usize).enumerate() {
            let (path, first) = (folder.path().join(format!("{model}-{part}.parquet")), part as u32 * SAMPLES_A_PART);
            let rows: Vec<&Vec<Row>> = samples.iter().map(of).collect();
            write(&path, first, &rows);
            let ids: Vec<u32> = (first..).zip(&rows).filter(|(_, rows)| !rows.is_empty()).map(|(id, _)| id).collect();
            footers.samples.push(ids.first().copied().zip(ids.last().copied()));
            footers.rows += rows.iter().map(|rows| rows.len() as u64).sum::<u64>();
            files.push(path);
        }
        let table = ModelTable {
            model: model.to_owned(),
            weights: Default::default(),
            tokens: files,
            samples: Vec::new(),
            origins: Vec::new(),
            top_k: K,
            kept: Vec::new(),
            imported: false,
        };
        (table, footers)
    };
    let ((p, of_p), (q, of_q)) = (side("p", |sample| &sample.0), side("q", |sample| &sample.1));
    let (generation_model, task) = ("p".to_owned(), "t".to_owned());
    let (partial, of_windows, own_templates, exact) = (None, false, false, None);
    let (notes, foreign) = (Vec::new(), None);
    let heads = (samples.len() % 2 == 1).then_some(Heads { p: 8, q: 7 });
    (
        PairTables { generation_model, task, p, q, partial, of_windows, foreign, heads, own_templates, exact, notes },
        [of_p, of_q],
    )
}

fn facts(n: usize) -> Samples {
    let ids: Vec<u32> = (0..n as u32).collect();
    let first_counted: Vec<u32> = ids.iter().map(|id| id % 3).collect();
    let (p, q, same_context, is_cut) = (Status::Ok, Status::Ok, true, false);
    let row = |&id: &u32| SampleFacts { id, cluster: id / 2, p, q, same_context, is_cut };
    let columns = vec![Column::new(token::SAMPLE_ID.into(), &ids), Column::new(STUDY_FROM.into(), &first_counted)];
    let study_from = DataFrame::new(n, columns).unwrap();
    Samples { rows: ids.iter().map(row).collect(), clusters: n, first_counted, study_from }
}

fn close(a: f64, b: f64) -> bool {
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-13 * (1.0 + a.abs())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Every sum, count and check of every sample, whatever is null, infinite or on one side alone.
    #[test]
    fn the_pass_adds_up_what_the_query_does(samples in prop::collection::vec(sample(), 1..14)) {
        let folder = TempDir::new().unwrap();
        let (pair, footers) = tables(&folder, &samples);
        let facts = facts(samples.len());
        let query = by_sample::sums_by_sample(&pair, facts.study_from.clone(), true).unwrap();
        let plain = query.collect_with_engine(Engine::Streaming).unwrap().unwrap_single();
        let found = sums::collect(&pair, footers.each_ref(), &facts, What::all(true, false, Vec::new())).unwrap();
        let ids: Vec<u32> = plain.column(token::SAMPLE_ID).unwrap().u32().unwrap().iter().flatten().collect();
        prop_assert_eq!(&ids, &found.facts.iter().map(|facts| facts.id).collect::<Vec<_>>());
        let counts = |name: &str| -> Vec<u64> {
            plain.column(name).unwrap().u64().unwrap().iter().map(Option::unwrap_or_default).collect()
        };
        prop_assert_eq!(counts(ROWS), found.rows.clone());
        prop_assert_eq!(counts(NOT_FINITE).iter().sum::<u64>(), found.not_finite());
        let terms = measures::ALL.iter().map(|m| m.name).chain([STUDY]).chain(LOGPROBS).chain(SQUARES);
        for name in terms {
            let sums = plain.column(name).unwrap().f64().unwrap().iter().map(Option::unwrap_or_default);
            for ((plain, n), (sum, m)) in sums.zip(counts(&format!("{name}{COUNT}"))).zip(found.of(name).unwrap()) {
                prop_assert!(n == m && close(plain, sum), "{}: {} of {}, {} of {}", name, plain, n, sum, m);
            }
        }
        let farthest = plain.column(FARTHEST).unwrap().u64().unwrap().iter().flatten().map(|key| !(key as u32));
        prop_assert_eq!(farthest.collect::<Vec<_>>(), found.farthest().iter().map(|f| f.position).collect::<Vec<_>>());
        let differ = plain.column(DIFFERS_AT).unwrap().u32().unwrap();
        let first = ids.iter().zip(differ.iter()).find_map(|(id, at)| Some((*id, at?)));
        prop_assert_eq!(first, found.first_difference());
    }
}
