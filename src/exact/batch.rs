//! Builds rows of the pairs table from compared positions.
//!
//! Owns what each column contains. Not here: the columns' names and types (`schema`).

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, UInt32Array};

use super::kernel::exp;
use super::part::Compared;
use crate::error::Result;
use crate::schema::{self, Divergence};

/// One row per compared position, in the given order.
pub fn of_rows(rows: &[Compared]) -> Result<RecordBatch> {
    let ids =
        |f: &dyn Fn(&Compared) -> Option<u32>| -> ArrayRef { Arc::new(rows.iter().map(f).collect::<UInt32Array>()) };
    let numbers =
        |f: &dyn Fn(&Compared) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(rows.iter().map(f))) };
    let some =
        |f: &dyn Fn(&Compared) -> Option<f64>| -> ArrayRef { Arc::new(rows.iter().map(f).collect::<Float64Array>()) };
    let logprob = |f: fn([f64; 2]) -> f64| some(&move |c| c.row.logprob.map(f));
    let mut columns = vec![ids(&|c| Some(c.key.0)), ids(&|c| Some(c.key.1)), ids(&|c| c.token)];
    columns.extend(
        Divergence::ALL.map(|divergence| some(&|c| Some(c.row.divergence(divergence)).filter(|value| !value.is_nan()))),
    );
    columns.extend([
        logprob(|[p, _]| p),
        logprob(|[p, q]| q - p),
        logprob(|[p, q]| exp(q.min(0.0)) - exp(p.min(0.0))),
        numbers(&|c| c.row.entropy[0]),
        numbers(&|c| c.row.entropy[1] - c.row.entropy[0]),
        ids(&|c| Some(c.row.top[0])),
        ids(&|c| Some(c.row.top[1])),
        ids(&|c| Some(c.row.rank_of_top_p)),
        some(&|c| c.overlap),
        some(&|c| c.row.stop.map(|[p, _]| p)),
        some(&|c| c.row.stop.map(|[_, q]| q)),
        numbers(&|c| c.row.removed[0]),
        numbers(&|c| c.row.removed[1]),
    ]);
    Ok(RecordBatch::try_new(schema::pairs(), columns)?)
}
