"""Makes a tiny checkpoint of each model family, with references by Hugging Face transformers.

    pip install torch==2.13.0 transformers==5.19.0
    OMP_NUM_THREADS=1 python scripts/make_families.py [DIRECTORY]

As make_fixtures.py, whose weights, rows and mutations these share, for what the families do differently. Every row is
run alone, so that frequencies which depend on a text's length are those of that row.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch
import transformers as hf
from make_fixtures import (
    ATTENTION, BRANCH, EOS, VISIBLE, VOCAB, Fixture, Mutation, build, distance, draw_rows, draw_vocabulary, load,
    measures, mutate, rope, run, shift, target_logprobs, weight_mutations, write_json, write_json_rows,
)  # fmt: skip
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.glm4 import modeling_glm4
from transformers.models.phi3 import modeling_phi3
from transformers.utils import logging

MAX_JITTER = 1e-4
MAX_BYTES = 150_000
COLUMNS = ("logprob", "entropy", "min_logprob", "rest_logprob")
# What the norms are called whose output is what a branch adds.
AFTER = {
    "gemma2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "gemma3_text": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "olmo2": ("post_attention_layernorm", "post_feedforward_layernorm"),
    "glm4": ("post_self_attn_layernorm", "post_mlp_layernorm"),
}


@dataclass
class Family(Fixture):
    """A fixture with its own mistakes; `stored` rewrites the files as others write them."""

    changes: dict[str, dict] = field(default_factory=dict)
    """Mistakes in the config, by what they are."""
    edits: list[Mutation] = field(default_factory=list)
    stored: Callable[[Path, dict], dict] = lambda directory, config: config


def config(kind: type[PreTrainedConfig], **fields) -> PreTrainedConfig:
    sizes = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4}
    common = {"vocab_size": VOCAB, "bos_token_id": None, "eos_token_id": EOS, "pad_token_id": None, "dtype": "float32"}
    return kind(**(common | sizes | {"num_key_value_heads": 2, "max_position_embeddings": 512} | fields))


# --- Mistakes ---


def edit(axis: str, change: Callable[[PreTrainedModel], object]) -> Mutation:
    return Mutation(axis, "in the model", edit=change)


def layers(change: Callable[[nn.Module], object]) -> Callable:
    return lambda model: [change(layer) for layer in model.model.layers]


def without(name: str) -> Callable:
    """A norm of every layer dropped."""
    return layers(lambda layer: setattr(layer, name, nn.Identity()))


def rolled(find: Callable[[nn.Module], nn.Module], rows: int) -> Callable:
    """Parts of a fused projection in another order."""
    return layers(lambda layer: find(layer).weight.copy_(find(layer).weight.roll(rows, 0)))


def with_rope(apply: Callable, module: str) -> Mutation:
    target = f"transformers.models.{module}.modeling_{module}.apply_rotary_pos_emb"
    return Mutation("rope pairs", "halves for neighbours or the reverse", code=patch(target, apply))


def other_norm(axis: str, change: Callable[[Tensor], object]) -> Mutation:
    """Every norm's weight changed."""

    def each(model: PreTrainedModel) -> None:
        for name, values in model.named_parameters():
            if "norm" in name.split(".")[-2]:
                change(values)

    return edit(axis, each)


def normed_before(layer: nn.Module) -> None:
    """The norms of what branches add, on what they read."""
    for branch, name in (("self_attn", "post_attention_layernorm"), ("mlp", "post_feedforward_layernorm")):
        norm = getattr(layer, name)
        setattr(layer, name, nn.Identity())

        def read(module, args, kwargs, norm=norm):
            kwargs = {k: norm(v) if k == "hidden_states" else v for k, v in kwargs.items()}
            return tuple(norm(x) for x in args), kwargs

        getattr(layer, branch).register_forward_pre_hook(read, with_kwargs=True)


