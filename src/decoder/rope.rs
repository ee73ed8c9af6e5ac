//! Rotary position embedding: a spec's frequencies, and cosines and sines of a forest's positions.
//!
//! Owns Su et al. (2021), <https://arxiv.org/abs/2104.09864>, in the layouts of Hugging Face, and the frequency
//! scalings. Not here: tokens.

use candle_core::{DType, Device, Result, Tensor};

use crate::decoder::linear;
use crate::decoder::spec::{Rope, RopeScaling};
use crate::forest::Forest;

/// Cosines and sines of every row of a forest, each `[rows, rotary_dim / 2]` in f32.
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
    /// How many leading dimensions of a head are rotated.
    width: usize,
    interleaved: bool,
}

impl Rotary {
    /// For the rows of `forest`. Angles are f32 products as in Hugging Face: bf16 would lose integers above 256.
    pub fn new(rope: &Rope, forest: &Forest, device: &Device) -> Result<Self> {
        let frequencies = frequencies(rope, forest.long);
        let frequencies = Tensor::from_vec(frequencies, (1, rope.rotary_dim / 2), device)?;
        let positions: Vec<f32> = forest.positions.iter().map(|&p| p as f32).collect();
        let rows = positions.len();
        let angles = Tensor::from_vec(positions, (rows, 1), device)?.broadcast_mul(&frequencies)?;
        let factor = rope.attention_factor;
        // In f64, then rounded: the f32 functions of two C libraries differ in the last bit, these hardly ever after rounding.
        let angles = angles.to_dtype(DType::F64)?;
        let (cos, sin) = (angles.cos()?.to_dtype(DType::F32)?, angles.sin()?.to_dtype(DType::F32)?);
        let (cos, sin) = (linear::scale(&cos, factor)?, linear::scale(&sin, factor)?);
        Ok(Self { cos, sin, width: rope.rotary_dim, interleaved: rope.interleaved })
    }

    /// Rotates the leading dimensions of `x`, `[rows, heads, head_dim]`.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (rows, heads, head_dim) = x.dims3()?;
        let mut turned = x.narrow(2, 0, self.width)?;
        if self.interleaved {
            // Even dimensions to the first half, odd ones to the second, of queries and keys alike: their products do
            // not see the order.
            let pairs = turned.reshape((rows, heads, self.width / 2, 2))?.transpose(2, 3)?;
            turned = pairs.reshape((rows, heads, self.width))?;
        }
        let turned = turned.unsqueeze(0)?.contiguous()?;
        let turned = candle_nn::rotary_emb::rope_thd(&turned, &self.cos, &self.sin)?.squeeze(0)?;
        if self.width == head_dim {
            return Ok(turned);
        }
        Tensor::cat(&[turned, x.narrow(2, self.width, head_dim - self.width)?], 2)
    }
}

/// Cosines and sines of a forest's rows as slices, for the CPU implementation.
pub struct Table {
    /// `[rows, half]` each.
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Pairs of dimensions that are rotated.
    half: usize,
    interleaved: bool,
}

impl Table {
    /// The numbers of `rotary`.
    pub fn new(rotary: &Rotary) -> Result<Self> {
        let numbers = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let (cos, sin) = (numbers(&rotary.cos)?, numbers(&rotary.sin)?);
        Ok(Self { cos, sin, half: rotary.width / 2, interleaved: rotary.interleaved })
    }

    /// That of `rows`, in their order.
    pub fn gather(&self, rows: &[usize]) -> Self {
        let of =
            |numbers: &[f32]| rows.iter().flat_map(|row| &numbers[row * self.half..][..self.half]).copied().collect();
        Self { cos: of(&self.cos), sin: of(&self.sin), ..*self }
    }

    /// Rotates the leading dimensions of `head`, which belongs to `row`. As [`Rotary::apply`]. `scratch` is room for it.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "vectorised in its caller or not at all")]
    pub fn turn(&self, row: usize, head: &mut [f32], scratch: &mut Vec<f32>) {
        let half = self.half;
        let (cos, sin) = (&self.cos[row * half..][..half], &self.sin[row * half..][..half]);
        if self.interleaved {
            scratch.clear();
            scratch.extend_from_slice(&head[..2 * half]);
            for (pair, xs) in scratch.chunks_exact(2).enumerate() {
                (head[pair], head[half + pair]) = (xs[0], xs[1]);
            }
        }
        let (low, high) = head[..2 * half].split_at_mut(half);
        for ((low, high), (cos, sin)) in low.iter_mut().zip(high).zip(cos.iter().zip(sin)) {
            (*low, *high) = (*low * cos - *high * sin, *low * sin + *high * cos);
        }
    }
}

/// Angle a position for each pair of dimensions: θ^(−2i/d), stretched.
fn frequencies(rope: &Rope, long: bool) -> Vec<f32> {
    let plain = |pair: usize| rope.theta.powf(-((2 * pair) as f64) / rope.rotary_dim as f64);
    (0..rope.rotary_dim / 2).map(|pair| scale(plain(pair), pair, &rope.scaling, long) as f32).collect()
}

/// The stretched frequency of a `pair` of dimensions.
fn scale(frequency: f64, pair: usize, scaling: &RopeScaling, long: bool) -> f64 {
    match scaling {
        RopeScaling::None => frequency,
        RopeScaling::Each { factors } => frequency / factors[pair],
        RopeScaling::Linear { factor } => frequency / factor,
        &RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_tokens } => {
            let wavelength = 2.0 * std::f64::consts::PI / frequency;
            let smooth = (original_max_tokens / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
            blend(frequency, factor, smooth.clamp(0.0, 1.0))
        }
        &RopeScaling::Yarn { factor, ramp: (low, high) } => {
            let above = (pair as f64 - low) / (high - low);
            blend(frequency, factor, 1.0 - above.clamp(0.0, 1.0))
        }
        RopeScaling::LongRope { short, long: factors, .. } => {
            frequency / if long { factors[pair] } else { short[pair] }
        }
    }
}

/// Between the frequency divided by `factor` (0) and itself (1).
fn blend(frequency: f64, factor: f64, kept: f64) -> f64 {
    (1.0 - kept) * frequency / factor + kept * frequency
}
