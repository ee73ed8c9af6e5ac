//! The CPU implementation of the head: from rows to logits, some hundred ids at a time.
//!
//! Owns the width of a block, chosen so that its logits are reduced while they are in the L2 cache. Not here: the
//! reduction.

use candle_core::{Result, Tensor};

use super::product::{Input, Product};
use crate::decoder::head::LogitBlock;
use crate::decoder::linear::Linear;
use crate::decoder::weight::Held;
use crate::kernel::{Isa, PANEL, Rows, math};
use crate::stop::Stop;

/// Ids of a block: a multiple of the reducer's chunk.
const PACKED_BLOCK: usize = 512;

/// Rows that are to be multiplied with the head.
pub struct HeadRows<'a, T> {
    isa: Isa,
    linear: &'a Linear,
    input: Input<T>,
    sums: Rows<f32>,
}

impl<'a, T: Held + Default> HeadRows<'a, T> {
    /// Of `hidden` `[rows, hidden]`, f32.
    pub fn new(isa: Isa, linear: &'a Linear, hidden: &Tensor) -> Result<Self> {
        let (rows, depth) = hidden.dims2()?;
        let hidden = hidden.flatten_all()?.to_vec1::<f32>()?;
        let mut input = Input::default();
        input.reset(rows, depth, &[linear]);
        math::vectorised(
            #[inline(always)]
            || hidden.chunks_exact(depth).enumerate().for_each(|(row, values)| input.set(row, 0, values)),
        );
        Ok(Self { isa, linear, input, sums: Rows::default() })
    }

    /// Hands the logits of all ids to `take` block by block, each passed through `finish` if there is one.
    ///
    /// # Errors
    /// Weights that are not packed as `T`; [`crate::Error::Stopped`] between two blocks.
    pub fn for_each_block(
        &mut self,
        finish: Option<&impl Fn(f32) -> f32>,
        stop: &Stop,
        take: &mut impl FnMut(LogitBlock),
    ) -> crate::error::Result<()> {
        let mut product = Product::new(self.isa, self.linear, &self.input)?;
        for first in (0..product.outputs()).step_by(PACKED_BLOCK) {
            stop.check()?;
            let width = PACKED_BLOCK.min(product.outputs() - first);
            product.columns(first, width, &mut self.sums);
            finish_rows(&mut self.sums, finish);
            take(LogitBlock::new(first as u32, width, self.sums.from(0), self.sums.stride()));
        }
        Ok(())
    }

    /// The logit of `targets[i]` at row `i`: the same sums.
    pub fn targets(
        isa: Isa,
        linear: &'a Linear,
        hidden: &Tensor,
        targets: &[u32],
        finish: Option<&impl Fn(f32) -> f32>,
    ) -> Result<Vec<f32>> {
        let all = Self::new(isa, linear, hidden)?;
        let mut one = Self { isa, linear, input: Input::default(), sums: Rows::default() };
        let logit = |(row, &target): (usize, &u32)| {
            let within = target as usize % PANEL;
            one.input.gather(&all.input, &[row]);
            let start = target as usize - within;
            Product::new(isa, linear, &one.input)?.columns(start, PANEL, &mut one.sums);
            finish_rows(&mut one.sums, finish);
            Ok(one.sums.row(0)[within])
        };
        targets.iter().enumerate().map(logit).collect()
    }
}

fn finish_rows(sums: &mut Rows<f32>, finish: Option<&impl Fn(f32) -> f32>) {
    let Some(finish) = finish else { return };
    math::vectorised(
        #[inline(always)]
        || {
            for row in 0..sums.rows() {
                for x in sums.row_mut(row) {
                    *x = finish(*x);
                }
            }
        },
    );
}
