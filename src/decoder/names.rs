//! Names of tensors in a checkpoint.
//!
//! Owns the one table that maps the decoder's weights to what Hugging Face calls them.

/// The token embedding `[vocab, hidden]`.
pub const EMBEDDING: &str = "model.embed_tokens.weight";
/// The norm after the last layer `[hidden]`.
pub const FINAL_NORM: &str = "model.norm.weight";
/// The head `[vocab, hidden]`, where it is not the embedding.
pub const HEAD: &str = "lm_head.weight";

/// Names within a layer, without `.weight`/`.bias`.
pub mod layer {
    pub const ATTENTION_NORM: &str = "input_layernorm";
    pub const Q: &str = "self_attn.q_proj";
    pub const K: &str = "self_attn.k_proj";
    pub const V: &str = "self_attn.v_proj";
    pub const O: &str = "self_attn.o_proj";
    pub const Q_NORM: &str = "self_attn.q_norm";
    pub const K_NORM: &str = "self_attn.k_norm";
    pub const FFN_NORM: &str = "post_attention_layernorm";
    pub const GATE: &str = "mlp.gate_proj";
    pub const UP: &str = "mlp.up_proj";
    pub const DOWN: &str = "mlp.down_proj";
}

/// `name` of layer `index`, e.g. `model.layers.3.mlp.up_proj.weight`.
pub fn in_layer(index: usize, name: &str, kind: &str) -> String {
    format!("model.layers.{index}.{name}.{kind}")
}

/// Tensors that checkpoints carry and nobody needs: buffers that the config determines.
pub fn is_redundant(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
}
