"""Makes the tiny checkpoints of tests/fixtures/models and independent references for them.

    pip install torch==2.13.0 transformers==5.19.0
    OMP_NUM_THREADS=1 python scripts/make_fixtures.py [DIRECTORY]

Every checkpoint is written by Hugging Face transformers and its references come from that library run on the files
as written, one row at a time. The same versions on the same machine give the same bytes. README.md beside the
fixtures says what each is for.

Default initialisation hides mistakes (dropping every bias moves nothing), so weights are drawn such that each part of
the arithmetic is visible: `MUTATIONS` gets one thing wrong at a time, and the script fails if a mistake moves
no target's log-probability by `VISIBLE` in any fixture, or if a fixture is too chaotic to be matched in f32.
"""

import copy
import json
import math
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen3Config
from transformers.models.llama import modeling_llama
from transformers.models.qwen3 import modeling_qwen3

VOCAB = 307
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
THINKING = ["<think>", "</think>"]
EOS = VOCAB - len(THINKING) - 1
TOP = 20
# Rows 4 and 5 begin alike; no other two do.
LENGTHS = [3, 17, 40, 60, 84, 110]
SHARED_PREFIX = 50
# Full logits take most of the space: of these fixtures for every row, of the others for the first two.
FULL_LOGITS = {"qwen3-tied", "qwen3-shifted"}
PAIRS = [("qwen3-tied", "qwen3-shifted"), ("llama3", "qwen3-bias")]

VISIBLE = 4e-3
MAX_GAP_TO_F64 = 5e-5
MAX_JITTER = 1e-4
MAX_FILE, MAX_TOTAL = 2**20, 2_500_000


# --- Checkpoints ---


@dataclass
class Fixture:
    """A checkpoint to make.

    Half of the tokens' embeddings share a direction, which makes the positions after them flat: an untied head is
    orthogonal to it, a tied one cannot tell those tokens apart by it. The others' sharpness comes from their own
    embedding: a tied head predicts the token again, an untied one its successor.
    """

    name: str
    config: PreTrainedConfig
    seed: int
    stream: float
    """Root mean square of the residual stream, hence what an epsilon is measured against."""
    attention: float
    """Gain of queries and keys."""
    branch: float
    """Size of what a layer adds, relative to the stream."""
    sharpness: float = 0.0
    """Logit of the successor where nothing disturbs it, about. A tied head's follows from `stream`."""
    spread: float = 0.0
    """Standard deviation of the other logits. Likewise."""
    dtype: torch.dtype = torch.float32
    shard: str = "1MB"


def qwen3(**fields) -> PreTrainedConfig:
    return Qwen3Config(vocab_size=VOCAB, bos_token_id=None, eos_token_id=EOS, dtype="float32", **fields)


def llama(**fields) -> PreTrainedConfig:
    return LlamaConfig(vocab_size=VOCAB, bos_token_id=None, eos_token_id=EOS, max_position_embeddings=512, **fields)


def rope(theta: float, **scaling) -> dict:
    return {"rope_type": "default", "rope_theta": theta, **scaling}


FIXTURES = [
    Fixture(
        "qwen3-tied",
        qwen3(
            hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
            head_dim=16, tie_word_embeddings=True, attention_bias=False, rms_norm_eps=1e-6, rope_parameters=rope(2e4),
            use_sliding_window=True, sliding_window=12, max_window_layers=2, max_position_embeddings=512,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        ),
        seed=1, stream=0.35, attention=1.6, branch=0.5,
    ),
    Fixture(
        "qwen3-bias",
        qwen3(
            hidden_size=40, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=12, tie_word_embeddings=False, attention_bias=True, rms_norm_eps=1e-6, rope_parameters=rope(1e6),
            max_position_embeddings=128,
        ),
        seed=2, stream=0.04, sharpness=17, spread=2.0, attention=1.6, branch=0.5, shard="60KB",
    ),
    Fixture(
        "llama3",
        llama(
            hidden_size=36, intermediate_size=56, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
            head_dim=16, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-2,
            rope_parameters=rope(
                5e3, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=32,
            ), dtype="float32",
        ),
        seed=3, stream=0.5, sharpness=17, spread=2.0, attention=1.5, branch=0.5,
    ),
    Fixture(
        "llama-bf16",
        llama(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
            head_dim=12, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_parameters=rope(1e4), dtype="bfloat16",
        ),
        seed=4, stream=0.4, attention=1.5, branch=0.5, dtype=torch.bfloat16,
    ),
]  # fmt: skip


