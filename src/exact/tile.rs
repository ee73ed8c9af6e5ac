//! Logits of two models at the same positions, a tile of rows at a time.
//!
//! Owns how many rows that is, and the two heads' products, each computed once. Refuses to keep a tile.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::measures::{Options, Row, Scratch, measure};
use crate::decoder::Head;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Bytes of both models' logits that exist at once. Rows share the passage of a head's weights through the cache: at
/// 151,936 ids these are some 400.
const LOGIT_BYTES: usize = 512 << 20;
/// Rows beyond which more would not be faster.
const MAX_ROWS: usize = 1024;

/// Rows of a tile for heads of these sizes.
pub fn rows(heads: [&Head; 2]) -> usize {
    let row = heads.iter().map(|head| head.vocab() * size_of::<f32>()).sum::<usize>();
    (LOGIT_BYTES / row.max(1)).clamp(1, MAX_ROWS)
}

/// Compares a tile: `hidden` are `[rows, width]` of each model, `targets` the rows' tokens, if they have one.
///
/// # Errors
/// Logits that are not finite, or a token that a head does not have: the row is named. [`Error::Stopped`].
pub fn compare(
    heads: [&Head; 2],
    hidden: [Vec<f32>; 2],
    targets: &[Option<u32>],
    options: Options,
    stop: &Stop,
) -> Result<Vec<Row>> {
    let [p, q] = hidden;
    let (p, q) = (logits(heads[0], p, targets.len(), stop)?, logits(heads[1], q, targets.len(), stop)?);
    let rows = p.par_chunks_exact(heads[0].vocab()).zip(q.par_chunks_exact(heads[1].vocab())).zip(targets);
    let rows = rows.enumerate().map_init(Scratch::default, |scratch, (row, ((p, q), target))| {
        let what = || {
            format!("the logits at row {row} of a tile are not finite, or its token {target:?} is not in both heads")
        };
        measure(p, q, *target, options, scratch).ok_or_else(|| Error::Usage(what()))
    });
    rows.collect()
}

/// `[rows, vocabulary]`.
fn logits(head: &Head, hidden: Vec<f32>, rows: usize, stop: &Stop) -> Result<Vec<f32>> {
    let width = hidden.len() / rows;
    let hidden = Tensor::from_vec(hidden, (rows, width), &Device::Cpu)?;
    let vocab = head.vocab();
    let mut logits = vec![0.0; rows * vocab];
    head.for_each_block(&hidden, stop, |first, block, width| {
        for (row, part) in logits.chunks_exact_mut(vocab).zip(block.chunks_exact(width)) {
            row[first as usize..first as usize + width].copy_from_slice(part);
        }
    })?;
    Ok(logits)
}
