//! The CPU implementation of the body: the same block as the reference implementation's, in two fused steps per layer.
//!
//! Owns the layer loop over chunks of rows. One task takes a chunk through attention, the rest of its layer, and the
//! next layer's queries, keys and values. Keys are packed between layers. The last layer computes only the rows whose
//! output is used. Memory is allocated once per forest, because new buffers for every operation would cost as much as
//! the products. Not here: the definition of a block (`decoder::block`), against which this implementation is tested.

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

mod attention;
mod block;
mod ffn;
mod head;
mod keys;
mod plan;
mod product;
mod stream;

use candle_core::{Result, Tensor};

use self::attention::Attention;
use self::block::View;
pub use self::head::HeadRows;
use self::keys::Keys;
pub use self::plan::MAX_CHUNK;
use self::plan::{Cut, Plan, Run};
use self::product::normalise;
use self::stream::{Part, Scratch, Stream};
use crate::decoder::DecoderSpec;
use crate::decoder::block::Layer;
use crate::decoder::rope::Table;
use crate::decoder::weight::Held;
use crate::forest::Forest;
use crate::kernel::{Isa, math};
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

impl Pass<'_> {
    /// `embedded` `[rows, hidden]` to final hidden states, those of [`Forest::read`]. `layer` gives a
    /// layer's weights. In the last layer only these rows have queries: the output of the others is not used.
    ///
    /// # Errors
    /// Weights that are not packed as `T`; [`crate::Error::Stopped`] between two layers.
    pub fn run<'l, T: Held + Default>(
        &self,
        embedded: Vec<f32>,
        layer: impl Fn(usize) -> &'l Layer,
        stop: &Stop,
    ) -> crate::error::Result<Vec<f32>> {
        let (spec, forest, threads) = (self.spec, self.forest, rayon::current_num_threads());
        let cut = Cut::new(forest, &(0..forest.tokens.len()).collect::<Vec<_>>(), threads);
        let plan = Plan::new(forest);
        let mut keys = Keys::<T>::new(&plan, spec);
        let mut stream = Stream::new(spec, embedded);
        let rope = |index: usize| spec.rope_of_layer[index].map(|rope| &self.ropes[rope]);
        let view = |index: usize| View::new(self.isa, spec, layer(index), rope(index));
        for index in 0..spec.layers {
            stop.check()?;
            let done =
                index.checked_sub(1).map(|done| view(done).map(|view| (view, self.attention(done, &plan, &keys))));
            let step = Step { done: done.transpose()?, next: view(index)?, is_last: index + 1 == spec.layers };
            stream.go(&cut, |part, scratch| step.take(part, scratch))?;
            keys.pack(&plan, &stream.kv);
        }
        stop.check()?;
        let index = spec.layers - 1;
        let rope = rope(index).map(|rope| rope.gather(&forest.read));
        let view = View::new(self.isa, spec, layer(index), rope.as_ref())?;
        let attention = self.attention(index, &plan, &keys);
        let last = Last { view, attention, norm: self.final_norm.to_vec1()? };
        stream.keep(&forest.read);
        stream.go(&Cut::new(forest, &forest.read, threads), |part, scratch| last.take(part, scratch))?;
        Ok(stream.x)
    }

    fn attention<'a, T>(&'a self, index: usize, plan: &'a Plan, keys: &'a Keys<T>) -> Attention<'a, T> {
        Attention { isa: self.isa, spec: self.spec, plan, keys, window: self.spec.windows[index] }
    }
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
