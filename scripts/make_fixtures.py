"""Makes the tiny checkpoints of tests/fixtures/models and independent references for them.

    pip install torch==2.13.0 transformers==5.19.0
    OMP_NUM_THREADS=1 python scripts/make_fixtures.py [DIRECTORY]

Every checkpoint is written by Hugging Face transformers and its references come from that library run on the files
as written, one row at a time. The same versions on the same machine give the same bytes. README.md next to the
fixtures says what each is for.

Default initialisation hides mistakes (dropping every bias moves nothing), so weights are drawn such that each part of
the arithmetic is visible: mutations get one thing wrong at a time, and the script fails if a mistake moves no target's
log-probability by `VISIBLE` in any fixture, or if a fixture is too chaotic to be matched in f32.
"""

import copy
import itertools
import json
import math
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedConfig, PreTrainedModel, Qwen3Config
from transformers.models.llama import modeling_llama
from transformers.utils import logging

VOCAB = 307
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
THINKING = ["<think>", "</think>"]
EOS = VOCAB - len(THINKING) - 1
TOP = 20
LENGTHS = [3, 17, 40, 56, 78, 102]
# Row 5 begins with the first tokens of row 4; no other two begin alike.
BEGINNINGS = [[VOCAB - 1, 0, VOCAB - 1], [0], [7], [11], [101]]
SHARED_PREFIX = 50
# Full logits take most of the space: of these fixtures for every row, of the others for the first two.
FULL_LOGITS = {"qwen3-tied", "qwen3-shifted"}
PAIRS = [("qwen3-tied", "qwen3-shifted"), ("llama3", "qwen3-bias")]

# Part of the tokens that are followed by flat distributions.
FLAT = 0.3
# Part whose embeddings are nearly zero, as of tokens that training never met: there an epsilon shows.
FAINT = 0.1
# What a layer adds, relative to the residual stream.
BRANCH = 0.37
# Gain of queries and keys: makes attention peaked.
ATTENTION = 1.4
# Logits of an untied head: the successor's where nothing disturbs it, and the deviation of the others.
SUCCESSOR, SPREAD = 19, 1.5
# What the fine-tune of qwen3-shifted moves, relative to each weight.
SHIFT = 0.08

EAGERLY = {"attn_implementation": "eager", "experts_implementation": "eager"}

# A mistake must move a log-probability by 20 times the tolerance of a test in f32, 2e-4.
VISIBLE = 4e-3
MAX_GAP_TO_F64 = 5e-5
MAX_JITTER = 1e-4
MAX_FILE, MAX_TOTAL = 2**20, 4_500_000


# --- Checkpoints ---


@dataclass
class Fixture:
    """A checkpoint to make.

    Some tokens' embeddings share a direction, which makes the positions after them flat: an untied head is orthogonal
    to it, a tied one cannot tell those tokens apart by it. The others' sharpness comes from their own embedding: a
    tied head predicts the token again, an untied one its successor.
    """

    name: str
    config: PreTrainedConfig
    seed: int
    stream: float
    """Root mean square of the residual stream, hence what an epsilon is measured against."""
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
        seed=1, stream=0.385,
    ),
    Fixture(
        "qwen3-bias",
        qwen3(
            hidden_size=36, intermediate_size=56, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            head_dim=12, tie_word_embeddings=False, attention_bias=True, rms_norm_eps=1e-6, rope_parameters=rope(1e6),
            max_position_embeddings=128,
        ),
        seed=2, stream=0.04, shard="60KB",
    ),
    Fixture(
        "llama3",
        llama(
            hidden_size=30, intermediate_size=48, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
            head_dim=16, tie_word_embeddings=False, attention_bias=True, mlp_bias=True, rms_norm_eps=1e-2,
            rope_parameters=rope(
                5e3, rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                original_max_position_embeddings=32,
            ), dtype="float32",
        ),
        seed=3, stream=0.5,
    ),
    Fixture(
        "llama-bf16",
        llama(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4,
            head_dim=12, tie_word_embeddings=True, rms_norm_eps=1e-5, rope_parameters=rope(1e4), dtype="bfloat16",
        ),
        seed=4, stream=0.5, dtype=torch.bfloat16,
    ),
]  # fmt: skip