def build(config: PreTrainedConfig) -> PreTrainedModel:
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval().float()


@torch.no_grad()
def draw(fixture: Fixture) -> PreTrainedModel:
    random = torch.Generator().manual_seed(fixture.seed)
    model = build(fixture.config)
    added = fixture.stream * fixture.branch
    gains = {"q_proj": fixture.attention, "k_proj": fixture.attention, "o_proj": added, "down_proj": added}
    for name, values in model.named_parameters():
        module, kind = name.split(".")[-2:]
        values.normal_(generator=random)
        if "norm" in module:
            values.mul_(0.3).add_(1).mul_(fixture.attention if module in ("q_norm", "k_norm") else 1)
        else:
            scale = 0.5 if kind == "bias" else values.shape[-1] ** -0.5
            values.mul_(scale * gains.get(module, 1.0))
    draw_vocabulary(fixture, model, random)
    return model.to(fixture.dtype)


def draw_vocabulary(fixture: Fixture, model: PreTrainedModel, random: torch.Generator) -> None:
    hidden = fixture.config.hidden_size
    shared = nn.functional.normalize(torch.randn(hidden, generator=random), dim=0)
    flat = torch.rand(VOCAB, generator=random) < 0.5
    tokens = torch.randn(VOCAB, hidden, generator=random)
    tokens[flat] = 0.3 * tokens[flat] + hidden**0.5 * shared
    model.model.embed_tokens.weight.copy_(fixture.stream * tokens)
    if not fixture.config.tie_word_embeddings:
        successor = torch.randperm(VOCAB, generator=random)
        head = torch.randn(VOCAB, hidden, generator=random) * fixture.spread / hidden**0.5
        head[successor] += fixture.sharpness / hidden * tokens * ~flat[:, None]
        model.lm_head.weight.copy_(head - head @ shared.outer(shared))


@torch.no_grad()
def shift(model: PreTrainedModel, size: float, seed: int) -> PreTrainedModel:
    """A copy whose every tensor is moved by `size` of its own root mean square, as a fine-tune might."""
    random = torch.Generator().manual_seed(seed)
    shifted = copy.deepcopy(model)
    for values in shifted.parameters():
        values.add_(torch.randn(values.shape, generator=random) * size * values.square().mean().sqrt())
    return shifted


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def save(model: PreTrainedModel, directory: Path, shard: str) -> None:
    model.save_pretrained(directory, max_shard_size=shard)
    config = json.loads((directory / "config.json").read_text())
    del config["transformers_version"]
    if directory.name == "qwen3-bias":
        config = spelled_as_in_4(config)
    write_json(directory / "config.json", config)
    write_json(directory / "generation_config.json", {"eos_token_id": EOS})


def spelled_as_in_4(config: dict) -> dict:
    """The config as transformers 4 wrote it, with a window that `use_sliding_window` turns off."""
    old = {k: v for k, v in config.items() if k not in ("dtype", "layer_types", "rope_parameters")}
    old |= {"rope_scaling": None, "rope_theta": config["rope_parameters"]["rope_theta"]}
    old |= {"torch_dtype": config["dtype"], "sliding_window": 12, "max_window_layers": 1}
    return dict(sorted(old.items()))


def load(directory: Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, attn_implementation="eager").eval()


# --- Tokenizer ---

TEXT = """
The quick brown fox jumps over the lazy dog. What is the answer to the question? The answer is that there is no answer.
Let x be a number such that x + 1 = 3; then x = 2. Therefore the sum of the two numbers is 5, and the result is 10.
Once there was a river in the north, and those who lived on its banks told stories of other rivers and other lands.
def main(): return the value of the first item in the list, or None where the list is empty.
Wait, let me think about this again. First we need to find the first and the second; then we add them together.
"""


def train_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - len(SPECIALS) - len(THINKING),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT.splitlines(), trainer)
    tokenizer.add_special_tokens(SPECIALS)
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in THINKING])
    assert tokenizer.get_vocab_size() == VOCAB and tokenizer.token_to_id("<|im_end|>") == EOS
    return tokenizer


