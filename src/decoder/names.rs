//! Names of tensors in a checkpoint.
//!
//! Owns the tables, one per layout, that map the decoder's weights to the names of Hugging Face and GGUF. Not here:
//! shapes.

/// Where a model's weights lie. Names within a layer go without `.weight` and `.bias`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    /// What the body's names may begin with in a file, all of them or none; the first is the usual one.
    pub bodies: &'static [&'static str],
    /// What the head's tensor may be called in a file.
    pub heads: &'static [&'static str],
    /// What the names of modules begin with, and what the head is called, in an adapter.
    pub modules: &'static [(&'static str, &'static str)],
    /// The token embedding `[vocab, hidden]`, within the body and whole, as that of the norm after the last layer.
    pub embedding: &'static str,
    pub final_norm: &'static str,
    /// What a layer's names begin with within the body; its index follows.
    pub layers: &'static str,
    pub attention_norm: &'static str,
    pub attention_post_norm: &'static str,
    pub ffn_norm: &'static str,
    pub ffn_post_norm: &'static str,
    /// The same name three times if one tensor contains all, one after the other.
    pub qkv: [&'static str; 3],
    pub o: &'static str,
    pub q_norm: &'static str,
    pub k_norm: &'static str,
    /// The same name twice if one tensor contains both.
    pub gate_up: [&'static str; 2],
    pub down: &'static str,
    pub experts: ExpertNames,
}

impl Names {
    /// `module` as the decoder calls it: within the body (`layers.3.mlp.up_proj`, [`EMBEDDING`]), or [`HEAD`]. `None`
    /// for a module that is neither.
    pub fn within<'a>(&self, module: &'a str) -> Option<&'a str> {
        let is_known = |rest: &&str| rest.starts_with("layers.") || *rest == EMBEDDING;
        let in_layers = |(body, _): &(&'static str, _)| module.strip_prefix(*body).filter(is_known);
        let is_head = |(_, head): &(&str, &str)| *head == module;
        self.modules.iter().find_map(in_layers).or_else(|| self.modules.iter().any(is_head).then_some(HEAD))
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
    /// The expert of every row, and what it is gated by.
    pub shared_gate_up: [&'static str; 2],
    pub shared_down: &'static str,
    pub shared_gate: &'static str,
}

/// What adapters call the head, whatever its tensor is.
pub const HEAD: &str = "lm_head";
/// What adapters call the embedding, within the body.
pub const EMBEDDING: &str = "embed_tokens";

/// Llama and all that followed it. transformers 5 puts `model.` before a name or takes it away where that gives the
/// name of a weight, so that models saved without their head load too.
pub const LLAMA: Names = Names {
    bodies: &["model.", "", "model.model."],
    heads: &["lm_head.weight", "model.lm_head.weight"],
    modules: &[("model.", HEAD)],
    embedding: "embed_tokens.weight",
    final_norm: "norm.weight",
    layers: "layers",
    attention_norm: "input_layernorm",
    attention_post_norm: "",
    ffn_norm: "post_attention_layernorm",
    ffn_post_norm: "",
    qkv: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    o: "self_attn.o_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    gate_up: ["mlp.gate_proj", "mlp.up_proj"],
    down: "mlp.down_proj",
    experts: ExpertNames {
        router: "mlp.gate",
        each: "mlp.experts",
        gate_up: ["gate_proj", "up_proj"],
        down: "down_proj",
        shared_gate_up: ["mlp.shared_expert.gate_proj", "mlp.shared_expert.up_proj"],
        shared_down: "mlp.shared_expert.down_proj",
        shared_gate: "mlp.shared_expert_gate",
    },
};

/// Norms on both sides of each branch.
pub const GEMMA2: Names = Names {
    attention_post_norm: "post_attention_layernorm",
    ffn_norm: "pre_feedforward_layernorm",
    ffn_post_norm: "post_feedforward_layernorm",
    ..LLAMA
};

/// As `GEMMA2`; transformers 4 also takes the text model out of one that sees images.
pub const GEMMA3: Names = Names {
    bodies: &["model.", "", "model.model.", "language_model.model."],
    heads: &["lm_head.weight", "model.lm_head.weight", "language_model.lm_head.weight"],
    modules: GEMMA3_MODULES,
    ..GEMMA2
};

/// As `GEMMA2`, inside a model that sees images: as transformers 5 and 4 name it.
pub const GEMMA3_IMAGES: Names = Names {
    bodies: &["model.language_model.", "language_model.model.", "language_model.", "model.language_model.model."],
    heads: &["lm_head.weight", "language_model.lm_head.weight", "model.lm_head.weight"],
    modules: GEMMA3_MODULES,
    ..GEMMA2
};

const GEMMA3_MODULES: &[(&str, &str)] =
    &[("model.language_model.", HEAD), ("language_model.model.", "language_model.lm_head"), ("model.", HEAD)];

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
        ..LLAMA.experts
    },
    ..LLAMA
};

/// llama.cpp's names, by role and so alike for all families.
pub const GGUF: Names = Names {
    bodies: &[""],
    heads: &["output.weight"],
    modules: &[],
    embedding: "token_embd.weight",
    final_norm: "output_norm.weight",
    layers: "blk",
    attention_norm: "attn_norm",
    attention_post_norm: "post_attention_norm",
    ffn_norm: "ffn_norm",
    ffn_post_norm: "post_ffw_norm",
    qkv: ["attn_q", "attn_k", "attn_v"],
    o: "attn_output",
    q_norm: "attn_q_norm",
    k_norm: "attn_k_norm",
    gate_up: ["ffn_gate", "ffn_up"],
    down: "ffn_down",
    experts: ExpertNames {
        router: "ffn_gate_inp",
        each: GGUF_EXPERTS,
        gate_up: ["ffn_gate_exps", "ffn_up_exps"],
        down: "ffn_down_exps",
        shared_gate_up: ["ffn_gate_shexp", "ffn_up_shexp"],
        shared_down: "ffn_down_shexp",
        shared_gate: "ffn_gate_inp_shexp",
    },
};
/// In no file's names: the experts of a layer lie in one tensor there, and `experts.N.` chooses the N-th of them.
pub const GGUF_EXPERTS: &str = "experts";

/// As [`PHI3`], but in llama.cpp's names.
pub const GGUF_PHI3: Names = Names { qkv: ["attn_qkv"; 3], ..GGUF_GLM4 };

/// As [`GLM4`], but in llama.cpp's names.
pub const GGUF_GLM4: Names = Names { gate_up: ["ffn_up"; 2], ..GGUF };

/// Tensors that checkpoints contain and the decoder does not use: buffers that the config determines, and vision
/// towers.
pub fn is_redundant(name: &str) -> bool {
    name.ends_with("rotary_emb.inv_freq")
        || ["vision_tower.", "multi_modal_projector."].iter().any(|part| name.contains(part))
}