def build(config: PreTrainedConfig) -> PreTrainedModel:
    """A model in f32 whatever the config stores: built in bf16, its rope frequencies would be rounded for good."""
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, **EAGERLY).eval()


@torch.no_grad()
def draw(fixture: Fixture) -> PreTrainedModel:
    random = torch.Generator().manual_seed(fixture.seed)
    model = build(fixture.config)
    added = fixture.stream * BRANCH
    gains = {"q_proj": ATTENTION, "k_proj": ATTENTION, "o_proj": added, "down_proj": added}
    for name, values in model.named_parameters():
        module, kind = name.split(".")[-2:]
        values.normal_(generator=random)
        if "norm" in module:
            values.mul_(0.3).add_(1).mul_(ATTENTION if module in ("q_norm", "k_norm") else 1)
        else:
            scale = 0.5 if kind == "bias" else values.shape[-1] ** -0.5
            values.mul_(scale * gains.get(module, 1.0))
    draw_vocabulary(fixture, model, random)
    return model.to(fixture.dtype)


def draw_vocabulary(fixture: Fixture, model: PreTrainedModel, random: torch.Generator) -> None:
    """Embedding and head. The last two tokens are alike, so that logits tie."""
    hidden = fixture.config.hidden_size
    shared = nn.functional.normalize(torch.randn(hidden, generator=random), dim=0)
    flat = torch.rand(VOCAB, generator=random) < FLAT
    tokens = torch.randn(VOCAB, hidden, generator=random)
    tokens[flat] = 0.3 * tokens[flat] + hidden**0.5 * shared
    tokens[torch.rand(VOCAB, generator=random) < FAINT] *= 0.05
    tokens[-1] = tokens[-2]
    model.model.embed_tokens.weight.copy_(fixture.stream * tokens)
    if not fixture.config.tie_word_embeddings:
        successor = torch.randperm(VOCAB, generator=random)
        head = torch.randn(VOCAB, hidden, generator=random) * SPREAD / hidden**0.5
        head[successor] += SUCCESSOR / hidden * tokens * ~flat[:, None]
        head[-1] = head[-2]
        model.lm_head.weight.copy_(head - head @ shared.outer(shared))


@torch.no_grad()
def shift(model: PreTrainedModel, size: float, seed: int) -> PreTrainedModel:
    """A copy whose every weight is moved by `size` of itself, about."""
    random = torch.Generator().manual_seed(seed)
    shifted = copy.deepcopy(model)
    for values in shifted.parameters():
        values.mul_(1 + size * torch.randn(values.shape, generator=random))
    return shifted


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


def write_json_rows(path: Path, rows: list[dict]) -> None:
    path.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")


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
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, **EAGERLY).eval()


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
        row = list(BEGINNINGS[number]) if number < len(BEGINNINGS) else rows[-1][:SHARED_PREFIX]
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

    def kl(a: Tensor, b: Tensor) -> Tensor:
        return (a.exp() * (a - b)).sum(-1)

    return {
        "kl": kl(p, q),
        "kl_reverse": kl(q, p),
        "js": (kl(p, m) + kl(q, m)) / 2,
        "tv": (p.exp() - q.exp()).abs().sum(-1) / 2,
    }


def write_reference(directory: Path, logits: list[Tensor], rows: list[Tensor]) -> None:
    tensors = {}
    body = load(directory, torch.bfloat16) if directory.name == "llama-bf16" else None
    for r, (row, x) in enumerate(zip(rows, logits, strict=True)):
        stored = {"ids": row} | measures(x, row)
        if directory.name in FULL_LOGITS or r < 2:
            stored["logits"] = x
        if body:
            stored["logprob_bf16body"] = target_logprobs(run_bf16_body(body, row), row)
        tensors |= {f"{r}.{name}": value.contiguous() for name, value in stored.items()}
    save_file(tensors, directory / "reference.safetensors")


# --- Other arithmetic for transformers' models ---

EAGER, ROPE = modeling_llama.eager_attention_forward, modeling_llama.apply_rotary_pos_emb
RMS_NORM = modeling_llama.LlamaRMSNorm.forward


@contextmanager
def patched(**replacements: Callable) -> Iterator[None]:
    """Replaces functions of both families' modules, or `forward` of the class that is named without its family."""
    with ExitStack() as stack:
        for family, (name, replacement) in itertools.product(("Llama", "Qwen3"), replacements.items()):
            target = f"{family}{name}.forward" if name[0].isupper() else name
            module = f"transformers.models.{family.lower()}.modeling_{family.lower()}"
            stack.enter_context(patch(f"{module}.{target}", replacement))
        yield


