"""What check_checkpoints.py saves: tiny configs of every family that tokshift knows, and adapters of every kind of config."""

from dataclasses import dataclass, field

VOCAB = 307
COMMON = {
    "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 512, "bos_token_id": None, "eos_token_id": 2, "pad_token_id": None,
}  # fmt: skip


@dataclass
class Ropes:
    """A rotary embedding, as each version of transformers spells it."""

    theta: float = 1e3
    scaling: dict | None = None
    partial: float | None = None
    local_theta: float | None = None

    def of_5(self) -> dict:
        full = {"rope_type": "default", "rope_theta": self.theta} | (self.scaling or {})
        if self.partial is not None:
            full["partial_rotary_factor"] = self.partial
        if self.local_theta is None:
            return {"rope_parameters": full}
        sliding = {"rope_type": "default", "rope_theta": self.local_theta}
        return {"rope_parameters": {"full_attention": full, "sliding_attention": sliding}}

    def of_4(self) -> dict:
        scaling = self.scaling
        if scaling and scaling["rope_type"] == "longrope":
            # Phi-3 takes the older spelling alone.
            scaling = {"type" if name == "rope_type" else name: value for name, value in scaling.items()}
        spelled = {"rope_theta": self.theta, "rope_scaling": scaling}
        if self.partial is not None:
            spelled["partial_rotary_factor"] = self.partial
        if self.local_theta is not None:
            spelled["rope_local_base_freq"] = self.local_theta
        return spelled


def fields(**own) -> dict:
    return COMMON | own


EXPERTS = {"num_experts_per_tok": 2, "num_experts": 4, "moe_intermediate_size": 20}
LLAMA3 = {
    "rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
LONG = {
    "rope_type": "longrope", "short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5],
    "long_factor": [1.0, 1.5, 2.0, 4.0, 6.0, 8.0],
}  # fmt: skip
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 14, "sliding_window": 12, "num_hidden_layers": 3}

# Family: configuration class, its fields, its rotary embedding.
FAMILIES = {
    "llama": ("LlamaConfig", fields(head_dim=12, attention_bias=True, mlp_bias=True), Ropes(scaling=LLAMA3)),
    "llama-linear": ("LlamaConfig", fields(), Ropes(scaling={"rope_type": "linear", "factor": 3.0})),
    "granite": (
        "GraniteConfig",
        fields(embedding_multiplier=6.0, residual_multiplier=0.4, attention_multiplier=0.3, logits_scaling=5.0),
        Ropes(),
    ),
    "smollm3": ("SmolLM3Config", fields(no_rope_layers=[1, 0], use_sliding_window=True, sliding_window=12), Ropes()),
    "mistral": ("MistralConfig", fields(head_dim=8, sliding_window=12), Ropes()),
    "mixtral": ("MixtralConfig", fields(num_local_experts=4, num_experts_per_tok=2, sliding_window=None), Ropes()),
    "phi3": (
        "Phi3Config",
        fields(num_attention_heads=2, num_key_value_heads=1, hidden_size=32, original_max_position_embeddings=80),
        Ropes(scaling=LONG, partial=0.75),
    ),
    "qwen2": ("Qwen2Config", fields(), Ropes(scaling=YARN)),
    "qwen2_moe": ("Qwen2MoeConfig", fields(**EXPERTS, shared_expert_intermediate_size=28), Ropes()),
    "qwen3": ("Qwen3Config", fields(head_dim=8, use_sliding_window=True, sliding_window=16, max_window_layers=1), Ropes()),
    "qwen3_moe": ("Qwen3MoeConfig", fields(**EXPERTS, head_dim=8, norm_topk_prob=True), Ropes()),
    "gemma2": ("Gemma2Config", fields(**GEMMA), Ropes()),
    "gemma3_text": (
        "Gemma3TextConfig",
        fields(**GEMMA, layer_types=["sliding_attention", "sliding_attention", "full_attention"]),
        Ropes(5e3, {"rope_type": "linear", "factor": 4.0}, local_theta=1e2),
    ),
    "olmo2": ("Olmo2Config", fields(), Ropes()),
    "glm4": ("Glm4Config", fields(head_dim=12, attention_bias=True), Ropes(partial=0.5)),
    "qwen3-plain": ("Qwen3Config", fields(head_dim=16, attention_bias=True), Ropes(1e6)),
}