# --- Rows ---


@torch.no_grad()
def draw_rows(writers: list[PreTrainedModel]) -> list[list[int]]:
    """Rows whose tokens are random, a model's most likely or sampled from it, by turns of all models."""
    random = torch.Generator().manual_seed(7)
    rows: list[list[int]] = []
    for number, length in enumerate(LENGTHS):
        row = rows[4][:SHARED_PREFIX] if number == 5 else [VOCAB - 1, 0, VOCAB - 1, 11, 101, 211][number : number + 1]
        while len(row) < length:
            row.append(next_token(writers[len(row) % len(writers)], row, random))
        rows.append(row)
    return rows


def next_token(writer: PreTrainedModel, row: list[int], random: torch.Generator) -> int:
    choice = torch.rand((), generator=random)
    if choice < 0.4:
        return int(torch.randint(VOCAB, (), generator=random))
    probabilities = writer(torch.tensor([row])).logits[0, -1].softmax(-1)
    return int(probabilities.argmax() if choice < 0.7 else probabilities.multinomial(1, generator=random))


# --- References ---


@torch.no_grad()
def run(model: PreTrainedModel, row: Tensor) -> Tensor:
    """Logits at the positions that predict a token of the row: all but the last."""
    return model(row[None]).logits[0, :-1]


@torch.no_grad()
def run_bf16_body(model: PreTrainedModel, row: Tensor) -> Tensor:
    """As `run` with the body in bf16, the head's product and the logits in f32."""
    return model.model(row[None]).last_hidden_state[0, :-1].float() @ model.lm_head.weight.float().T


def target_logprobs(logits: Tensor, row: Tensor) -> Tensor:
    return logits.double().log_softmax(-1).gather(-1, row[1:, None]).squeeze(-1)


def measures(logits: Tensor, row: Tensor) -> dict[str, Tensor]:
    """What a scorer reports for each target, in f64 from f32 logits."""
    logprobs, targets = logits.double().log_softmax(-1), row[1:, None]
    target = logits.gather(-1, targets)
    top = logits.sort(stable=True, dim=-1, descending=True).indices[:, :TOP]
    listed = torch.zeros_like(logits, dtype=torch.bool).scatter_(-1, torch.cat([top, targets], -1), True)
    return {
        "logprob": logprobs.gather(-1, targets).squeeze(-1),
        "rank": 1 + (logits > target).sum(-1),
        "ties": (logits == target).sum(-1) - 1,
        "entropy": -(logprobs.exp() * logprobs).sum(-1),
        "min_logprob": logprobs.amin(-1),
        "rest_logprob": logprobs.exp().masked_fill(listed, 0).sum(-1).log(),
        "top_ids": top,
        "top_logprobs": logprobs.gather(-1, top),
    }


def divergences(p_logits: Tensor, q_logits: Tensor) -> dict[str, Tensor]:
    p, q = (x.double().log_softmax(-1) for x in (p_logits, q_logits))
    m = torch.logaddexp(p, q) - math.log(2)
    kl = lambda a, b: (a.exp() * (a - b)).sum(-1)
    return {
        "kl": kl(p, q),
        "kl_reverse": kl(q, p),
        "js": (kl(p, m) + kl(q, m)) / 2,
        "tv": (p.exp() - q.exp()).abs().sum(-1) / 2,
    }


def write_reference(directory: Path, logits: list[Tensor], rows: list[Tensor]) -> None:
    tensors = {}
    body = load(directory, torch.bfloat16) if directory.name == "llama-bf16" else None
    for r, (row, x) in enumerate(zip(rows, logits)):
        stored = {"ids": row} | measures(x, row)
        if directory.name in FULL_LOGITS or r < 2:
            stored["logits"] = x
            if body:
                stored["logits_bf16body"] = run_bf16_body(body, row)
        tensors |= {f"{r}.{name}": value.contiguous() for name, value in stored.items()}
    save_file(tensors, directory / "reference.safetensors")


# --- Mutations: one mistake at a time ---

EAGER, ROPE, RMS_NORM = (
    modeling_llama.eager_attention_forward,
    modeling_llama.apply_rotary_pos_emb,
    modeling_llama.LlamaRMSNorm.forward,
)


