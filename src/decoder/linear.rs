//! A linear map y = W x + b, plus what an adapter adds to it.
//!
//! Owns how the reference implementation rounds, scales and caps a product, and the sums in f64 of both
//! implementations. Not here: the CPU implementation's other products (`cpu`).

#![allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;

use crate::decoder::MIN_COLUMNS;
use crate::decoder::weight::Weight;
use crate::kernel::math;
use crate::stop::Stop;

/// Outputs that are summed side by side in f64.
const GROUP: usize = 32;

/// Weights `[out, in]` in the model's dtype, bias `[out]` in f32. Clones share them.
#[derive(Clone)]
pub struct Linear {
    origin: Origin,
    pub weight: Weight,
    pub bias: Option<Tensor>,
    pub low_rank: Option<LowRank>,
}

/// Where the outputs are from: those from `first` on, of a module that has `outputs`.
#[derive(Clone)]
pub struct Origin {
    /// As the body calls it, e.g. `layers.3.mlp.up_proj`.
    pub module: Arc<str>,
    pub outputs: usize,
    pub first: usize,
}

impl Linear {
    /// The whole of `module`.
    pub fn new(module: &str, weight: Weight, bias: Option<Tensor>) -> Result<Self> {
        let origin = Origin { module: module.into(), outputs: weight.dims()?.0, first: 0 };
        Ok(Self { origin, weight, bias, low_rank: None })
    }

    /// For the CPU implementation.
    pub fn pack(&mut self) -> Result<()> {
        self.weight.pack()
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Outputs and inputs.
    pub fn shape(&self) -> Result<(usize, usize)> {
        self.weight.dims()
    }

    /// Adds `low_rank`, of the same shape, to what it gives; replaces what was added before.
    pub fn add(&mut self, mut low_rank: LowRank) -> Result<()> {
        if self.weight.plain().is_err() {
            low_rank.a.pack()?;
            low_rank.b.pack()?;
        }
        self.low_rank = Some(low_rank);
        Ok(())
    }

    /// `[rows, in]` f32 to `[rows, out]` f32. bf16 weights are multiplied by operands rounded to bf16; every product of
    /// two bf16 numbers is exact in f32, and sums are f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.plain()?;
        let mut y = product(&round_to(x, weight.dtype())?, &weight.to_dtype(DType::F32)?)?;
        if let Some(low_rank) = &self.low_rank {
            y = (y + low_rank.forward(x)?)?;
        }
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// The outputs `ids` of one row `[in]`, whose numbers the weights' dtype can hold: all sums in f64.
    pub fn exact(&self, x: &[f32], ids: &[u32]) -> Result<Vec<f64>> {
        let bias = self.bias.as_ref().map(Tensor::to_vec1::<f32>).transpose()?;
        let mut weights = vec![0.0; x.len()];
        let dot = |id: &u32| {
            self.weight.row(*id as usize, &mut weights)?;
            let sum = math::vectorised(
                #[inline(always)]
                || dot_exact(&weights, x),
            );
            Ok(sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[*id as usize])))
        };
        ids.iter().map(dot).collect()
    }

    /// Every output of some rows `[in]`, `[rows, out]`: all sums in f64.
    ///
    /// # Errors
    /// [`crate::Error::Stopped`] between [`GROUP`]s of outputs.
    pub fn all_exact(&self, x: &[&[f32]], stop: &Stop) -> crate::error::Result<Vec<f64>> {
        let (outputs, depth) = self.shape()?;
        let bias = self.bias.as_ref().map(Tensor::to_vec1::<f32>).transpose()?;
        let mut sums = vec![0.0; outputs.div_ceil(GROUP) * x.len() * GROUP];
        let groups = sums.par_chunks_mut(x.len() * GROUP).zip((0..outputs).into_par_iter().step_by(GROUP));
        let room = || (vec![0.0_f32; depth], vec![[0.0_f64; GROUP]; depth]);
        groups.try_for_each_init(room, |(row, weights), (sums, first)| -> crate::error::Result<()> {
            stop.check()?;
            for place in 0..GROUP.min(outputs - first) {
                self.weight.row(first + place, row)?;
                weights.iter_mut().zip(&*row).for_each(|(of_step, w)| of_step[place] = f64::from(*w));
            }
            multiply_exact(weights, x, sums.as_chunks_mut().0);
            Ok(())
        })?;
        let mut all = vec![0.0; x.len() * outputs];
        all.par_chunks_exact_mut(outputs).enumerate().for_each(|(row, all)| {
            for (group, all) in all.chunks_mut(GROUP).enumerate() {
                all.copy_from_slice(&sums[(group * x.len() + row) * GROUP..][..all.len()]);
            }
            if let Some(bias) = &bias {
                all.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += f64::from(*bias));
            }
        });
        Ok(all)
    }

    /// Rows `start..start + len` of the weight (and bias): those outputs alone.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let origin = Origin { first: self.origin.first + start, ..self.origin.clone() };
        let bias = self.bias.as_ref().map(|b| b.narrow(0, start, len)).transpose()?;
        let low_rank = self.low_rank.as_ref().map(|added| added.narrow(start, len)).transpose()?;
        let weight = Weight::Plain(self.weight.plain()?.narrow(0, start, len)?);
        Ok(Self { origin, weight, bias, low_rank })
    }

    /// The outputs `ids` (u32 `[n]`), in that order.
    pub fn select(&self, ids: &Tensor) -> Result<Self> {
        let bias = self.bias.as_ref().map(|b| b.index_select(ids, 0)).transpose()?;
        let low_rank = self.low_rank.as_ref().map(|added| added.select(ids)).transpose()?;
        let weight = Weight::Plain(self.weight.plain()?.index_select(ids, 0)?);
        Ok(Self { origin: self.origin.clone(), weight, bias, low_rank })
    }
}

