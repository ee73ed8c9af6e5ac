//! The two samples tables of a pair, joined.
//!
//! Owns what the comparison knows of a sample other than its tokens: its cluster, its status in both tables, whether
//! the contexts agree. Not here: the tokens themselves.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use polars::prelude::{
    Column, DataFrame, DataType, Engine, Expr, Field, IntoColumn, JoinArgs, JoinCoalesce, JoinType, NewChunkedArray,
    PolarsResult, SortMultipleOptions, StringChunked, UInt32Chunked, col,
};

use super::files::{ModelTable, PairTables};
use super::footers;
use super::scan::scan;
use crate::error::{Error, Result};
use crate::sample::Status;
use crate::schema::sample;
use crate::shift::token::columns::{P, Q, STUDY_FROM};
use crate::study::first_position;
use crate::table::Table;

const SAME_CONTEXT: &str = "same_context";
const LACKS_CONTEXT: &str = "lacks_context";

/// A sample of both tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleFacts {
    pub id: u32,
    /// Number of its cluster, from 0 in the order of first appearance.
    pub cluster: u32,
    pub p: Status,
    pub q: Status,
    pub same_context: bool,
    /// The context is not known on a side, and so neither whether that side has every token of the response.
    pub lacks_context: bool,
    /// Whether a limit of tokens ended its generation; `None` if the row does not say.
    pub is_cut: Option<bool>,
}

impl SampleFacts {
    /// Whether the tokens tables of both models contain rows of it.
    pub fn is_scored(&self) -> bool {
        self.p.is_scored() && self.q.is_scored()
    }
}

/// All samples of a pair, in `sample_id` order.
pub struct Samples {
    pub rows: Vec<SampleFacts>,
    pub clusters: usize,
    /// By cluster, a number for its name that is the same in every table.
    pub cluster_keys: Vec<u64>,
    /// The first position that the study counts, by sample.
    pub first_counted: Vec<u32>,
    /// The same with `sample_id`, for the query over the tokens.
    pub study_from: DataFrame,
}

/// Reads both samples tables; memory is one row a sample, without the texts.
///
/// # Errors
/// [`Error::Incomparable`] if a sample is in one table only; [`Error::File`] for a status of another version.
pub fn read(pair: &PairTables) -> Result<Samples> {
    footers::must_be_samples(&pair.p)?;
    footers::must_be_samples(&pair.q)?;
    let frame = side_by_side(pair)?;
    let (p, q) = (statuses(pair, &frame, P)?, statuses(pair, &frame, Q)?);
    let (cluster, cluster_keys) = number(frame.column(sample::CLUSTER_ID)?.str()?);
    let same_context = frame.column(SAME_CONTEXT)?.bool()?;
    let lacks = frame.column(LACKS_CONTEXT)?.bool()?.clone();
    let ids = frame.column(sample::SAMPLE_ID)?.u32()?;
    let cut = |side: &str| -> Result<_> { Ok(frame.column(&format!("{side}{}", sample::IS_CUT))?.bool()?.clone()) };
    let (p_cut, q_cut) = (cut(P)?, cut(Q)?);
    let rows = ids.iter().zip(same_context.iter()).enumerate().map(|(i, (id, same))| SampleFacts {
        id: id.unwrap_or_default(),
        cluster: cluster[i],
        p: p[i],
        q: q[i],
        same_context: same.unwrap_or(false),
        lacks_context: lacks.get(i) == Some(true),
        is_cut: [&p_cut, &q_cut].iter().filter_map(|cut| cut.get(i)).reduce(|a, b| a || b),
    });
    let rows = rows.collect();
    let first_counted = frame.column(STUDY_FROM)?.u32()?.iter().map(Option::unwrap_or_default).collect();
    let study_from = frame.select([sample::SAMPLE_ID, STUDY_FROM])?;
    Ok(Samples { rows, clusters: cluster_keys.len(), cluster_keys, first_counted, study_from })
}