def norm_with(scale: Callable[[Tensor, float], Tensor]) -> Callable:
    """A norm in the type of its input that multiplies by `scale` of mean square and epsilon."""

    def forward(self, x):
        return self.weight * x * scale(x.square().mean(-1, keepdim=True), self.variance_epsilon)

    return forward


def in_f64() -> AbstractContextManager:
    """Norms, softmax and rope in the type of the model, where transformers goes through f32."""

    def attention(module, query, key, value, mask, scaling, **_):
        key, value = (modeling_llama.repeat_kv(x, module.num_key_value_groups) for x in (key, value))
        weights = (query @ key.transpose(2, 3) * scaling + mask).softmax(-1)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    def rotations(self, x, position_ids):
        angles = (position_ids[..., None] * self.inv_freq.to(x.dtype)).repeat(1, 1, 2)
        return angles.cos(), angles.sin()

    norm = norm_with(lambda square, eps: (square + eps).rsqrt())
    return patched(RMSNorm=norm, eager_attention_forward=attention, RotaryEmbedding=rotations)


def layer_with(attention_residual=1, mlp_residual=1, normed_residual=False, parallel=False) -> AbstractContextManager:
    def forward(self, hidden_states, **kwargs):
        normed = self.input_layernorm(hidden_states)
        residual = normed if normed_residual else hidden_states
        attended = attention_residual * residual + self.self_attn(hidden_states=normed, **kwargs)[0]
        normed = self.post_attention_layernorm(hidden_states if parallel else attended)
        residual = normed if normed_residual else attended
        return mlp_residual * residual + self.mlp(normed)

    return patched(DecoderLayer=forward)


def mask_moved(rows: Callable[[int], list[int]]) -> AbstractContextManager:
    """Each query gets the mask of another; `rows` names them for a length."""

    def attention(module, query, key, value, mask, **kwargs):
        return EAGER(module, query, key, value, mask[:, :, rows(mask.shape[2])], **kwargs)

    return patched(eager_attention_forward=attention)


def norms_after_rope() -> AbstractContextManager:
    """Heads are the only four-dimensional input of a norm: they pass it and meet it again once rotated."""

    def norm(self, x):
        return x if x.dim() == 4 else RMS_NORM(self, x)

    def attention(module, query, key, *rest, **kwargs):
        return EAGER(module, RMS_NORM(module.q_norm, query), RMS_NORM(module.k_norm, key), *rest, **kwargs)

    return patched(RMSNorm=norm, eager_attention_forward=attention)


def norm_across_heads(self, x):
    dims = (-2, -1) if x.dim() == 4 else -1
    return self.weight * x * (x.square().mean(dims, keepdim=True) + self.variance_epsilon).rsqrt()


def rope_of_keys_ahead(query, key, cos, sin):
    query, key = ROPE(query, key, cos, sin)
    return query, ROPE(key, key, cos[:, 1:2], sin[:, 1:2])[1]


def rope_interleaved(query, key, cos, sin):
    """Even dimensions go to the first half, odd ones to the second: the product does not see the order."""
    query, key = (x.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2) for x in (query, key))
    return ROPE(query, key, cos, sin)


# --- Mutations: one mistake each ---


@dataclass
class Mutation:
    """Changes to the config, to the model built from it and to the code that runs it."""

    axis: str
    what: str
    config: dict = field(default_factory=dict)
    edit: Callable[[PreTrainedModel], object] = lambda model: None
    code: AbstractContextManager = field(default_factory=nullcontext)


def mutations(config: PreTrainedConfig) -> list[Mutation]:
    """Those that cannot occur under this config leave the model as it is."""
    return [
        *norm_mutations(config),
        *rope_mutations(config),
        *window_mutations(config),
        *attention_mutations(config),
        *weight_mutations(),
        *structure_mutations(),
    ]


