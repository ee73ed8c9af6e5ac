//! The residual stream between layers, and how threads share it.
//!
//! Owns the values of all rows, and the queue from which threads take chunks. Not here: the computation on a chunk
//! (`block`, `attention`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::Result;
use rayon::prelude::*;

use super::plan::{Chunk, Cut, Run};
use super::{attention, block};
use crate::decoder::DecoderSpec;
use crate::decoder::weight::Held;
use crate::kernel::Buffer;

/// The residual stream of a forest's rows, and the queries, keys and values that the next attention reads.
pub struct Stream<'a, T> {
    spec: &'a DecoderSpec,
    /// `[rows, hidden]`.
    pub x: Vec<f32>,
    /// `[rows][heads · head_dim]`.
    q: Buffer<T>,
    /// `[rows][keys of all heads, values of all heads]`.
    pub kv: Buffer<T>,
    scratches: Mutex<Vec<Scratch<T>>>,
}

/// Temporary buffers of one thread, reused from layer to layer.
#[derive(Default)]
pub struct Scratch<T> {
    pub block: block::Scratch<T>,
    pub attention: attention::Scratch<T>,
}

/// One chunk's share of the stream.
pub struct Part<'a, T> {
    /// Index of the chunk's first row among all rows of the [`Cut`].
    pub first: usize,
    pub runs: &'a [Run],
    pub x: &'a mut [f32],
    pub q: &'a mut [T],
    pub kv: &'a mut [T],
}

impl<'a, T: Held + Default> Stream<'a, T> {
    /// A stream that begins with the rows `x`, `[rows, hidden]`.
    pub fn new(spec: &'a DecoderSpec, x: Vec<f32>) -> Self {
        let rows = x.len() / spec.hidden;
        let (q, kv) = (Buffer::zeroed(rows * spec.query_width()), Buffer::zeroed(rows * 2 * spec.key_width()));
        Self { spec, x, q, kv, scratches: Mutex::default() }
    }

    /// Drops the residual stream of all rows except `rows`, which must ascend.
    pub fn keep(&mut self, rows: &[usize]) {
        let hidden = self.spec.hidden;
        for (place, row) in rows.iter().enumerate() {
            self.x.copy_within(row * hidden..(row + 1) * hidden, place * hidden);
        }
        self.x.truncate(rows.len() * hidden);
    }

    /// Runs `work` on every chunk of `cut`. Each thread takes the next chunk when it has finished one.
    ///
    /// # Errors
    /// An error of `work`, if there was any.
    pub fn go(&mut self, cut: &Cut, work: impl Fn(Part<T>, &mut Scratch<T>) -> Result<()> + Sync) -> Result<()> {
        let Self { spec, x, q, kv, scratches } = self;
        let parts = Mutex::new(parts(cut, spec, x, q, kv).into_iter());
        (0..rayon::current_num_threads()).into_par_iter().with_max_len(1).try_for_each(|_| {
            let mut scratch = lock(scratches).pop().unwrap_or_default();
            loop {
                let Some(part) = lock(&parts).next() else { break };
                work(part, &mut scratch)?;
            }
            lock(scratches).push(scratch);
            Ok(())
        })
    }
}

/// Splits the buffers of all rows into one [`Part`] per chunk.
fn parts<'a, T>(
    cut: &'a Cut,
    spec: &DecoderSpec,
    mut x: &'a mut [f32],
    mut q: &'a mut [T],
    mut kv: &'a mut [T],
) -> Vec<Part<'a, T>> {
    let part = |chunk: &'a Chunk| {
        let rows = chunk.rows.len();
        Part {
            first: chunk.rows.start,
            runs: &chunk.runs,
            x: x.split_off_mut(..rows * spec.hidden).unwrap_or_default(),
            q: q.split_off_mut(..rows * spec.query_width()).unwrap_or_default(),
            kv: kv.split_off_mut(..rows * 2 * spec.key_width()).unwrap_or_default(),
        }
    };
    cut.chunks.iter().map(part).collect()
}

/// Locks `mutex`. It cannot be poisoned, because no code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
