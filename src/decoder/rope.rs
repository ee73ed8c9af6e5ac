//! Rotary position embedding: frequencies of a spec, cosines and sines of a forest's positions.
//!
//! Owns Su et al. (2021), <https://arxiv.org/abs/2104.09864>, in the rotate-half layout of Hugging Face, and the
//! frequency scalings. Refuses to look at tokens.

use candle_core::{Device, Result, Tensor};

use crate::decoder::spec::{DecoderSpec, Rope, RopeScaling};

/// Cosines and sines of every row of a forest, each `[rows, head_dim / 2]` in f32.
pub struct Rotary {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// For rows at `positions`. Angles are f32 products as in Hugging Face: bf16 would lose integers above 256.
    pub fn new(spec: &DecoderSpec, positions: &[u32], device: &Device) -> Result<Self> {
        let frequencies = frequencies(&spec.rope, spec.head_dim);
        let half = frequencies.len();
        let frequencies = Tensor::from_vec(frequencies, (1, half), device)?;
        let positions: Vec<f32> = positions.iter().map(|&p| p as f32).collect();
        let rows = positions.len();
        let angles = Tensor::from_vec(positions, (rows, 1), device)?.broadcast_mul(&frequencies)?;
        Ok(Self { cos: angles.cos()?, sin: angles.sin()? })
    }

    /// Rotates `x`, `[rows, heads, head_dim]`.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::rotary_emb::rope_thd(&x.unsqueeze(0)?.contiguous()?, &self.cos, &self.sin)?.squeeze(0)
    }
}

/// Angle a position for each pair of dimensions: θ^(−2i/d), stretched.
fn frequencies(rope: &Rope, head_dim: usize) -> Vec<f32> {
    let plain = (0..head_dim).step_by(2).map(|i| rope.theta.powf(-(i as f64) / head_dim as f64));
    plain.map(|f| scale(f, &rope.scaling) as f32).collect()
}

/// Llama 3.1's rule (`_compute_llama3_parameters` of transformers): by wavelength against the original context.
fn scale(frequency: f64, scaling: &RopeScaling) -> f64 {
    let RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_tokens } = *scaling else {
        return frequency;
    };
    let wavelength = 2.0 * std::f64::consts::PI / frequency;
    if wavelength > original_max_tokens / low_freq_factor {
        frequency / factor
    } else if wavelength < original_max_tokens / high_freq_factor {
        frequency
    } else {
        let smooth = (original_max_tokens / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor);
        (1.0 - smooth) * frequency / factor + smooth * frequency
    }
}