def norm_mutations(config: PreTrainedConfig) -> list[Mutation]:
    eps_outside = norm_with(lambda square, eps: 1 / (square.sqrt() + eps))
    found = [
        Mutation("eps too small", "eps / 10", config={"rms_norm_eps": config.rms_norm_eps / 10}),
        Mutation("eps outside the root", "x / (rms + eps)", code=patched(RMSNorm=eps_outside)),
    ]
    for right, wrong in ((1e-6, 1e-5), (1e-5, 1e-6)):
        if config.rms_norm_eps == right:
            found.append(Mutation(f"eps {right} read as {wrong}", "another's default", config={"rms_norm_eps": wrong}))
    if config.model_type == "qwen3":
        found.append(Mutation("q and k norms after rope", "instead of before", code=norms_after_rope()))
        found.append(Mutation("q and k norms across heads", "one mean", code=patched(RMSNorm=norm_across_heads)))
    return found


def rope_mutations(config: PreTrainedConfig) -> list[Mutation]:
    right = config.rope_parameters
    theta, derived = right["rope_theta"], config.hidden_size / config.num_attention_heads

    def change(axis: str, what: str, **changes) -> Mutation:
        return Mutation(f"rope {axis}", what, config={"rope_parameters": right | changes})

    def code(axis: str, what: str, apply: Callable) -> Mutation:
        return Mutation(f"rope {axis}", what, code=patched(apply_rotary_pos_emb=apply))

    found = [
        change("theta too large", "theta * 10", rope_theta=theta * 10),
        change("theta ignored", "the default 10000", rope_theta=1e4),
        code("missing", "no rotation", lambda query, key, cos, sin: (query, key)),
        code("backwards", "by minus the angle", lambda query, key, cos, sin: ROPE(query, key, cos, -sin)),
        code("interleaved", "pairs (2i, 2i + 1)", rope_interleaved),
        code("of keys off by one", "position + 1", rope_of_keys_ahead),
    ]
    if right["rope_type"] == "llama3":
        return found + [
            change("scaling ignored", "type default", rope_type="default"),
            change("factor", "4 for 8", factor=4.0),
            change("low_freq_factor", "2 for 1", low_freq_factor=2.0),
            change("high_freq_factor", "2 for 4", high_freq_factor=2.0),
            change("original length", "the model's", original_max_position_embeddings=config.max_position_embeddings),
        ]

    def respace(model: PreTrainedModel) -> None:
        model.model.rotary_emb.inv_freq.pow_(config.head_dim / derived)

    return [*found, Mutation("rope of another head_dim", "frequencies for hidden / heads", edit=respace)]


def window_mutations(config: PreTrainedConfig) -> list[Mutation]:
    if config.model_type != "qwen3":
        return []
    full, sliding = ["full_attention"], ["sliding_attention"]
    layers, window, first = config.num_hidden_layers, config.sliding_window, config.max_window_layers
    if window is None:
        change = {"sliding_window": 12, "layer_types": full + sliding}
        return [Mutation("use_sliding_window ignored", "max_window_layers 1, window 12", config=change)]
    other = [(full if kind in sliding else sliding)[0] for kind in config.layer_types]
    return [
        Mutation("window too long", "window + 1", config={"sliding_window": window + 1}),
        Mutation("window too short", "window - 1", config={"sliding_window": window - 1}),
        Mutation("window ignored", "every layer full", config={"layer_types": full * layers}),
        Mutation("window everywhere", "every layer sliding", config={"layer_types": sliding * layers}),
        Mutation("window on the other layers", "layer_types inverted", config={"layer_types": other}),
        Mutation(
            "layer_types ignored",
            "sliding from max_window_layers on",
            config={"layer_types": full * first + sliding * (layers - first)},
        ),
    ]


def attention_mutations(config: PreTrainedConfig) -> list[Mutation]:
    def scale(value: float) -> Callable:
        return lambda model: [setattr(layer.self_attn, "scaling", value) for layer in model.model.layers]

    def tiled(heads, times):
        return heads.repeat(1, times, 1, 1)

    derived = (config.hidden_size / config.num_attention_heads) ** -0.5
    return [
        Mutation("attention scale of another head_dim", "of hidden / heads", edit=scale(derived)),
        Mutation("attention scale not rooted", "1 / head_dim", edit=scale(1 / config.head_dim)),
        Mutation("causal mask ahead", "sees the next token", code=mask_moved(lambda n: [*range(1, n), n - 1])),
        Mutation("causal mask behind", "does not see the token itself", code=mask_moved(lambda n: [0, *range(n - 1)])),
        Mutation("kv heads grouped wrongly", "h % kv_heads for h / group", code=patched(repeat_kv=tiled)),
    ]


