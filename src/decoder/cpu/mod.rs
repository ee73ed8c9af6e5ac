//! The packed form of the body, on a CPU: the same block as the plain form's, in two fused steps a layer.
//!
//! Owns the layer loop over chunks of rows and the memory that it needs, allocated once a forest: fresh activations for
//! every operation would cost as much as the products. A chunk goes through attention, the rest of its layer and into
//! the next layer's queries, keys and values in one task; between layers keys are packed. Refuses to describe a block:
//! `decoder::block` does, and its plain form is the truth that this one is tested against.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

mod attention;
mod block;
mod ffn;
mod head;
mod plan;
mod product;

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use self::attention::{Attention, Keys};
use self::block::View;
pub use self::head::{HeadRows, PACKED_BLOCK};
pub use self::plan::MAX_CHUNK;
use self::plan::{Chunk, Cut, Plan, Run};
use self::product::normalise;
use crate::decoder::DecoderSpec;
use crate::decoder::block::Layer;
use crate::decoder::rope::Table;
use crate::decoder::weight::Held;
use crate::forest::Forest;
use crate::kernel::{Buffer, Isa, math};
use crate::stop::Stop;

/// A body and a forest to take through it.
pub struct Pass<'a> {
    pub isa: Isa,
    pub spec: &'a DecoderSpec,
    pub forest: &'a Forest,
    /// One for each of the spec's ropes.
    pub ropes: &'a [Table],
    pub final_norm: &'a Tensor,
}

/// What a thread needs, kept from chunk to chunk.
#[derive(Default)]
struct Scratch<T> {
    block: block::Scratch<T>,
    attention: attention::Scratch<T>,
}

/// From one layer's attention to the next one's: the rest of the one, the beginning of the other.
struct Step<'a, T> {
    done: Option<(View<'a>, Attention<'a, T>)>,
    next: View<'a>,
    /// The next layer is the last one, whose queries are made of fewer rows.
    is_last: bool,
}

/// The last layer from its queries on, and the final norm.
struct Last<'a, T> {
    view: View<'a>,
    attention: Attention<'a, T>,
    norm: Vec<f32>,
}

/// The rows of one chunk.
struct Part<'a, T> {
    /// The first one's place among all that are cut.
    first: usize,
    runs: &'a [Run],
    x: &'a mut [f32],
    q: &'a mut [T],
    kv: &'a mut [T],
}

impl Pass<'_> {
    /// `embedded` `[rows, hidden]` to hidden rows after the final norm, those of [`Forest::read`]. `layer` gives a layer's
    /// weights. In the last layer only these rows have queries: nobody reads what becomes of the others.
    ///
    /// # Errors
    /// Weights that are not packed as `T`; [`crate::Error::Stopped`] between two layers.
    pub fn run<'l, T: Held + Default>(
        &self,
        mut embedded: Vec<f32>,
        layer: impl Fn(usize) -> &'l Layer,
        stop: &Stop,
    ) -> crate::error::Result<Vec<f32>> {
        let (spec, forest, threads) = (self.spec, self.forest, rayon::current_num_threads());
        let rows = forest.tokens.len();
        let cut = Cut::new(forest, &(0..rows).collect::<Vec<_>>(), threads);
        let plan = Plan::new(forest);
        let mut keys = Keys::<T>::new(&plan, spec);
        let (mut q, mut kv) = (Buffer::zeroed(rows * spec.query_width()), Buffer::zeroed(rows * 2 * spec.key_width()));
        let scratches = Mutex::default();
        let rope = |index: usize| spec.rope_of_layer[index].map(|rope| &self.ropes[rope]);
        for index in 0..spec.layers {
            stop.check()?;
            let view = |index| View::new(self.isa, spec, layer(index), rope(index));
            let done =
                index.checked_sub(1).map(|done| view(done).map(|view| (view, self.attention(done, &plan, &keys))));
            let step = Step { done: done.transpose()?, next: view(index)?, is_last: index + 1 == spec.layers };
            let parts = parts(&cut, spec, &mut embedded, &mut q, &mut kv);
            on_all_threads(parts, &scratches, |part, scratch| step.take(part, scratch))?;
            keys.pack(&plan, &kv);
        }
        stop.check()?;
        let index = spec.layers - 1;
        let rope = rope(index).map(|rope| rope.gather(&forest.read));
        let last = Last {
            view: View::new(self.isa, spec, layer(index), rope.as_ref())?,
            attention: self.attention(index, &plan, &keys),
            norm: self.final_norm.to_vec1()?,
        };
        let cut = Cut::new(forest, &forest.read, threads);
        for (place, row) in forest.read.iter().enumerate() {
            embedded.copy_within(row * spec.hidden..(row + 1) * spec.hidden, place * spec.hidden);
        }
        embedded.truncate(forest.read.len() * spec.hidden);
        let parts = parts(&cut, spec, &mut embedded, &mut q, &mut kv);
        on_all_threads(parts, &scratches, |part, scratch| last.take(part, scratch))?;
        Ok(embedded)
    }

    fn attention<'a, T>(&'a self, index: usize, plan: &'a Plan, keys: &'a Keys<T>) -> Attention<'a, T> {
        Attention { isa: self.isa, spec: self.spec, plan, keys, window: self.spec.windows[index] }
    }
}