def patched(target: str, replacement: Callable) -> ExitStack:
    """Replaces a function of both families' modules; `*` stands for the family in a class name."""
    stack = ExitStack()
    for family in ("llama", "qwen3"):
        path = f"transformers.models.{family}.modeling_{family}.{target.replace('*', family.title())}"
        stack.enter_context(patch(path, replacement))
    return stack


def rms_norm(variance_to_scale: Callable[[Tensor, float], Tensor]) -> Callable:
    """A norm in the type of its input."""

    def forward(self: nn.Module, x: Tensor) -> Tensor:
        return self.weight * x * variance_to_scale(x.square().mean(-1, keepdim=True), self.variance_epsilon)

    return forward


def in_f64() -> ExitStack:
    """Keeps norms, softmax and rope, which transformers computes in f32, in the type of their input."""

    def attention(module, query, key, value, mask, scaling, **_):
        key, value = (modeling_llama.repeat_kv(x, module.num_key_value_groups) for x in (key, value))
        weights = (query @ key.transpose(2, 3) * scaling + mask).softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    def rotations(self, x, position_ids):
        angles = (position_ids[..., None] * self.inv_freq.to(x.dtype)).repeat(1, 1, 2)
        return angles.cos(), angles.sin()

    stack = patched("*RMSNorm.forward", rms_norm(lambda variance, eps: (variance + eps).rsqrt()))
    stack.enter_context(patched("eager_attention_forward", attention))
    stack.enter_context(patched("*RotaryEmbedding.forward", rotations))
    return stack


def decoder_layer(attention_residual=1.0, mlp_residual=1.0, residual_is_normed=False, parallel=False) -> ExitStack:
    def forward(self, hidden_states, **kwargs):
        normed = self.input_layernorm(hidden_states)
        residual = normed if residual_is_normed else hidden_states
        attended = attention_residual * residual + self.self_attn(hidden_states=normed, **kwargs)[0]
        normed = self.post_attention_layernorm(hidden_states if parallel else attended)
        residual = normed if residual_is_normed else attended
        return mlp_residual * residual + self.mlp(normed)

    return patched("*DecoderLayer.forward", forward)


def attention_mask(change: Callable[[Tensor], Tensor]) -> ExitStack:
    return patched("eager_attention_forward", lambda m, q, k, v, mask, **kw: EAGER(m, q, k, v, change(mask), **kw))


def norms_after_rope() -> ExitStack:
    """Heads are the only four-dimensional input of a norm: they pass it and meet it again once rotated."""
    stack = patched("*RMSNorm.forward", lambda self, x: x if x.dim() == 4 else RMS_NORM(self, x))

    def attention(module, query, key, *rest, **kwargs):
        return EAGER(module, RMS_NORM(module.q_norm, query), RMS_NORM(module.k_norm, key), *rest, **kwargs)

    stack.enter_context(patched("eager_attention_forward", attention))
    return stack