def normed_by_head(layer: nn.Module) -> None:
    attention = layer.self_attn
    for name in ("q_norm", "k_norm"):
        norm = getattr(attention, name)

        def forward(x, norm=norm, width=attention.head_dim):
            heads = x.unflatten(-1, (-1, width))
            heads = heads * (heads.square().mean(-1, keepdim=True) + norm.variance_epsilon).rsqrt()
            return norm.weight * heads.flatten(-2)

        norm.forward = forward


def scaled_embedding(model: PreTrainedModel) -> None:
    model.model.embed_tokens.embed_scale.fill_(1)


def experts_swapped(model: PreTrainedModel) -> None:
    for name, values in model.named_parameters():
        if "experts." in name and "shared" not in name:
            values.copy_(values[[1, 0, *range(2, len(values))]])


def always_shared(layer: nn.Module) -> None:
    layer.mlp.shared_expert_gate = nn.Sequential(layer.mlp.shared_expert_gate, nn.Hardtanh(50, 51))


def never_shared(layer: nn.Module) -> None:
    layer.mlp.shared_expert_gate.weight.zero_()


def general(config: PreTrainedConfig) -> list[Mutation]:
    """What every family can get wrong."""
    theta = {"eps": {"rms_norm_eps": config.rms_norm_eps * 10 + 1e-2}}
    if "rope_theta" in config.rope_parameters:
        theta["theta"] = rope_change(config, rope_theta=3 * config.rope_parameters["rope_theta"])
    model = build(config)
    shapes = {name.split(".")[-2]: p.shape for name, p in model.named_parameters()}
    alike = len({tuple(p.shape for p in layer.parameters()) for layer in model.model.layers}) == 1

    def can_swap(axis: str) -> bool:
        a, b = axis.split(" and ")
        return alike if a == "layers.0" else a in shapes and shapes[a] == shapes.get(b)

    edits = [m for m in weight_mutations() if m.what != "swapped" or can_swap(m.axis)]
    return [*(Mutation(axis, "another", config=change) for axis, change in theta.items()), *edits]


# --- Families ---


def as_4(directory: Path, config: dict) -> dict:
    """`rope_theta` and `rope_scaling` instead of `rope_parameters`, `torch_dtype` instead of `dtype`."""
    rope = dict(config.pop("rope_parameters"))
    theta = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    scaling = None if kind == "default" else {"type": kind} | rope
    config.pop("layer_types", None)
    return config | {"rope_theta": theta, "rope_scaling": scaling, "torch_dtype": config.pop("dtype")}


def inside_of_vision(directory: Path, config: dict) -> dict:
    """A Gemma 3 that sees images, as transformers 4 wrote it: the text model's config and weights under other names."""
    path = directory / "model.safetensors"
    tensors = {f"language_model.{name}": t for name, t in load_file(path).items()}
    save_file(tensors | {"vision_tower.weight": torch.ones(2)}, path, metadata={"format": "pt"})
    rope = config.pop("rope_parameters")
    full, sliding = rope["full_attention"], rope["sliding_attention"]
    text = {k: v for k, v in config.items() if k not in ("architectures", "dtype", "layer_types", "model_type")}
    text |= {"rope_theta": full["rope_theta"], "rope_local_base_freq": sliding["rope_theta"]}
    text |= {"rope_scaling": {"rope_type": "linear", "factor": full["factor"]}}
    return {"model_type": "gemma3", "text_config": text, "vision_config": {}, "torch_dtype": "float32"}


def rope_change(config: PreTrainedConfig, **changes) -> dict:
    return {"rope_parameters": config.rope_parameters | changes}