def weight_mutations() -> list[Mutation]:
    def each(model: PreTrainedModel, suffix: str) -> list[nn.Module]:
        return [module for name, module in model.named_modules() if name.endswith(suffix)]

    def without_bias(projection: str) -> Callable:
        return lambda model: [module.register_parameter("bias", None) for module in each(model, projection)]

    def with_ones(norm: str) -> Callable:
        return lambda model: [module.weight.fill_(1) for module in each(model, norm)]

    def swapped(first: str, second: str) -> Callable:
        def edit(model: PreTrainedModel) -> None:
            for a, b in zip(each(model, first), each(model, second), strict=True):
                for x, y in zip(a.parameters(), b.parameters(), strict=True):
                    x.data, y.data = y.data, x.data

        return edit

    biased = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    norms = ("input_layernorm", "post_attention_layernorm", "q_norm", "k_norm", "model.norm")
    alike = [norms[:2], norms[2:4], ("k_proj", "v_proj"), ("gate_proj", "up_proj"), ("layers.0", "layers.1")]
    return [
        *(Mutation(f"bias of {name}", "dropped", edit=without_bias(name)) for name in biased),
        *(Mutation(f"weight of {name}", "ones", edit=with_ones(name)) for name in norms),
        *(Mutation(f"{a} and {b}", "swapped", edit=swapped(a, b)) for a, b in alike),
    ]


def structure_mutations() -> list[Mutation]:
    def head_from_embedding(model: PreTrainedModel) -> None:
        model.lm_head.weight = model.model.embed_tokens.weight

    def other_head(model: PreTrainedModel) -> None:
        if model.config.tie_word_embeddings:
            model.lm_head.weight = nn.Parameter(model.lm_head.weight.roll(1, 0))

    def scale_embedding(model: PreTrainedModel) -> None:
        model.lm_head.weight = nn.Parameter(model.lm_head.weight.clone())
        model.model.embed_tokens.weight.mul_(model.config.hidden_size**0.5)

    def drop_final_norm(model: PreTrainedModel) -> None:
        model.model.norm = nn.Identity()

    return [
        Mutation("untied head", "the embedding", edit=head_from_embedding),
        Mutation("tied head", "another matrix", edit=other_head),
        Mutation("embedding", "times the root of hidden", edit=scale_embedding),
        Mutation("final norm", "dropped", edit=drop_final_norm),
        Mutation("activation", "gelu for silu", config={"hidden_act": "gelu"}),
        Mutation("attention's residual", "dropped", code=layer_with(attention_residual=0)),
        Mutation("mlp's residual", "dropped", code=layer_with(mlp_residual=0)),
        Mutation("residual after the norm", "instead of before", code=layer_with(normed_residual=True)),
        Mutation("parallel block", "the mlp reads the layer's input", code=layer_with(parallel=True)),
    ]


@torch.no_grad()
def mutate(model: PreTrainedModel, mutation: Mutation) -> PreTrainedModel:
    config = copy.deepcopy(model.config)
    for name, value in mutation.config.items():
        setattr(config, name, value)
    mutated = build(config)
    mutated.load_state_dict(model.state_dict())
    mutation.edit(mutated)
    return mutated


