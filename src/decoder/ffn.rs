//! The feed-forward part of a layer: one gated unit, or a mixture of experts.
//!
//! Owns the gate's activation and the routing of rows to experts. Not here: norms and residuals.

use candle_core::{D, Result, Tensor};
use candle_nn::ops::{sigmoid, silu};

use crate::decoder::MIN_ROWS;
use crate::decoder::linear::Linear;
use crate::decoder::spec::{Activation, Experts};

/// down(activation(gate x) · up x).
#[derive(Clone)]
pub struct Gated {
    pub gate: Linear,
    pub up: Linear,
    pub down: Linear,
    pub activation: Activation,
}

impl Gated {
    fn linears_mut(&mut self) -> [&mut Linear; 3] {
        [&mut self.gate, &mut self.up, &mut self.down]
    }

    /// `[rows, hidden]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let gate = self.gate.forward(x)?;
        let gate = match self.activation {
            Activation::Silu => silu(&gate)?,
            Activation::GeluTanh => gate.gelu()?,
        };
        self.down.forward(&(gate * self.up.forward(x)?)?)
    }
}

/// A router, the experts it chooses from, and the one that every row goes through with its gate.
#[derive(Clone)]
pub struct Mixture {
    /// `[experts, hidden]`.
    pub router: Linear,
    pub experts: Vec<Gated>,
    pub shared: Option<(Gated, Linear)>,
    pub spec: Experts,
}

#[derive(Clone)]
pub enum FeedForward {
    Dense(Box<Gated>),
    Sparse(Box<Mixture>),
}

impl FeedForward {
    /// Every linear map, for an adapter to join.
    pub fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Dense(gated) => gated.linears_mut().into(),
            Self::Sparse(mixture) => {
                let mut linears = vec![&mut mixture.router];
                linears.extend(mixture.experts.iter_mut().flat_map(Gated::linears_mut));
                if let Some((expert, gate)) = &mut mixture.shared {
                    linears.extend(expert.linears_mut());
                    linears.push(gate);
                }
                linears
            }
        }
    }

    /// `[rows, hidden]` to the same, f32.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Dense(gated) => gated.forward(x),
            Self::Sparse(mixture) => mixture.forward(x),
        }
    }
}

impl Mixture {
    /// The maps that read its input.
    pub fn readers(&self) -> Vec<&Linear> {
        let experts = self.experts.iter().chain(self.shared.as_ref().map(|(expert, _)| expert));
        let readers = experts.flat_map(|expert| [&expert.gate, &expert.up]);
        readers.chain([&self.router]).chain(self.shared.as_ref().map(|(_, gate)| gate)).collect()
    }

    /// Experts add to a row in the order of their indices. Each takes its rows padded as any product is, so that a
    /// row's numbers do not depend on who else was sent there.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let probabilities = candle_nn::ops::softmax(&self.router.forward(x)?, D::Minus1)?.to_vec2::<f32>()?;
        let mut sent = vec![(Vec::new(), Vec::new()); self.experts.len()];
        for (row, probabilities) in probabilities.iter().enumerate() {
            for (expert, weight) in choose(probabilities, &self.spec) {
                sent[expert].0.push(row as u32);
                sent[expert].1.push(weight);
            }
        }
        let mut y = x.zeros_like()?;
        for (expert, (rows, weights)) in self.experts.iter().zip(sent) {
            if rows.is_empty() {
                continue;
            }
            let count = rows.len();
            let rows = Tensor::from_vec(rows, count, x.device())?;
            let weights = Tensor::from_vec(weights, (count, 1), x.device())?;
            let input = x.index_select(&rows, 0)?.pad_with_zeros(0, 0, MIN_ROWS.saturating_sub(count))?;
            let output = expert.forward(&input)?.narrow(0, 0, count)?.broadcast_mul(&weights)?;
            y = y.index_add(&rows, &output, 0)?;
        }
        match &self.shared {
            Some((expert, gate)) => y + expert.forward(x)?.broadcast_mul(&sigmoid(&gate.forward(x)?)?)?,
            None => Ok(y),
        }
    }
}

/// The experts of one row and their weights; of equally probable ones those with lower indices.
pub fn choose(probabilities: &[f32], spec: &Experts) -> Vec<(usize, f32)> {
    let mut chosen: Vec<(usize, f32)> = probabilities.iter().copied().enumerate().collect();
    chosen.sort_by(|a, b| b.1.total_cmp(&a.1));
    chosen.truncate(spec.chosen);
    let sum: f32 = chosen.iter().map(|(_, p)| p).sum();
    let divisor = if spec.normalised { sum } else { 1.0 };
    chosen.into_iter().map(|(expert, p)| (expert, p / divisor)).collect()
}
