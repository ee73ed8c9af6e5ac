//! A linear map: y = W x + b.
//!
//! Owns how a product is rounded, scaled and capped. Refuses to pack: packed forms belong to the kernels of an instruction set.

use candle_core::{DType, Result, Tensor};

use crate::decoder::MIN_COLUMNS;

/// Weights `[out, in]` in the model's dtype, bias `[out]` in f32.
#[derive(Clone)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    pub fn new(weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { weight, bias }
    }

    /// `[rows, in]` f32 to `[rows, out]` f32. bf16 weights meet operands rounded to bf16; every product of two bf16
    /// numbers is exact in f32, and sums are f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let weight = self.weight.to_dtype(DType::F32)?;
        let width = weight.dim(0)?;
        let weight = weight.pad_with_zeros(0, 0, MIN_COLUMNS.saturating_sub(width))?;
        let y = round_to(x, self.weight.dtype())?.matmul(&weight.t()?)?.narrow(1, 0, width)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }

    /// The outputs `ids` of one row `[in]`, whose numbers the weights' dtype can hold: all sums in f64.
    pub fn exact(&self, x: &[f32], ids: &[u32]) -> Result<Vec<f64>> {
        let part = self.select(&Tensor::new(ids, self.weight.device())?)?;
        let weights = part.weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let bias = part.bias.map(|bias| bias.to_vec1::<f32>()).transpose()?;
        let dot = |weights: &[f32]| {
            // Eight sums side by side: a fixed order that a vector unit can follow.
            let mut lanes = [0.0_f64; 8];
            for (place, (w, x)) in weights.iter().zip(x).enumerate() {
                lanes[place % 8] += f64::from(*w) * f64::from(*x);
            }
            lanes.iter().sum::<f64>()
        };
        let sums = weights.chunks_exact(x.len()).map(dot).enumerate();
        Ok(sums.map(|(i, sum)| sum + bias.as_ref().map_or(0.0, |bias| f64::from(bias[i]))).collect())
    }

    /// Rows `start..start + len` of the weight (and bias): those outputs alone.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let bias = self.bias.as_ref().map(|b| b.narrow(0, start, len)).transpose()?;
        Ok(Self { weight: self.weight.narrow(0, start, len)?, bias })
    }

    /// The outputs `ids` (u32 `[n]`), in that order.
    pub fn select(&self, ids: &Tensor) -> Result<Self> {
        let bias = self.bias.as_ref().map(|b| b.index_select(ids, 0)).transpose()?;
        Ok(Self { weight: self.weight.index_select(ids, 0)?, bias })
    }
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