@dataclass
class Adapter:
    name: str
    fields: dict
    rejected: str | None = None
    """What tokshift must say, where it takes no such adapter."""
    rewritten: dict = field(default_factory=dict)
    """Fields of the written config that read the same to PEFT."""
    copies: bool = False
    """Saved with the base's own embedding and head, as PEFT does unless it is told otherwise."""


ALL = ["q_proj", "k_proj", "v_proj", "o_proj"]
BASES = ["5-llama-one-tied-float32", "5-qwen3-one-tied-float32", "4-gemma2-one-tied-float32"]
ADAPTERS = [
    Adapter("list", {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}),
    Adapter(
        "patterns",
        {
            "r": 4, "lora_alpha": 5, "target_modules": [*ALL, "down_proj"],
            "rank_pattern": {r"layers\.1\..*q_proj": 2, "down_proj": 6, "^model.layers.0.self_attn.v_proj": 3},
            "alpha_pattern": {"0.self_attn.k_proj": 2, r"(?!x)o_proj": 9},
        },
    ),  # fmt: skip
    Adapter("rslora", {"r": 9, "lora_alpha": 3, "use_rslora": True, "target_modules": ["gate_proj", "up_proj"]}),
    Adapter("pattern", {"r": 2, "lora_alpha": 4, "target_modules": r"model\.layers\.\d+\.mlp\.(up|down)_proj"}),
    Adapter("look-ahead", {"r": 2, "lora_alpha": 4, "target_modules": r"^(?!.*visual).*(?:q_proj|k_proj|up_proj)$"}),
    Adapter("look-behind", {"r": 2, "lora_alpha": 4, "target_modules": r"(?i).*(?<=ATTN\.)(?P<x>[qv])_proj"}),
    Adapter("all-linear", {"r": 2, "lora_alpha": 4, "target_modules": "all-linear"}, rewritten={"target_modules": "all-linear"}),
    Adapter("layers", {"r": 3, "lora_alpha": 4, "target_modules": ALL, "layers_to_transform": [1]}),
    Adapter(
        "layers-pattern",
        {
            "r": 3, "lora_alpha": 4, "target_modules": ["q_proj"], "layers_to_transform": 0,
            "layers_pattern": ["blocks", "l[a-z]+s"],
        },
    ),  # fmt: skip
    Adapter("excluded", {"r": 3, "lora_alpha": 4, "target_modules": ALL, "exclude_modules": r".*(?=0\.).*\.v_proj"}),
    Adapter("full-names", {"r": 3, "lora_alpha": 4, "target_modules": ["model.layers.1.self_attn.q_proj", "0.mlp.up_proj"]}),
    Adapter("bias", {"r": 3, "lora_alpha": 4, "target_modules": ALL, "bias": "all"}, rejected="`bias` is \"all\""),
    Adapter(
        "modules-to-save",
        {"r": 3, "lora_alpha": 4, "target_modules": ALL, "modules_to_save": ["norm"]},
        rejected="`modules_to_save` is",
    ),
    Adapter("dora", {"r": 3, "lora_alpha": 4, "target_modules": ALL, "use_dora": True}, rejected="`use_dora` is true"),
    Adapter("eva", {"r": 4, "lora_alpha": 8, "target_modules": [*ALL, "gate_proj"], "lora_dropout": 0.1, "init_lora_weights": "gaussian"}),
    Adapter(
        "embedding",
        {"r": 3, "lora_alpha": 4, "target_modules": ["q_proj", "embed_tokens", "lm_head"], "rank_pattern": {"embed_tokens": 5}},
        copies=True,
    ),
    Adapter(
        "whole-names",
        {"r": 3, "lora_alpha": 4, "target_modules": ["q_proj", "lm_head", "model.layers.1.mlp.up_proj"], "layers_to_transform": [0]},
    ),
]