/// The cluster of each sample of a table, by its id.
pub fn clusters(table: &ModelTable) -> Result<HashMap<u32, String>> {
    let frame = scan(&table.samples, Table::Samples)?.select([sample::SAMPLE_ID, sample::CLUSTER_ID].map(col));
    let frame = frame.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let (ids, names) = (frame.column(sample::SAMPLE_ID)?.u32()?, frame.column(sample::CLUSTER_ID)?.str()?);
    Ok(ids.iter().zip(names.iter()).filter_map(|(id, name)| Some((id?, name?.to_owned()))).collect())
}

fn side_by_side(pair: &PairTables) -> Result<DataFrame> {
    let id = || col(sample::SAMPLE_ID);
    let side = |prefix: &str| {
        let name = |column: &str| col(column).alias(format!("{prefix}{column}"));
        vec![id(), name(sample::STATUS), name(sample::CONTEXT_HASH), name(sample::IS_CUT)]
    };
    let mut of_p = side(P);
    of_p.extend([col(sample::CLUSTER_ID), study_from().alias(STUDY_FROM)]);
    let p = scan(&pair.p.samples, Table::Samples)?.select(of_p);
    let q = scan(&pair.q.samples, Table::Samples)?.select(side(Q));
    let full = JoinArgs { coalesce: JoinCoalesce::CoalesceColumns, ..JoinArgs::new(JoinType::Full) };
    let hash = |prefix: &str| col(format!("{prefix}{}", sample::CONTEXT_HASH));
    let frame = p
        .join(q, [id()], [id()], full)
        .with_column(hash(P).eq_missing(hash(Q)).alias(SAME_CONTEXT))
        .with_column(hash(P).is_null().or(hash(Q).is_null()).alias(LACKS_CONTEXT))
        .sort([sample::SAMPLE_ID], SortMultipleOptions::default());
    Ok(frame.collect_with_engine(Engine::Streaming)?.unwrap_single())
}

/// The first position that the study keeps; 0 where the context is unknown: an import contains the study's own tokens.
fn study_from() -> Expr {
    let first = |columns: &mut [Column]| -> PolarsResult<Column> {
        let rows = columns[0].u32()?.iter().zip(columns[1].u32()?.iter());
        let first = rows
            .map(|(context, alone)| context.zip(alone).map_or(0, |(context, alone)| first_position(context, alone)));
        Ok(UInt32Chunked::from_iter_values(STUDY_FROM.into(), first).into_column())
    };
    let field = |_: &_, _: &_| Ok(Field::new(STUDY_FROM.into(), DataType::UInt32));
    col(sample::CONTEXT_TOKENS).map_many(first, &[col(sample::PROMPT_TOKENS_ALONE)], field)
}

fn statuses(pair: &PairTables, frame: &DataFrame, side: &str) -> Result<Vec<Status>> {
    let column = frame.column(&format!("{side}{}", sample::STATUS))?.str()?;
    let (model, folder) = if side == P { (&pair.p.model, &pair.p.samples) } else { (&pair.q.model, &pair.q.samples) };
    let absent = column.null_count();
    if absent > 0 {
        return Err(pair.incomparable(format!("{absent} samples are not in the samples table of `{model}`")));
    }
    let unknown = |name| Error::file(&folder[0], format!("unknown status `{name}`"));
    let parse = |name| Status::of_name(name).ok_or_else(|| unknown(name));
    column.iter().flatten().map(parse).collect()
}

/// A number for a cluster's name, the same in every response set.
pub fn key(name: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// Numbers names from 0 in the order of first appearance; with the key of each number's name.
fn number(names: &StringChunked) -> (Vec<u32>, Vec<u64>) {
    let mut numbers: HashMap<Option<&str>, u32> = HashMap::new();
    let mut keys = Vec::new();
    let each = names.iter().map(|name| {
        let next = numbers.len() as u32;
        *numbers.entry(name).or_insert_with(|| {
            keys.push(key(name));
            next
        })
    });
    let each = each.collect();
    (each, keys)
}
