//! What a decoder computes, as data.
//!
//! Owns the properties in which families differ. Not here: the families' names (`config`).

use serde::Serialize;

use candle_core::DType;
use half::bf16;

use crate::decoder::names::Names;
use crate::hidden::{Float, Shape};

/// The arithmetic of a decoder, from its config.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecoderSpec {
    /// Rows of the embedding and of the head.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads; a multiple of `kv_heads`, neighbours share a key-value head.
    pub heads: usize,
    /// Number of heads of keys and values.
    pub kv_heads: usize,
    /// Independent of `hidden / heads`.
    pub head_dim: usize,
    /// Width of the gated feed-forward.
    pub intermediate: usize,
    /// Activation of the gate.
    pub activation: Activation,
    /// ε of the norms.
    pub norm_eps: f64,
    /// Norms multiply by 1 + their weight.
    pub norm_plus_one: bool,
    /// Where the two branches of a layer have norms.
    pub norms: Norms,
    /// Norms of queries and keys.
    pub qk_norm: QkNorm,
    /// Biases of the q, k and v projections.
    pub qkv_bias: bool,
    /// Bias of the o projection.
    pub o_bias: bool,
    /// Biases of the gate, up and down projections.
    pub mlp_bias: bool,
    /// What queries are multiplied by.
    pub attention_scale: f64,
    /// Attention scores x become c · tanh(x / c).
    pub attention_cap: Option<f64>,
    /// What embeddings are multiplied by.
    pub embedding_scale: f64,
    /// That factor is rounded to the type of the weights first.
    pub rounds_embedding_scale: bool,
    /// What a branch is multiplied by where it joins the residual stream.
    pub residual_scale: f64,
    /// What logits are multiplied by.
    pub logit_scale: f64,
    /// Logits x become c · tanh(x / c).
    pub logit_cap: Option<f64>,
    /// The rotary embeddings in use, each other than the rest.
    pub ropes: Vec<Rope>,
    /// `[layers]`: index into `ropes`; `None` rotates nothing.
    pub rope_of_layer: Vec<Option<usize>>,
    /// `[layers]`: how many keys a query sees, its own included; `None` sees all before it.
    pub windows: Vec<Option<usize>>,
    /// `[layers]`: whether the feed-forward is a mixture of experts.
    pub sparse: Vec<bool>,
    /// Routing, if feed-forward parts are mixtures of experts.
    pub experts: Option<Experts>,
    /// The head is the embedding.
    pub tied_head: bool,
    /// Longest context in tokens.
    pub max_tokens: usize,
    /// Rows and columns of the blocks that share a scale, where matrices are stored in FP8.
    pub fp8_block: Option<[usize; 2]>,
    /// One sentence per field of the config that the arithmetic does not use.
    pub passed_over: Vec<String>,
    /// Names of the tensors.
    #[serde(skip)]
    pub names: Names,
}

/// What gates a feed-forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// GELU by its tanh formula.
    GeluTanh,
}

/// Norms of a branch: of what it reads, and of what it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Norms {
    /// Before attention and before the feed-forward part.
    Before,
    /// After each of them.
    After,
    /// Before and after each of them.
    BeforeAndAfter,
}

impl Norms {
    /// Whether there are norms before.
    pub fn before(self) -> bool {
        self != Self::After
    }

    /// Whether there are norms after.
    pub fn after(self) -> bool {
        self != Self::Before
    }
}

/// RMS norms of queries and keys before rope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum QkNorm {
    /// No norm.
    None,
    /// Of each head, with one weight `[head_dim]` for all.
    Head,
    /// Of the whole projection.
    Projection,
}

/// A mixture of experts: each row goes through the `chosen` most probable of `count`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Experts {
    /// Number of experts.
    pub count: usize,
    /// Number of experts per token.
    pub chosen: usize,
    /// Width of one expert.
    pub intermediate: usize,
    /// The chosen ones' probabilities are divided by their sum.
    pub normalised: bool,
    /// Width of an expert that every row goes through, times the sigmoid of a gate.
    pub shared: Option<usize>,
}

/// Rotary position embedding, halves rotated against each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// How many leading dimensions of a head are rotated.
    pub rotary_dim: usize,
    /// Dimensions 2i and 2i + 1 are a pair, instead of i and `rotary_dim / 2` + i.
    pub interleaved: bool,
    /// Change of the frequencies.
    pub scaling: RopeScaling,
    /// What cosines and sines are multiplied by.
    pub attention_factor: f64,
}

/// How the rotary frequencies were stretched to a longer context.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RopeScaling {
    /// Unchanged frequencies.
    None,
    /// Each divided by its own factor.
    Each {
        /// One factor per frequency.
        factors: Vec<f64>,
    },
    /// All divided by `factor`.
    Linear {
        /// Factor by which the context was extended.
        factor: f64,
    },
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, those between interpolated.
    Llama3 {
        /// Factor by which the context was extended.
        factor: f64,
        /// Field `low_freq_factor`.
        low_freq_factor: f64,
        /// Field `high_freq_factor`.
        high_freq_factor: f64,
        /// Context before the extension, tokens.
        original_max_tokens: f64,
    },
    /// Peng et al. (2023): divided by `factor` above a ramp of dimensions, kept below it. `ramp` is where it begins and
    /// ends, in pairs of dimensions.
    Yarn {
        /// Factor by which the context was extended.
        factor: f64,
        /// Indices of the frequencies between which the change sets in.
        ramp: (f64, f64),
    },
    /// Ding et al. (2024): each divided by its own factor, by `long` in texts of more than `original_max_tokens`.
    LongRope {
        /// One factor per frequency, up to the original context.
        short: Vec<f64>,
        /// One factor per frequency, beyond the original context.
        long: Vec<f64>,
        /// Context before the extension, tokens.
        original_max_tokens: usize,
    },
}

impl DecoderSpec {
    /// What the head reads of a position, if products round to `dtype`.
    pub fn hidden_shape(&self, dtype: DType) -> Shape {
        let dtype = if dtype == DType::BF16 { Float::Bf16 } else { Float::F32 };
        Shape { dtype, width: self.hidden }
    }

    /// What embeddings are multiplied by in a model whose weights are `dtype`.
    pub fn embedding_scale_in(&self, dtype: DType) -> f64 {
        match dtype {
            DType::BF16 if self.rounds_embedding_scale => bf16::from_f64(self.embedding_scale).to_f64(),
            _ => self.embedding_scale,
        }
    }

    /// Width of the concatenated query heads.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the concatenated key (or value) heads.
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Most tokens of a text whose rotary frequencies are the short ones, where they depend on its length.
    pub fn short_tokens(&self) -> Option<usize> {
        self.ropes.iter().find_map(|rope| match rope.scaling {
            RopeScaling::LongRope { original_max_tokens, .. } => Some(original_max_tokens),
            _ => None,
        })
    }
}
