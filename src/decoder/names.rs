//! Names of tensors in a checkpoint.
//!
//! Owns the tables that map the decoder's weights to what Hugging Face calls them, one for each layout. Refuses shapes.

/// Where a model's weights lie. Names within a layer go without `.weight` and `.bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// What the body's names begin with and what the head's tensor is called: the first whose embedding exists.
    pub roots: &'static [(&'static str, &'static str)],
    pub attention_norm: &'static str,
    pub attention_post_norm: &'static str,
    pub ffn_norm: &'static str,
    pub ffn_post_norm: &'static str,
    /// Alike where one tensor holds them, one after the other.
    pub qkv: [&'static str; 3],
    /// Alike where one tensor holds them.
    pub gate_up: [&'static str; 2],
    pub experts: ExpertNames,
}

impl Names {
    /// `module` as the decoder calls it: within the body (`layers.3.mlp.up_proj`), or [`HEAD`]. `None` for a module that
    /// is neither.
    pub fn within<'a>(&self, module: &'a str) -> Option<&'a str> {
        let in_layers = |(body, _): &(&str, &str)| module.strip_prefix(body).filter(|rest| rest.starts_with("layers."));
        let is_head = |(_, head): &(&str, &str)| head.strip_suffix(".weight") == Some(module);
        self.roots.iter().find_map(in_layers).or_else(|| self.roots.iter().any(is_head).then_some(HEAD))
    }
}

/// The names of a mixture of experts, within a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertNames {
    pub router: &'static str,
    /// What the experts' names begin with; their index follows.
    pub each: &'static str,
    /// Within one expert.
    pub gate_up: [&'static str; 2],
    pub down: &'static str,
}

/// The token embedding `[vocab, hidden]`, within the body.
pub const EMBEDDING: &str = "embed_tokens.weight";
/// The norm after the last layer `[hidden]`, within the body.
pub const FINAL_NORM: &str = "norm.weight";
/// What adapters call the head, whatever its tensor is.
pub const HEAD: &str = "lm_head";
pub const O: &str = "self_attn.o_proj";
pub const Q_NORM: &str = "self_attn.q_norm";
pub const K_NORM: &str = "self_attn.k_norm";
pub const DOWN: &str = "mlp.down_proj";
/// The expert of every row, and what it is gated by.
pub const SHARED_GATE_UP: [&str; 2] = ["mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj"];
pub const SHARED_DOWN: &str = "mlp.shared_expert.down_proj";
pub const SHARED_GATE: &str = "mlp.shared_expert_gate";

/// Llama and all that followed it.
pub const LLAMA: Names = Names {
    roots: &[("model.", "lm_head.weight")],
    attention_norm: "input_layernorm",
    attention_post_norm: "",
    ffn_norm: "post_attention_layernorm",
    ffn_post_norm: "",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    gate_up: ["mlp.gate_proj", "mlp.up_proj"],
    experts: ExpertNames {
        router: "mlp.gate",
        each: "mlp.experts",
        gate_up: ["gate_proj", "up_proj"],
        down: "down_proj",
    },
};

/// Norms on both sides of each branch.
pub const GEMMA2: Names = Names {
    attention_post_norm: "post_attention_layernorm",
    ffn_norm: "pre_feedforward_layernorm",
    ffn_post_norm: "post_feedforward_layernorm",
    ..LLAMA
};

/// As `GEMMA2`, also inside a model that sees images: as transformers 5 and 4 name it.
pub const GEMMA3: Names = Names {
    roots: &[
        ("model.", "lm_head.weight"),
        ("model.language_model.", "lm_head.weight"),
        ("language_model.model.", "language_model.lm_head.weight"),
    ],
    ..GEMMA2
};

/// Projections of one input in one tensor.
pub const PHI3: Names = Names { qkv: ["self_attn.qkv_proj"; 3], gate_up: ["mlp.gate_up_proj"; 2], ..LLAMA };

/// Norms after each branch alone.
pub const OLMO2: Names =
    Names { attention_post_norm: "post_attention_layernorm", ffn_post_norm: "post_feedforward_layernorm", ..LLAMA };

pub const GLM4: Names = Names {
    attention_post_norm: "post_self_attn_layernorm",
    ffn_post_norm: "post_mlp_layernorm",
    gate_up: ["mlp.gate_up_proj"; 2],
    ..LLAMA
};

pub const MIXTRAL: Names = Names {
    experts: ExpertNames {
        router: "block_sparse_moe.gate",
        each: "block_sparse_moe.experts",
        gate_up: ["w1", "w3"],
        down: "w2",
    },
    ..LLAMA
};

/// Tensors that checkpoints carry and nobody needs: buffers that the config determines, and eyes.
pub fn is_redundant(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
        || ["vision_tower.", "multi_modal_projector."].iter().any(|part| name.contains(part))
}
