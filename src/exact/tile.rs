//! Logits of two models at the same positions, a tile of rows at a time.
//!
//! Owns how many rows that is, and the two heads' products, each computed once. Refuses to keep a tile.

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use super::measures::{self, Options, Row, measure};
use crate::decoder::Head;
use crate::error::{Error, Result};
use crate::stop::Stop;

/// Bytes of both models' logits that exist at once. Rows share the passage of a head's weights through the cache: at
/// 151,936 ids these are some 400.
const LOGIT_BYTES: usize = 512 << 20;
/// Rows beyond which more would not be faster.
const MAX_ROWS: usize = 1024;

/// Ids of each model whose logits are computed again in f64.
const LIKELY: usize = 64;

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
    hidden: &[Vec<f32>; 2],
    targets: &[Option<u32>],
    options: Options,
    stop: &Stop,
) -> Result<Vec<Row>> {
    let logits = |side: usize| logits(heads[side], &hidden[side], targets.len(), stop);
    let (p, q) = (logits(0)?, logits(1)?);
    let rows = p.par_chunks_exact(heads[0].vocab()).zip(q.par_chunks_exact(heads[1].vocab())).zip(targets);
    let rows = rows.enumerate().map_init(Scratch::default, |scratch, (row, ((p, q), target))| {
        let Scratch { logits, likely, exps } = scratch;
        widen(p, &mut logits[0]);
        widen(q, &mut logits[1]);
        collect_likely([p, q], *target, options.stop, likely);
        for side in 0..2 {
            let width = hidden[side].len() / targets.len();
            let exact = heads[side].exact_logits(&hidden[side][row * width..(row + 1) * width], likely)?;
            likely.iter().zip(exact).for_each(|(id, logit)| logits[side][*id as usize] = logit);
        }
        let what = || {
            format!("the logits at row {row} of a tile are not finite, or its token {target:?} is not in both heads")
        };
        measure([&logits[0], &logits[1]], *target, options, exps).ok_or_else(|| Error::Usage(what()))
    });
    rows.collect()
}

/// Of one thread, kept from row to row.
#[derive(Default)]
struct Scratch {
    logits: [Vec<f64>; 2],
    likely: Vec<u32>,
    exps: measures::Scratch,
}

fn widen(logits: &[f32], to: &mut Vec<f64>) {
    to.clear();
    to.extend(logits.iter().map(|&x| f64::from(x)));
}

/// Ids whose logits are computed again in f64: the [`LIKELY`] most likely of each model, the target and the end tokens.
/// They carry most of the probability, and with it most of what f32 products lose.
fn collect_likely([p, q]: [&[f32]; 2], target: Option<u32>, stop: &[u32], likely: &mut Vec<u32>) {
    let n = p.len().min(q.len());
    likely.clear();
    likely.extend(target.iter().chain(stop));
    likely.extend(most_likely(&p[..n]).into_iter().chain(most_likely(&q[..n])));
    likely.retain(|id| (*id as usize) < n);
    likely.sort_unstable();
    likely.dedup();
}

/// The [`LIKELY`] largest, in any order.
fn most_likely(logits: &[f32]) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(4 * LIKELY);
    let keep_best = |best: &mut Vec<(f32, u32)>| {
        if best.len() <= LIKELY {
            return f32::NEG_INFINITY;
        }
        let (_, last, _) = best.select_nth_unstable_by(LIKELY - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let lowest = last.0;
        best.truncate(LIKELY);
        lowest
    };
    let mut lowest = f32::NEG_INFINITY;
    for (id, &x) in (0..).zip(logits) {
        if x > lowest {
            best.push((x, id));
            // Rarely: the more are known, the fewer are above them.
            if best.len() == 4 * LIKELY {
                lowest = keep_best(&mut best);
            }
        }
    }
    keep_best(&mut best);
    best.into_iter().map(|(_, id)| id).collect()
}

/// `[rows, vocabulary]`.
fn logits(head: &Head, hidden: &[f32], rows: usize, stop: &Stop) -> Result<Vec<f32>> {
    let (width, vocab) = (hidden.len() / rows, head.vocab());
    let count = head.rows_at_once(rows, rayon::current_num_threads());
    let mut logits = vec![0.0; rows * vocab];
    logits.par_chunks_mut(count * vocab).zip(hidden.par_chunks(count * width)).try_for_each(|(logits, hidden)| {
        let hidden = Tensor::from_slice(hidden, (hidden.len() / width, width), &Device::Cpu)?;
        head.for_each_block(&hidden, stop, |block| {
            for (row, logits) in logits.chunks_exact_mut(vocab).enumerate() {
                logits[block.first as usize..][..block.width].copy_from_slice(block.row(row));
            }
        })
    })?;
    Ok(logits)
}