def group_1() -> list[Family]:
    qwen2 = config(
        hf.Qwen2Config, rms_norm_eps=1e-4, use_sliding_window=False, sliding_window=12, max_window_layers=1,
        head_dim=16,
        rope_parameters=rope(
            100.0, rope_type="yarn", factor=4.0, beta_fast=4.0, beta_slow=1.0, original_max_position_embeddings=64
        ),
    )  # fmt: skip
    linear = config(
        hf.LlamaConfig, rms_norm_eps=1e-5, tie_word_embeddings=True, head_dim=12, num_key_value_heads=4,
        rope_parameters=rope(1e3, rope_type="linear", factor=4.0),
    )  # fmt: skip
    smollm3 = config(
        hf.SmolLM3Config, num_hidden_layers=3, tie_word_embeddings=True, no_rope_layers=[1, 0, 1],
        use_sliding_window=True, sliding_window=12, rope_parameters=rope(1e3),
    )  # fmt: skip
    mistral = config(hf.MistralConfig, head_dim=8, sliding_window=12, rope_parameters=rope(1e3), rms_norm_eps=1e-5)
    full = ["full_attention"]
    return [
        Family(
            "qwen2-yarn", qwen2, seed=11, stream=0.5, stored=as_4,
            changes={
                "yarn ignored": rope_change(qwen2, rope_type="default"),
                "yarn as linear": rope_change(qwen2, rope_type="linear"),
                "yarn factor": rope_change(qwen2, factor=2.0),
                "yarn attention_factor": rope_change(qwen2, attention_factor=1.0),
                "yarn beta_fast": rope_change(qwen2, beta_fast=32.0),
                "yarn beta_slow": rope_change(qwen2, beta_slow=2.0),
                "yarn truncate": rope_change(qwen2, truncate=False),
                "yarn original length": rope_change(qwen2, original_max_position_embeddings=512),
                "use_sliding_window ignored": {"layer_types": [*full, "sliding_attention"], "sliding_window": 12},
            },
        ),
        Family(
            "llama-linear", linear, seed=12, stream=0.7,
            changes={
                "linear ignored": rope_change(linear, rope_type="default"),
                "linear factor": rope_change(linear, factor=2.0),
            },
        ),
        Family(
            "smollm3", smollm3, seed=13, stream=0.7,
            changes={
                "no_rope_layers ignored": {"no_rope_layers": [1, 1, 1]},
                "no_rope_layers inverted": {"no_rope_layers": [0, 1, 0]},
                "no_rope_layers moved": {"no_rope_layers": [1, 1, 0]},
                "window of layers without rope": {"layer_types": full * 3},
            },
        ),
        Family(
            "mistral", mistral, seed=14, stream=0.5,
            changes={"window too long": {"sliding_window": 13}, "window ignored": {"sliding_window": None}},
        ),
    ]  # fmt: skip


