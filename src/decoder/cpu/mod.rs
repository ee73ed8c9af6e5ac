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

use std::sync::Mutex;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use self::attention::{Attention, Keys};
use self::block::View;
pub use self::head::{HeadRows, PACKED_BLOCK};
pub use self::plan::MAX_CHUNK;
use self::plan::{Plan, Run};
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

/// A layer's two ends: attention and the rest of one, the beginning of the next.
struct Step<'a, T> {
    done: Option<(View<'a>, Attention<'a, T>)>,
    next: Option<View<'a>>,
}

/// The rows of one chunk.
struct Chunk<'a, T> {
    first: usize,
    runs: &'a [Run],
    x: &'a mut [f32],
    q: &'a mut [T],
    kv: &'a mut [T],
}

impl Pass<'_> {
    /// `embedded` `[rows, hidden]` to hidden rows after the final norm. `layer` gives a layer's weights.
    ///
    /// # Errors
    /// Weights that are not packed as `T`; [`crate::Error::Stopped`] between two layers.
    pub fn run<'l, T: Held + Default>(
        &self,
        mut embedded: Vec<f32>,
        layer: impl Fn(usize) -> &'l Layer,
        stop: &Stop,
    ) -> crate::error::Result<Vec<f32>> {
        let (spec, rows) = (self.spec, self.forest.tokens.len());
        let plan = Plan::new(self.forest, rayon::current_num_threads());
        let mut keys = Keys::<T>::new(&plan, spec);
        let (mut q, mut kv) = (Buffer::zeroed(rows * spec.query_width()), Buffer::zeroed(rows * 2 * spec.key_width()));
        let scratches = Mutex::default();
        for index in 0..=spec.layers {
            stop.check()?;
            let view = |index: usize| {
                let rope = spec.rope_of_layer[index].map(|rope| &self.ropes[rope]);
                View::new(self.isa, spec, layer(index), rope)
            };
            let done = index.checked_sub(1).map(|index| -> Result<_> {
                let window = spec.windows[index];
                Ok((view(index)?, Attention { isa: self.isa, spec, plan: &plan, keys: &keys, window }))
            });
            let next = (index < spec.layers).then(|| view(index)).transpose()?;
            let step = Step { done: done.transpose()?, next };
            chunks(&plan, spec, &mut embedded, &mut q, &mut kv)
                .into_par_iter()
                .with_max_len(1)
                .try_for_each(|chunk| step.take(chunk, &scratches))?;
            keys.pack(&plan, &kv);
        }
        let norm = self.final_norm.to_vec1::<f32>()?;
        embedded.par_chunks_exact_mut(spec.hidden).for_each(|x| {
            math::vectorised(
                #[inline(always)]
                || normalise(x, &norm, spec.norm_eps as f32),
            );
        });
        Ok(embedded)
    }
}

fn chunks<'a, T>(
    plan: &'a Plan,
    spec: &DecoderSpec,
    x: &'a mut [f32],
    q: &'a mut [T],
    kv: &'a mut [T],
) -> Vec<Chunk<'a, T>> {
    let x = x.chunks_mut(plan.chunk * spec.hidden);
    let q = q.chunks_mut(plan.chunk * spec.query_width());
    let kv = kv.chunks_mut(plan.chunk * 2 * spec.key_width());
    let parts = plan.runs.iter().zip(x).zip(q.zip(kv)).enumerate();
    parts.map(|(index, ((runs, x), (q, kv)))| Chunk { first: index * plan.chunk, runs, x, q, kv }).collect()
}

impl<T: Held + Default> Step<'_, T> {
    fn take(&self, chunk: Chunk<T>, scratches: &Mutex<Vec<Scratch<T>>>) -> Result<()> {
        let kept = scratches.lock().ok().and_then(|mut kept| kept.pop());
        let mut scratch = kept.unwrap_or_default();
        let Chunk { first, runs, x, q, kv } = chunk;
        if let Some((view, attention)) = &self.done {
            let rows = q.len() / view.spec.query_width();
            scratch.block.input.reset(rows, view.spec.query_width(), &[&view.layer.o]);
            attention.attend(runs, first, q, &mut scratch.block.input, &mut scratch.attention);
            view.after_attention(x, &mut scratch.block)?;
        }
        if let Some(view) = &self.next {
            view.before_attention(x, first, q, kv, &mut scratch.block)?;
        }
        if let Ok(mut kept) = scratches.lock() {
            kept.push(scratch);
        }
        Ok(())
    }
}