/// Each chunk with what is its own of all rows' numbers.
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
            x: split(&mut x, rows * spec.hidden),
            q: split(&mut q, rows * spec.query_width()),
            kv: split(&mut kv, rows * 2 * spec.key_width()),
        }
    };
    cut.chunks.iter().map(part).collect()
}

/// Takes the first `count` numbers off `numbers`.
fn split<'a, T>(numbers: &mut &'a mut [T], count: usize) -> &'a mut [T] {
    let (first, rest) = std::mem::take(numbers).split_at_mut(count);
    *numbers = rest;
    first
}

/// Does `work` on `parts`, which threads take in their order; a scratch is what an earlier layer has left.
fn on_all_threads<T: Held + Default>(
    parts: Vec<Part<T>>,
    scratches: &Mutex<Vec<Scratch<T>>>,
    work: impl Fn(Part<T>, &mut Scratch<T>) -> Result<()> + Sync,
) -> Result<()> {
    let parts = Mutex::new(parts.into_iter());
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

/// Nothing panics with one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Held + Default> Step<'_, T> {
    fn take(&self, part: Part<T>, scratch: &mut Scratch<T>) -> Result<()> {
        let Part { first, runs, x, q, kv } = part;
        if let Some((view, attention)) = &self.done {
            attend(view, attention, (first, runs), x, q, scratch)?;
        }
        self.next.read_for_attention(x, &mut scratch.block);
        if !self.is_last {
            self.next.queries(first, q, &mut scratch.block)?;
        }
        self.next.keys_and_values(first, kv, &mut scratch.block)
    }
}

impl<T: Held + Default> Last<'_, T> {
    fn take(&self, part: Part<T>, scratch: &mut Scratch<T>) -> Result<()> {
        let Part { first, runs, x, q, .. } = part;
        let Self { view, attention, norm } = self;
        view.read_for_attention(x, &mut scratch.block);
        view.queries(first, q, &mut scratch.block)?;
        attend(view, attention, (first, runs), x, q, scratch)?;
        math::vectorised(
            #[inline(always)]
            || {
                for x in x.chunks_exact_mut(view.spec.hidden) {
                    normalise(x, norm, view.spec.norm_eps as f32);
                }
            },
        );
        Ok(())
    }
}

/// Attention of the queries `q` and the rest of the layer, for the `runs` of a chunk whose first row is `first`.
fn attend<T: Held>(
    view: &View,
    attention: &Attention<T>,
    (first, runs): (usize, &[Run]),
    x: &mut [f32],
    q: &[T],
    scratch: &mut Scratch<T>,
) -> Result<()> {
    scratch.block.input.reset(x.len() / view.spec.hidden, view.spec.query_width(), &[&view.layer.o]);
    attention.attend(runs, first, q, &mut scratch.block.input, &mut scratch.attention);
    view.after_attention(x, &mut scratch.block)
}