def distance(model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> float:
    """The most that a target's log-probability differs."""
    gaps = [
        target_logprobs(run(model, row), row) - target_logprobs(x, row) for x, row in zip(logits, rows, strict=True)
    ]
    return float(torch.cat(gaps).abs().max())


def mutation_table(name: str, model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> list[dict]:
    table = []
    for mutation in mutations(model.config):
        mutated = mutate(model, mutation)
        with mutation.code:
            moved = distance(mutated, logits, rows)
        if moved > 0:
            found = {"fixture": name, "axis": mutation.axis, "what": mutation.what}
            table.append(found | {"max_delta_logprob": float(f"{moved:.4g}")})
    return table


# --- Everything ---


def write_checkpoints(directory: Path) -> None:
    tokenizer = train_tokenizer()
    drawn = {fixture.name: draw(fixture) for fixture in FIXTURES}
    drawn["qwen3-shifted"] = shift(drawn["qwen3-tied"], SHIFT, seed=5)
    shards = {fixture.name: fixture.shard for fixture in FIXTURES}
    for name, model in drawn.items():
        shutil.rmtree(directory / name, ignore_errors=True)
        save(model, directory / name, shards.get(name, Fixture.shard))
        tokenizer.save(str(directory / name / "tokenizer.json"), pretty=False)


@torch.no_grad()
def strongest_attention(model: PreTrainedModel, rows: list[Tensor]) -> float:
    """The largest attention weight on a token that is neither the first nor the one that attends."""
    weights = (w for row in rows for w in model(row[None], output_attentions=True).attentions)
    return max(float((w * (1 - torch.eye(w.shape[-1])))[..., 1:].max()) for w in weights)


def check_and_describe(name: str, model: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> None:
    found = [measures(x, row) for x, row in zip(logits, rows, strict=True)]
    columns = {key: torch.cat([m[key] for m in found]) for key in ("top_logprobs", "entropy", "logprob")}
    sharp = float((columns["top_logprobs"][:, 0] > math.log(0.99)).double().mean())
    flattest, sharpest, lowest = columns["entropy"].max(), columns["entropy"].min(), columns["logprob"].min()
    attention = strongest_attention(model, rows)
    with in_f64():
        gap = distance(copy.deepcopy(model).double(), logits, rows)
    jitter = distance(shift(model, 1e-6, seed=6), logits, rows)
    print(
        f"{name:14} p_max > 0.99: {sharp:.0%}, entropy {sharpest:.4f} to {flattest:.2f}, lowest logprob {lowest:.1f}, "
        f"attention up to {attention:.3f}, f32 to f64 {gap:.1e}, weights moved by 1e-6 {jitter:.1e}"
    )
    assert sharp >= 0.2 and sharpest < 0.1 and flattest > 3 and lowest < -18 and attention > 0.5, name
    assert gap < MAX_GAP_TO_F64 and jitter < MAX_JITTER, name


def check_and_print_mutations(table: list[dict]) -> None:
    axes: dict[str, dict[str, float]] = {}
    for entry in table:
        axes.setdefault(entry["axis"], {})[entry["fixture"]] = entry["max_delta_logprob"]
    for axis, moved in sorted(axes.items(), key=lambda item: max(item[1].values())):
        print(f"{axis:46}", ", ".join(f"{fixture} {delta:.2g}" for fixture, delta in moved.items()))
        assert max(moved.values()) >= VISIBLE, axis


def write_pairs(path: Path, logits: dict[str, list[Tensor]]) -> None:
    tensors = {}
    for p, q in PAIRS:
        for r, (x, y) in enumerate(zip(logits[p], logits[q], strict=True)):
            tensors |= {f"{p}.{q}.{r}.{name}": value for name, value in divergences(x, y).items()}
        kl = torch.cat([tensors[f"{p}.{q}.{r}.kl"] for r in range(len(LENGTHS))])
        print(f"KL({p} || {q}): mean {kl.mean():.4f}, from {kl.min():.1e} to {kl.max():.2f} nats a token")
    save_file(tensors, path)


def check_sizes(directory: Path) -> None:
    sizes = {path: path.stat().st_size for path in sorted(directory.rglob("*")) if path.is_file()}
    for path, size in sizes.items():
        print(f"{size:8} {path.relative_to(directory)}")
        assert size < MAX_FILE, path
    print(f"{sum(sizes.values()):8} bytes in all")
    assert sum(sizes.values()) <= MAX_TOTAL


def main(directory: Path) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    write_checkpoints(directory)
    names = [fixture.name for fixture in FIXTURES] + ["qwen3-shifted"]
    loaded = {name: load(directory / name) for name in names}
    rows = [torch.tensor(row) for row in draw_rows(list(loaded.values()))]
    logits = {name: [run(model, row) for row in rows] for name, model in loaded.items()}
    table = []
    for name, model in loaded.items():
        check_and_describe(name, model, logits[name], rows)
        write_reference(directory / name, logits[name], rows)
        if name != "qwen3-shifted":
            table += mutation_table(name, model, logits[name], rows)
    write_pairs(directory / "pairs.safetensors", logits)
    check_and_print_mutations(table)
    write_json_rows(directory / "mutations.json", table)
    check_sizes(directory)


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "tests/fixtures/models"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
