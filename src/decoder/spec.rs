//! What a decoder computes, as data.
//!
//! Owns the axes along which families differ. Refuses family names: `config` alone knows them.

/// The arithmetic of a decoder, from its config.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// Rows of the embedding and of the head.
    pub vocab: usize,
    pub hidden: usize,
    pub layers: usize,
    /// Query heads; a multiple of `kv_heads`, neighbours share a key-value head.
    pub heads: usize,
    pub kv_heads: usize,
    /// Independent of `hidden / heads`.
    pub head_dim: usize,
    /// Width of the gated feed-forward.
    pub intermediate: usize,
    pub norm_eps: f64,
    /// RMS norm of each query and key head before rope.
    pub qk_norm: bool,
    /// Biases of the q, k, v and o projections.
    pub attention_bias: bool,
    /// Biases of the gate, up and down projections.
    pub mlp_bias: bool,
    pub rope: Rope,
    /// `[layers]`: how many keys a query sees, its own included; `None` sees all before it.
    pub windows: Vec<Option<usize>>,
    /// The head is the embedding.
    pub tied_head: bool,
    /// Longest context in tokens.
    pub max_tokens: usize,
}

/// Rotary position embedding over the whole head, halves rotated against each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    pub theta: f64,
    pub scaling: RopeScaling,
}

/// How the rotary frequencies were stretched to a longer context.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    /// Llama 3.1: long wavelengths divided by `factor`, short ones kept, those between interpolated.
    Llama3 {
        factor: f64,
        low_freq_factor: f64,
        high_freq_factor: f64,
        original_max_tokens: f64,
    },
}

impl DecoderSpec {
    /// Width of the concatenated query heads.
    pub fn query_width(&self) -> usize {
        self.heads * self.head_dim
    }

    /// Width of the concatenated key (or value) heads.
    pub fn key_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }
}