def group_2() -> list[Family]:
    gemma = {"hidden_size": 24, "head_dim": 8, "rms_norm_eps": 1e-3, "sliding_window": 12}
    gemma2 = config(
        hf.Gemma2Config, **gemma, num_hidden_layers=3, query_pre_attn_scalar=14, attn_logit_softcapping=4.0,
        final_logit_softcapping=15.0, rope_parameters=rope(1e3),
    )  # fmt: skip

    def gemma3() -> PreTrainedConfig:
        ropes = {
            "full_attention": rope(5e3, rope_type="linear", factor=4.0),
            "sliding_attention": rope(1e2),
        }
        return config(
            hf.Gemma3TextConfig, **gemma, num_hidden_layers=3, query_pre_attn_scalar=14, rope_parameters=ropes,
            layer_types=["sliding_attention", "sliding_attention", "full_attention"], sliding_window_pattern=3,
        )  # fmt: skip

    text = gemma3()
    full, sliding = (text.rope_parameters[kind] for kind in ("full_attention", "sliding_attention"))

    def by_kind(full: dict, sliding: dict) -> dict:
        return {"rope_parameters": {"full_attention": full, "sliding_attention": sliding}}

    norms = [
        edit("norm after attention", without("post_attention_layernorm")),
        edit("norm before the mlp", without("pre_feedforward_layernorm")),
        edit("norm after the mlp", without("post_feedforward_layernorm")),
        other_norm("norm weights from 1", lambda values: values.sub_(1)),
        edit("embedding scale", scaled_embedding),
    ]
    inverted = ["full_attention", "sliding_attention", "full_attention"]
    activation = {"activation": {"hidden_activation": "silu"}}
    scalar = {"query_pre_attn_scalar": {"query_pre_attn_scalar": 8}}
    return [
        Family(
            "gemma2", gemma2, seed=21, stream=3.4, edits=norms,
            changes=activation | scalar | {
                "attn_logit_softcapping": {"attn_logit_softcapping": None},
                "attn_logit_softcapping's size": {"attn_logit_softcapping": 5.0},
                "final_logit_softcapping": {"final_logit_softcapping": None},
                "final_logit_softcapping's size": {"final_logit_softcapping": 16.0},
                "alternating windows": {"layer_types": inverted},
                "window too short": {"sliding_window": 11},
            },
        ),
        *(
            Family(
                name, gemma3(), seed=seed, stream=3.4, edits=norms, stored=stored,
                changes=activation | scalar | {
                    "final_logit_softcapping of gemma2": {"final_logit_softcapping": 30.0},
                    "windows on layers": {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
                    "window too short": {"sliding_window": 11},
                    "rope of full layers": by_kind(sliding, sliding),
                    "rope of sliding layers": by_kind(full, full),
                    "factor on full layers": by_kind(full | {"factor": 1.0}, sliding),
                },
            )
            for name, seed, stored in (("gemma3", 22, Family.stored), ("gemma3-vision", 24, inside_of_vision))
        ),
    ]  # fmt: skip


def group_3() -> list[Family]:
    factors = {"short_factor": [1.0, 1.1, 1.3, 1.6, 2.0, 2.5], "long_factor": [1.0, 1.5, 2.0, 4.0, 6.0, 8.0]}
    long = rope(1e3, rope_type="longrope", partial_rotary_factor=0.75, original_max_position_embeddings=80, **factors)
    phi3 = config(
        hf.Phi3Config, num_attention_heads=2, num_key_value_heads=1, hidden_size=32, intermediate_size=30,
        rms_norm_eps=1e-5, tie_word_embeddings=True, original_max_position_embeddings=80, rope_parameters=long,
        sliding_window=60,
    )  # fmt: skip
    olmo2 = config(hf.Olmo2Config, rope_parameters=rope(1e3), rms_norm_eps=1e-3)
    granite = config(
        hf.GraniteConfig, embedding_multiplier=6.0, residual_multiplier=0.4, attention_multiplier=0.3,
        logits_scaling=5.0, rope_parameters=rope(1e3), attention_bias=True, mlp_bias=True, rms_norm_eps=1e-4,
    )  # fmt: skip
    glm4 = config(
        hf.Glm4Config, head_dim=12, intermediate_size=30, attention_bias=True, rms_norm_eps=1e-4,
        rope_parameters=rope(1e3, partial_rotary_factor=0.5),
    )  # fmt: skip
    short, longer = factors["short_factor"], factors["long_factor"]
    return [
        Family(
            "phi3-longrope", phi3, seed=31, stream=0.53,
            changes={
                "longrope ignored": rope_change(phi3, rope_type="default"),
                "long factors never": rope_change(phi3, long_factor=short),
                "long factors always": rope_change(phi3, short_factor=longer),
                "longrope switch": {"original_max_position_embeddings": 70}
                | rope_change(phi3, original_max_position_embeddings=70),
                "longrope attention_factor": rope_change(phi3, attention_factor=1.0),
                "sliding_window": {"sliding_window": None},
            },
            edits=[
                edit("q, k and v in one", rolled(lambda layer: layer.self_attn.qkv_proj, 16)),
                edit("gate and up in one", rolled(lambda layer: layer.mlp.gate_up_proj, 30)),
                with_rope(modeling_glm4.apply_rotary_pos_emb, "phi3"),
            ],
        ),
        Family(
            "olmo2", olmo2, seed=32, stream=0.5,
            edits=[
                edit("norm after attention", without("post_attention_layernorm")),
                edit("norm after the mlp", without("post_feedforward_layernorm")),
                edit("norms before branches", layers(normed_before)),
                edit("q and k norms by head", layers(normed_by_head)),
            ],
        ),
        Family(
            "granite", granite, seed=33, stream=0.5, stored=as_4,
            changes={
                name: {name: 1.0}
                for name in ("embedding_multiplier", "residual_multiplier", "attention_multiplier", "logits_scaling")
            },
        ),
        Family(
            "glm4", glm4, seed=34, stream=0.5,
            changes={"partial_rotary_factor": rope_change(glm4, partial_rotary_factor=1.0)},
            edits=[
                edit("norm after attention", without("post_self_attn_layernorm")),
                edit("norm after the mlp", without("post_mlp_layernorm")),
                edit("norm before the mlp", without("post_attention_layernorm")),
                edit("gate and up in one", rolled(lambda layer: layer.mlp.gate_up_proj, 30)),
                with_rope(modeling_phi3.apply_rotary_pos_emb, "glm4"),
            ],
        ),
    ]  # fmt: skip


def group_4() -> list[Family]:
    sizes = {"hidden_size": 20, "rope_parameters": rope(1e3), "rms_norm_eps": 1e-4, "head_dim": 8}
    experts = {"num_experts": 5, "moe_intermediate_size": 12, "num_experts_per_tok": 2}
    mixtral = config(
        hf.MixtralConfig, **sizes, intermediate_size=16, num_local_experts=4, num_experts_per_tok=2, sliding_window=20,
    )  # fmt: skip
    qwen2 = config(hf.Qwen2MoeConfig, **sizes, **experts, shared_expert_intermediate_size=16, norm_topk_prob=False)
    qwen3 = config(
        hf.Qwen3MoeConfig, **sizes, **experts, num_hidden_layers=3, norm_topk_prob=True, tie_word_embeddings=True,
        mlp_only_layers=[1], decoder_sparse_step=1,
    )  # fmt: skip
    swapped = edit("experts", experts_swapped)
    return [
        Family(
            "mixtral", mixtral, seed=41, stream=0.5, edits=[swapped],
            changes={"experts chosen": {"num_experts_per_tok": 1}, "sliding_window": {"sliding_window": None}},
        ),
        Family(
            "qwen2-moe", qwen2, seed=42, stream=0.5,
            edits=[
                swapped,
                edit("shared expert's gate", layers(never_shared)),
                edit("shared expert", layers(always_shared)),
            ],
            changes={"experts chosen": {"num_experts_per_tok": 3}, "norm_topk_prob": {"norm_topk_prob": True}},
        ),
        Family(
            "qwen3-moe", qwen3, seed=43, stream=0.85, edits=[swapped],
            changes={"experts chosen": {"num_experts_per_tok": 3}, "norm_topk_prob": {"norm_topk_prob": False}},
        ),
    ]  # fmt: skip


# --- Checkpoints ---


@torch.no_grad()
def draw(family: Family) -> PreTrainedModel:
    random = torch.Generator().manual_seed(family.seed)
    config, model = family.config, build(family.config)
    after = AFTER.get(config.model_type, ())
    added = family.stream * BRANCH
    joined = 1.0 if after else added / getattr(config, "residual_multiplier", 1.0)
    gains = {"q_proj": ATTENTION, "k_proj": ATTENTION, "qkv_proj": ATTENTION, "o_proj": joined, "down_proj": joined}
    for name, values in model.named_parameters():
        module, kind = name.split(".")[-2:]
        values.normal_(generator=random)
        if "norm" in module:
            gain = added if module in after else ATTENTION if module in ("q_norm", "k_norm") else 1
            values.mul_(0.3).add_(1).mul_(gain).sub_(1 if "gemma" in config.model_type else 0)
        else:
            gain = gains.get(module if kind in ("weight", "bias") else kind, 1.0)
            values.mul_(0.5 if kind == "bias" else gain * values.shape[-1] ** -0.5)
    scale = getattr(config, "embedding_multiplier", config.hidden_size**0.5 if "gemma" in config.model_type else 1)
    draw_vocabulary(Fixture(family.name, config, family.seed, family.stream / scale), model, random)
    if not config.tie_word_embeddings:
        model.lm_head.weight.mul_(getattr(config, "logits_scaling", 1.0))
    return model


def save(family: Family, directory: Path) -> tuple[PreTrainedModel, PreTrainedModel]:
    """Writes the checkpoint and gives it as it is read back under its own names, in f32 and in bf16."""
    shutil.rmtree(directory, ignore_errors=True)
    draw(family).save_pretrained(directory)
    (directory / "generation_config.json").unlink(missing_ok=True)
    model, bf16 = load(directory), load(directory, torch.bfloat16)
    written = json.loads((directory / "config.json").read_text())
    del written["transformers_version"]
    write_json(directory / "config.json", family.stored(directory, written))
    return model, bf16


@torch.no_grad()
def run_bf16_body(model: PreTrainedModel, row: Tensor) -> Tensor:
    """Logits with the body in bf16, the head's product and all after it in f32."""
    logits = model.model(row[None]).last_hidden_state[0, :-1].float() @ model.lm_head.weight.float().T
    logits = logits / getattr(model.config, "logits_scaling", 1.0)
    cap = getattr(model.config, "final_logit_softcapping", None)
    return cap * (logits / cap).tanh() if cap else logits


def make(family: Family, directory: Path) -> list[dict]:
    model, bf16 = save(family, directory)
    rows = [torch.tensor(row) for row in draw_rows([model])]
    logits = [run(model, row) for row in rows]
    tensors = {}
    for r, (row, x) in enumerate(zip(rows, logits, strict=True)):
        found = measures(x, row)
        stored = {"ids": row} | {name: found[name] for name in COLUMNS}
        stored["logprob_bf16body"] = target_logprobs(run_bf16_body(bf16, row), row)
        tensors |= {f"{r}.{name}": value.contiguous() for name, value in stored.items()}
    save_file(tensors, directory / "reference.safetensors")
    jitter = distance(shift(model, 1e-6, seed=6), logits, rows)
    size = sum(path.stat().st_size for path in directory.iterdir())
    entropy = torch.cat([tensors[f"{r}.entropy"] for r in range(len(rows))])
    print(f"{family.name:14} {size:7} bytes, entropy {entropy.min():.3f} to {entropy.max():.2f}, jitter {jitter:.1e}")
    assert jitter < MAX_JITTER and size < MAX_BYTES and entropy.min() < 0.3 and entropy.max() > 2, family.name
    return mistakes(family, model, logits, rows)


def mistakes(family: Family, model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> list[dict]:
    own = [Mutation(axis, json.dumps(change), config=change) for axis, change in family.changes.items()] + family.edits
    table = []
    for mutation in own + general(family.config):
        mutated = mutate(model, mutation)
        with mutation.code:
            moved = distance(mutated, logits, rows)
        if moved > 0 or mutation in own:
            axis = f"{family.config.model_type} {mutation.axis}"
            found = {"fixture": family.name, "axis": axis, "what": mutation.what}
            table.append(found | {"max_delta_logprob": float(f"{moved:.4g}")})
            if moved < VISIBLE:
                print(f"    cannot see {axis}: {moved:.2g}")
    return table


def main(directory: Path, only: list[str]) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    path = directory / "families.json"
    table = json.loads(path.read_text()) if only and path.exists() else []
    for family in [*group_1(), *group_2(), *group_3(), *group_4()]:
        if not only or family.name in only:
            table = [entry for entry in table if entry["fixture"] != family.name]
            table += make(family, directory / family.name)
    most: dict[str, float] = {}
    for entry in table:
        most[entry["axis"]] = max(most.get(entry["axis"], 0), entry["max_delta_logprob"])
    axis = min(most, key=most.get)
    print(f"{len(table)} mistakes on {len(most)} axes; the least visible, {axis}, moves {most[axis]:.2g}")
    write_json_rows(path, table)
    assert most[axis] >= VISIBLE


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "tests/fixtures/models"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default, sys.argv[2:])