def keys_one_ahead(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    query, key = ROPE(query, key, cos, sin)
    return query, ROPE(key, key, cos[:, 1:2], sin[:, 1:2])[1]


def interleaved(query: Tensor, key: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (0, 1), (2, 3), …: even dimensions moved to the first half, which the product does not see."""
    query, key = (x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2) for x in (query, key))
    return ROPE(query, key, cos, sin)


@dataclass
class Mutation:
    axis: str
    what: str
    config: dict = field(default_factory=dict)
    edit: Callable[[PreTrainedModel], object] = lambda model: None
    code: Callable[[], ExitStack | nullcontext] = nullcontext


def each(model: PreTrainedModel, suffix: str) -> list[nn.Module]:
    return [module for name, module in model.named_modules() if name.endswith(suffix)]


def zero_bias(projection: str) -> Callable:
    return lambda model: [m.bias.data.zero_() for m in each(model, projection) if m.bias is not None]


def set_each(suffix: str, **attributes) -> Callable:
    return lambda model: [setattr(m, name, value) for m in each(model, suffix) for name, value in attributes.items()]


def ones(norm: str) -> Callable:
    return lambda model: [m.weight.data.fill_(1) for m in each(model, norm)]


def swap(first: str, second: str) -> Callable:
    """Exchanges two submodules of every module that has both."""

    def edit(model: PreTrainedModel) -> None:
        for module in list(model.modules()):
            a, b = (getattr(module, name, None) for name in (first, second))
            if a is not None and b is not None:
                setattr(module, first, b), setattr(module, second, a)

    return edit


def rope_field(config: PreTrainedConfig, **changes) -> dict:
    return {"rope_parameters": config.rope_parameters | changes}


def config_mutations(config: PreTrainedConfig) -> list[Mutation]:
    c, old = config, config.rope_parameters
    found = [
        Mutation("eps too small", "rms_norm_eps / 10", {"rms_norm_eps": c.rms_norm_eps / 10}),
        Mutation("activation", "gelu instead of silu", {"hidden_act": "gelu"}),
        Mutation("rope theta too large", "rope_theta * 10", rope_field(c, rope_theta=old["rope_theta"] * 10)),
        Mutation("rope theta ignored", "the default 10000", rope_field(c, rope_theta=1e4)),
    ]
    for eps, other in ((1e-6, 1e-5), (1e-5, 1e-6)):
        if c.rms_norm_eps == eps:
            found.append(Mutation(f"eps {eps} read as {other}", "another family's default", {"rms_norm_eps": other}))
    if old["rope_type"] == "llama3":
        found.append(Mutation("rope scaling ignored", "plain rope", {"rope_parameters": rope(old["rope_theta"])}))
        for name, wrong in {"factor": 4.0, "low_freq_factor": 2.0, "high_freq_factor": 2.0}.items():
            found.append(Mutation(f"rope {name}", f"{name} {wrong} for {old[name]}", rope_field(c, **{name: wrong})))
        original = "original_max_position_embeddings"
        changed = rope_field(c, **{original: c.max_position_embeddings})
        found.append(Mutation("rope original length", "max_position_embeddings in its place", changed))
    if getattr(c, "sliding_window", None):
        flipped = {"full_attention": "sliding_attention", "sliding_attention": "full_attention"}
        late = ["full_attention"] * c.max_window_layers + ["sliding_attention"] * c.num_hidden_layers
        found += [
            Mutation("window too long", "window + 1", {"sliding_window": c.sliding_window + 1}),
            Mutation("window too short", "window - 1", {"sliding_window": c.sliding_window - 1}),
            Mutation("window ignored", "all full", {"layer_types": ["full_attention"] * c.num_hidden_layers}),
            Mutation("window on every layer", "all slide", {"layer_types": ["sliding_attention"] * c.num_hidden_layers}),
            Mutation("window on the other layers", "flipped", {"layer_types": [flipped[t] for t in c.layer_types]}),
            Mutation("layer_types ignored", "max_window_layers", {"layer_types": late[: c.num_hidden_layers]}),
        ]
    elif c.model_type == "qwen3":
        types = {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 12}
        found.append(Mutation("use_sliding_window ignored", "a window that is turned off", types))
    return found


def weight_mutations() -> list[Mutation]:
    projections = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    norms = ("input_layernorm", "post_attention_layernorm", "q_norm", "k_norm", "model.norm")
    found = [Mutation(f"{p} bias", "dropped", edit=zero_bias(p)) for p in projections]
    found += [Mutation(f"{n} weight", "ones", edit=ones(n)) for n in norms]
    swaps = [("gate_proj", "up_proj"), ("input_layernorm", "post_attention_layernorm"), ("q_norm", "k_norm")]
    found += [Mutation(f"{a} and {b}", "swapped", edit=swap(a, b)) for a, b in [*swaps, ("k_proj", "v_proj")]]
    return found


def head_and_order_mutations() -> list[Mutation]:
    def embedding_as_head(model):
        model.lm_head.weight = model.model.embed_tokens.weight

    def random_head(model):
        other = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(0))
        model.lm_head.weight = nn.Parameter(other * model.lm_head.weight.square().mean().sqrt())

    def reverse_layers(model):
        model.model.layers = nn.ModuleList(reversed(model.model.layers))

    def scale_embedding(model):
        model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
        model.model.embed_tokens.weight.data.mul_(model.config.hidden_size**0.5)

    def drop_final_norm(model):
        model.model.norm = nn.Identity()

    return [
        Mutation("untied head", "taken from the embedding", edit=embedding_as_head),
        Mutation("tied head", "another matrix", edit=lambda m: m.config.tie_word_embeddings and random_head(m)),
        Mutation("layer order", "reversed", edit=reverse_layers),
        Mutation("embedding scale", "times sqrt(hidden)", edit=scale_embedding),
        Mutation("final norm", "dropped", edit=drop_final_norm),
    ]


def attention_mutations(config: PreTrainedConfig) -> list[Mutation]:
    groups, derived = config.num_attention_heads // config.num_key_value_heads, config.hidden_size // config.num_attention_heads

    def wrong_frequencies(model):
        if config.rope_parameters["rope_type"] == "default":
            model.model.rotary_emb.inv_freq.pow_(config.head_dim / derived)

    def tiled(x, _):
        return x.repeat(1, groups, 1, 1)

    ahead = lambda mask: torch.cat([mask[:, :, 1:], mask[:, :, -1:]], 2)
    behind = lambda mask: torch.cat([mask[:, :, :1], mask[:, :, :-1]], 2)
    return [
        Mutation("attention scale from hidden / heads", "", edit=set_each("self_attn", scaling=derived**-0.5)),
        Mutation("attention scale not rooted", "1 / head_dim", edit=set_each("self_attn", scaling=1 / config.head_dim)),
        Mutation("causal mask sees the next token", "", code=lambda: attention_mask(ahead)),
        Mutation("causal mask hides the token itself", "", code=lambda: attention_mask(behind)),
        Mutation("kv heads grouped wrongly", "h % kv_heads", code=lambda: patched("repeat_kv", tiled)),
        Mutation("rope from hidden / heads", "frequencies of the derived head_dim", edit=wrong_frequencies),
        Mutation("rope interleaved", "pairs (2i, 2i + 1)", code=lambda: patched("apply_rotary_pos_emb", interleaved)),
        Mutation("rope of keys off by one", "", code=lambda: patched("apply_rotary_pos_emb", keys_one_ahead)),
        Mutation("rope backwards", "", code=lambda: patched("apply_rotary_pos_emb", lambda q, k, c, s: ROPE(q, k, c, -s))),
        Mutation("rope missing", "", code=lambda: patched("apply_rotary_pos_emb", lambda q, k, c, s: (q, k))),
    ]


def structure_mutations(config: PreTrainedConfig) -> list[Mutation]:
    outside = rms_norm(lambda variance, eps: 1 / (variance.sqrt() + eps))
    found = [
        Mutation("eps outside the root", "x / (rms + eps)", code=lambda: patched("*RMSNorm.forward", outside)),
        Mutation("attention residual", "dropped", code=lambda: decoder_layer(attention_residual=0)),
        Mutation("mlp residual", "dropped", code=lambda: decoder_layer(mlp_residual=0)),
        Mutation("residual after the norm", "post-norm", code=lambda: decoder_layer(residual_is_normed=True)),
        Mutation("parallel block", "mlp reads the layer's input", code=lambda: decoder_layer(parallel=True)),
    ]
    if config.model_type == "qwen3":
        found.append(Mutation("q and k norms after rope", "", code=norms_after_rope))
    return found


def mutations(config: PreTrainedConfig) -> list[Mutation]:
    return [
        *config_mutations(config),
        *weight_mutations(),
        *head_and_order_mutations(),
        *attention_mutations(config),
        *structure_mutations(config),
    ]


def mutate(model: PreTrainedModel, mutation: Mutation) -> PreTrainedModel:
    config = copy.deepcopy(model.config)
    for name, value in mutation.config.items():
        setattr(config, name, value)
    mutated = build(config)
    mutated.load_state_dict(model.state_dict())
    with torch.no_grad():
        mutation.edit(mutated)
    return mutated


def distance(model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> float:
    """The most that a target's log-probability differs."""
    gap = lambda x, row: (target_logprobs(run(model, row), row) - target_logprobs(x, row)).abs().max()
    return float(max(gap(x, row) for x, row in zip(logits, rows)))


def mutation_table(name: str, model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> list[dict]:
    """Mutations that cannot occur in this fixture move nothing and are left out."""
    table = []
    for mutation in mutations(model.config):
        mutated = mutate(model, mutation)
        with mutation.code():
            moved = distance(mutated, logits, rows)
        if moved > 0:
            found = {"fixture": name, "axis": mutation.axis, "what": mutation.what}
            table.append(found | {"max_delta_logprob": float(f"{moved:.4g}")})
    return table
