//! The supported GGUF architectures, as data.
//!
//! Owns the metadata keys that llama.cpp defines for each architecture. Not here: reading their values (`gguf`).

use crate::decoder::names::{self, Names};

/// Pairs of a GGUF key, without the architecture's name and dot before it, and the config field of the same meaning.
pub type Fields = &'static [(&'static str, &'static str)];

pub struct Architecture {
    pub name: &'static str,
    /// `model_type` of a config of this architecture. `gguf` replaces `llama` by `mixtral` or `mistral` where keys say
    /// so.
    pub family: &'static str,
    /// Keys of this architecture in addition to [`COMMON`].
    pub fields: Fields,
    pub names: Names,
    /// Whether llama.cpp's converter permutes queries and keys, so that the two dimensions that are rotated together
    /// are neighbours.
    pub is_permuted: bool,
}

pub const COMMON: Fields = &[
    ("block_count", "num_hidden_layers"),
    ("context_length", "max_position_embeddings"),
    ("embedding_length", "hidden_size"),
    ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
    ("attention.key_length", "head_dim"),
    ("rope.freq_base", "rope_theta"),
    ("rope.scaling.original_context_length", "original_max_position_embeddings"),
];
/// Keys that correspond to no single field. `gguf` reads them one by one, except for the last two: the shape of the
/// embedding gives `vocab_size` too, and `rope.scaling.finetuned` does not affect the arithmetic.
pub const OTHERS: [&str; 7] = [
    "attention.value_length",
    "rope.dimension_count",
    "rope.scaling.type",
    "rope.scaling.factor",
    "rope.scaling.attn_factor",
    "vocab_size",
    "rope.scaling.finetuned",
];
pub const YARN: Fields = &[("rope.scaling.yarn_beta_fast", "beta_fast"), ("rope.scaling.yarn_beta_slow", "beta_slow")];

const PLAIN: Architecture = Architecture { name: "", family: "", fields: &[], names: names::GGUF, is_permuted: false };

pub const ARCHITECTURES: [Architecture; 12] = [
    Architecture {
        name: "llama",
        family: "llama",
        fields: &[
            ("attention.sliding_window", "sliding_window"),
            ("expert_count", "num_local_experts"),
            ("expert_used_count", "num_experts_per_tok"),
        ],
        is_permuted: true,
        ..PLAIN
    },
    Architecture { name: "qwen2", family: "qwen2", ..PLAIN },
    Architecture { name: "qwen3", family: "qwen3", ..PLAIN },
    Architecture {
        name: "qwen2moe",
        family: "qwen2_moe",
        fields: &[
            ("expert_count", "num_experts"),
            ("expert_used_count", "num_experts_per_tok"),
            ("expert_feed_forward_length", "moe_intermediate_size"),
            ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
        ],
        ..PLAIN
    },
    Architecture {
        name: "qwen3moe",
        family: "qwen3_moe",
        fields: &[
            ("expert_count", "num_experts"),
            ("expert_used_count", "num_experts_per_tok"),
            ("expert_feed_forward_length", "moe_intermediate_size"),
        ],
        ..PLAIN
    },
    Architecture {
        name: "gemma2",
        family: "gemma2",
        fields: &[
            ("attention.sliding_window", "sliding_window"),
            ("attn_logit_softcapping", "attn_logit_softcapping"),
            ("final_logit_softcapping", "final_logit_softcapping"),
        ],
        ..PLAIN
    },
    Architecture {
        name: "gemma3",
        family: "gemma3_text",
        fields: &[
            ("attention.sliding_window", "sliding_window"),
            ("attention.sliding_window_pattern", "sliding_window_pattern"),
            ("final_logit_softcapping", "final_logit_softcapping"),
            ("rope.freq_base_swa", "rope_local_base_freq"),
        ],
        ..PLAIN
    },
    Architecture {
        name: "phi3",
        family: "phi3",
        fields: &[("attention.sliding_window", "sliding_window")],
        names: names::GGUF_PHI3,
        ..PLAIN
    },
    Architecture { name: "olmo2", family: "olmo2", ..PLAIN },
    Architecture {
        name: "granite",
        family: "granite",
        fields: &[
            ("attention.scale", "attention_multiplier"),
            ("embedding_scale", "embedding_multiplier"),
            ("residual_scale", "residual_multiplier"),
            ("logit_scale", "logits_scaling"),
        ],
        is_permuted: true,
        ..PLAIN
    },
    Architecture { name: "glm4", family: "glm4", names: names::GGUF_GLM4, ..PLAIN },
    Architecture { name: "smollm3", family: "smollm3", is_permuted: true, ..PLAIN },
];