/// s · B (A x), kept apart from the weight that it adds to: in bf16 most of a small s·B·A would be rounded away.
#[derive(Clone)]
pub struct LowRank {
    /// `[rank, in]`, f32.
    pub a: Weight,
    /// `[out, rank]`, f32.
    pub b: Weight,
    pub scale: f64,
}

impl LowRank {
    /// Of `a` `[rank, in]` and `b` `[out, rank]`, f32. The rank is padded, so that no product is narrow.
    pub fn new(a: &Tensor, b: &Tensor, scale: f64) -> Result<Self> {
        let missing = MIN_COLUMNS.saturating_sub(a.dim(0)?);
        let (a, b) = (a.pad_with_zeros(0, 0, missing)?, b.pad_with_zeros(1, 0, missing)?);
        Ok(Self { a: Weight::Plain(a), b: Weight::Plain(b), scale })
    }

    /// `[rows, in]` to `[rows, out]`, all in f32 whatever the model's dtype: nothing of an adapter is rounded.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        scale(&product(&product(x, self.a.plain()?)?, self.b.plain()?)?, self.scale)
    }

    /// The outputs `start..start + len`.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        Ok(Self { b: Weight::Plain(self.b.plain()?.narrow(0, start, len)?), ..self.clone() })
    }

    fn select(&self, ids: &Tensor) -> Result<Self> {
        Ok(Self { b: Weight::Plain(self.b.plain()?.index_select(ids, 0)?), ..self.clone() })
    }
}

/// Σ w x in sixteen sums side by side: a fixed order that vectors can follow.
#[inline(always)]
fn dot_exact(weights: &[f32], x: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut lanes = [0.0_f64; LANES];
    let ((weights, last), (x, rest)) = (weights.as_chunks::<LANES>(), x.as_chunks::<LANES>());
    for (weights, x) in weights.iter().zip(x) {
        for ((lane, w), x) in lanes.iter_mut().zip(weights).zip(x) {
            *lane = f64::from(*w).mul_add(f64::from(*x), *lane);
        }
    }
    let ends = last.iter().zip(rest).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum::<f64>();
    lanes.iter().sum::<f64>() + ends
}

/// Adds x Wᵀ of some rows `[in]` and weights `[in][GROUP]` to `sums`.
fn multiply_exact(weights: &[[f64; GROUP]], x: &[&[f32]], sums: &mut [[f64; GROUP]]) {
    /// Steps along k whose weights stay in the L1 cache while all rows are multiplied by them.
    const STEPS: usize = 64;
    math::vectorised(
        #[inline(always)]
        || {
            for (at, weights) in weights.chunks(STEPS).enumerate() {
                for (x, sums) in x.iter().zip(&mut *sums) {
                    let mut lanes = *sums;
                    for (w, x) in weights.iter().zip(&x[at * STEPS..]) {
                        for (lane, w) in lanes.iter_mut().zip(w) {
                            *lane = w.mul_add(f64::from(*x), *lane);
                        }
                    }
                    *sums = lanes;
                }
            }
        },
    );
}

/// x Wᵀ of f32 operands, never narrower than [`MIN_COLUMNS`].
fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let width = weight.dim(0)?;
    let weight = weight.pad_with_zeros(0, 0, MIN_COLUMNS.saturating_sub(width))?;
    x.matmul(&weight.t()?)?.narrow(1, 0, width)
}

/// `x` times `factor`; nothing is computed for the factor that most models have.
pub fn scale(x: &Tensor, factor: f64) -> Result<Tensor> {
    if factor == 1.0 { Ok(x.clone()) } else { x.affine(factor, 0.0) }
}

/// c · tanh(x / c), where there is a cap c.
pub fn cap(x: &Tensor, cap: Option<f64>) -> Result<Tensor> {
    cap.map_or_else(|| Ok(x.clone()), |cap| x.affine(1.0 / cap, 0.0)?.tanh()?.affine(cap, 0.0))
}

/// An f32 tensor with the values that `dtype` can hold.
pub fn round_to(x: &Tensor, dtype: DType) -> Result<Tensor> {
    match dtype {
        DType::F32 => Ok(x.clone()),
        dtype => x.to_dtype(dtype)?.to_dtype(DType::F32),
    }
}
