"""Makes LoRA adapters on fixtures and a checkpoint in FP8, with references by Hugging Face transformers and PEFT.

    pip install torch==2.13.0 transformers==5.19.0 peft==0.21.2
    OMP_NUM_THREADS=1 python scripts/make_adapters.py [DIRECTORY]

As make_families.py, which made the bases. An adapter's reference is PEFT's unmerged model in f32; that of the checkpoint in
FP8 is transformers in f32 on the weights that values times scales stand for. adapters.json says how far each mistake
moves a target's log-probability at most.
"""

import copy
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import transformers as hf
from make_families import COLUMNS, MAX_JITTER, Family, config, draw, run_bf16_body
from make_fixtures import (
    VISIBLE, build, distance, draw_rows, load, measures, rope, run, shift, target_logprobs, write_json, write_json_rows,
)  # fmt: skip
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

MAX_BYTES = 60_000
# Root mean square of what an adapter adds, relative to the weight's own.
DELTA = 0.3
BLOCK = (16, 20)
E4M3 = torch.float8_e4m3fn
EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


@dataclass
class Lora:
    name: str
    base: str
    seed: int
    fields: dict
    dtype: torch.dtype = torch.float32
    edits: dict[str, Callable[[PreTrainedModel], object]] = field(default_factory=dict)


def maps(model: PreTrainedModel, suffix: str = "") -> list[tuple[str, LoraLayer]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, LoraLayer) and name.endswith(suffix)]


def scaled(by: Callable[[int, float, str], float]) -> Callable[[PreTrainedModel], None]:
    """The scale of each module as `by` has it from its rank, its own alpha and its name."""

    def edit(model: PreTrainedModel) -> None:
        for name, module in maps(model):
            module.scaling["default"] = by(module.r["default"], module.lora_alpha["default"], name)

    return edit


def dropped(suffix: str) -> Callable[[PreTrainedModel], None]:
    return lambda model: [m.scaling.update(default=0.0) for _, m in maps(model, suffix)]


def rolled(suffix: str, rows: int) -> Callable[[PreTrainedModel], None]:
    def edit(model: PreTrainedModel) -> None:
        for _, module in maps(model, suffix):
            weight = module.lora_B["default"].weight
            weight.copy_(weight.roll(rows, 0))

    return edit


def moved(model: PreTrainedModel) -> None:
    """Each adapter of a kind on the next layer."""
    for suffix in {name.split(".")[-1] for name, _ in maps(model)}:
        modules = [m for _, m in maps(model, suffix)]
        for half in ("lora_A", "lora_B"):
            weights = [getattr(m, half)["default"].weight for m in modules]
            values = [w.clone() for w in weights]
            if len({v.shape for v in values}) == 1:
                for weight, value in zip(weights, values[1:] + values[:1], strict=True):
                    weight.copy_(value)


def adapters() -> list[Lora]:
    return [
        Lora(
            "lora-qwen3", "qwen3-tied", 51,
            {
                "r": 3, "lora_alpha": 7, "target_modules": EVERY,
                "rank_pattern": {r"layers\.1\..*\.q_proj": 5, "down_proj": 2, "q_proj": 4},
                "alpha_pattern": {"0.self_attn.v_proj": 2.5, "v_proj": 11, "up_proj": 4},
            },
            edits={
                "alpha ignored": scaled(lambda r, alpha, name: 1.0),
                "rank ignored": scaled(lambda r, alpha, name: alpha),
                "rank_pattern ignored in the scale": scaled(lambda r, alpha, name: alpha / 3),
                "alpha_pattern ignored": scaled(lambda r, alpha, name: 7 / r),
                "alpha_pattern's last match": scaled(
                    lambda r, alpha, name: (11 if "v_proj" in name else alpha) / r
                ),
                "rslora taken for granted": scaled(lambda r, alpha, name: alpha / r**0.5),
                "another layer's": moved,
            },
        ),
        Lora(
            "lora-llama3", "llama3", 52,
            {"r": 4, "lora_alpha": 3, "target_modules": ["lm_head", "q_proj", "down_proj"], "use_rslora": True},
            dtype=torch.bfloat16,
            edits={"rslora ignored": scaled(lambda r, alpha, name: alpha / r)},
        ),
        Lora(
            "lora-phi3", "phi3-longrope", 53,
            {"r": 2, "lora_alpha": 4, "target_modules": r"model\.layers\.\d\.(self_attn|mlp)\.\w+_proj"},
            edits={
                "q, k and v in one": rolled("qkv_proj", 16),
                "gate and up in one": rolled("gate_up_proj", 30),
                "another layer's": moved,
            },
        ),
        Lora(
            "lora-bf16", "llama-bf16", 54,
            {"r": 40, "lora_alpha": 40, "target_modules": ["v_proj", "gate_proj"], "layers_to_transform": [1]},
        ),
    ]  # fmt: skip


# --- Adapters ---


@torch.no_grad()
def draw_adapter(lora: Lora, base: PreTrainedModel) -> PeftModel:
    random = torch.Generator().manual_seed(lora.seed)
    model = get_peft_model(base, LoraConfig(task_type="CAUSAL_LM", **lora.fields))
    for _, module in maps(model):
        a, b = (getattr(module, half)["default"].weight for half in ("lora_A", "lora_B"))
        a.normal_(generator=random).mul_(a.shape[1] ** -0.5)
        b.normal_(generator=random)
        added = module.scaling["default"] * b @ a
        b.mul_(DELTA * module.get_base_layer().weight.square().mean().sqrt() / added.square().mean().sqrt())
    return model


def save_adapter(lora: Lora, directory: Path) -> None:
    path = directory / lora.name
    shutil.rmtree(path, ignore_errors=True)
    draw_adapter(lora, load(directory / lora.base)).save_pretrained(path, save_embedding_layers=False)
    (path / "README.md").unlink()
    tensors = {name: t.to(lora.dtype) for name, t in load_file(path / "adapter_model.safetensors").items()}
    save_file(tensors, path / "adapter_model.safetensors", metadata={"format": "pt"})
    written = json.loads((path / "adapter_config.json").read_text())
    written["base_model_name_or_path"] = lora.base
    if isinstance(written["target_modules"], list):
        # A set in PEFT: another order each time.
        written["target_modules"].sort()
    write_json(path / "adapter_config.json", written)


def on(base: PreTrainedModel, path: Path) -> PreTrainedModel:
    """The base with the adapter apart from its weights, as a model of the base's class."""
    return PeftModel.from_pretrained(base, path).eval().base_model.model


def make_adapter(lora: Lora, directory: Path) -> list[dict]:
    save_adapter(lora, directory)
    path = directory / lora.name
    model = on(load(directory / lora.base), path)
    rows = [torch.tensor(row) for row in draw_rows([model])]
    logits = [run(model, row) for row in rows]
    has_head = "lm_head" in lora.fields["target_modules"]
    bf16 = None if has_head else on(load(directory / lora.base, torch.bfloat16), path)
    write_reference(path, rows, logits, bf16)
    check(lora.name, path, shift(model, 1e-6, seed=6), logits, rows)
    edits = lora.edits | {f"{kind} dropped": dropped(kind) for kind in sorted({n.split(".")[-1] for n, _ in maps(model)})}
    return [mistake(lora.name, f"lora {axis}", edited(model, edit), logits, rows) for axis, edit in edits.items()]


@torch.no_grad()
def edited(model: PreTrainedModel, edit: Callable[[PreTrainedModel], object]) -> PreTrainedModel:
    copied = copy.deepcopy(model)
    edit(copied)
    return copied


# --- FP8 ---


def tiled(scales: Tensor, shape: torch.Size, block: tuple[int, int] = BLOCK) -> Tensor:
    """Each block's scale at all of its values."""
    return scales.repeat_interleave(block[0], 0).repeat_interleave(block[1], 1)[: shape[0], : shape[1]]


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Values in E4M3 and one scale a block, so that its largest value is the format's."""
    rows, columns = (-(-n // size) for n, size in zip(weight.shape, BLOCK, strict=True))
    padded = torch.zeros(rows * BLOCK[0], columns * BLOCK[1])
    padded[: weight.shape[0], : weight.shape[1]] = weight
    scales = padded.unflatten(0, (rows, -1)).unflatten(2, (columns, -1)).abs().amax((1, 3)) / torch.finfo(E4M3).max
    return (weight / tiled(scales, weight.shape)).to(E4M3), scales


def make_fp8(directory: Path) -> list[dict]:
    path = directory / "qwen3-fp8"
    family = Family(
        "qwen3-fp8",
        config(hf.Qwen3Config, head_dim=8, tie_word_embeddings=True, rms_norm_eps=1e-4, rope_parameters=rope(1e3)),
        seed=61, stream=0.7,
    )  # fmt: skip
    shutil.rmtree(path, ignore_errors=True)
    drawn = draw(family)
    drawn.save_pretrained(path)
    (path / "generation_config.json").unlink(missing_ok=True)
    stored, meant = {}, {}
    for name, tensor in load_file(path / "model.safetensors").items():
        if name.endswith("_proj.weight"):
            # Blocks of very different sizes, so that a wrong scale shows.
            tensor = tensor * tiled(torch.tensor([[1.0, 0.7], [1.4, 1.0], [0.8, 1.2]]), tensor.shape)
            values, scales = quantise(tensor)
            stored |= {name: values, f"{name}_scale_inv": scales}
            meant[name] = (values, scales)
        else:
            stored[name] = tensor.bfloat16()
    save_file(stored, path / "model.safetensors", metadata={"format": "pt"})
    written = json.loads((path / "config.json").read_text())
    del written["transformers_version"]
    quantisation = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", "weight_block_size": BLOCK}
    write_json(path / "config.json", written | {"dtype": "bfloat16", "quantization_config": quantisation})

    def model(scale: Callable[[Tensor, torch.Size], Tensor]) -> PreTrainedModel:
        weights = {name: t.float() for name, t in stored.items() if name not in meant and "scale_inv" not in name}
        weights |= {name: values.float() * scale(scales, values.shape) for name, (values, scales) in meant.items()}
        built = build(family.config)
        built.load_state_dict(weights | {"lm_head.weight": weights["model.embed_tokens.weight"]})
        return built

    right = model(tiled)
    rows = [torch.tensor(row) for row in draw_rows([right])]
    logits = [run(right, row) for row in rows]
    write_reference(path, rows, logits, None)
    check(family.name, path, shift(right, 1e-6, seed=6), logits, rows)
    wrong = {
        "scales of the row below": lambda scales, shape: tiled(scales.roll(1, 0), shape),
        "scales of the next column": lambda scales, shape: tiled(scales.roll(1, 1), shape),
        "one scale a tensor": lambda scales, shape: scales.mean().expand(shape),
        "blocks transposed": lambda scales, shape: tiled(scales.repeat(3, 3), shape, BLOCK[::-1]),
    }
    return [mistake(family.name, f"fp8 {axis}", model(scale), logits, rows) for axis, scale in wrong.items()]


# --- References ---


def write_reference(path: Path, rows: list[Tensor], logits: list[Tensor], bf16: PreTrainedModel | None) -> None:
    tensors = {}
    for r, (row, x) in enumerate(zip(rows, logits, strict=True)):
        found = measures(x, row)
        stored = {"ids": row} | {name: found[name] for name in COLUMNS}
        if bf16:
            stored["logprob_bf16body"] = target_logprobs(run_bf16_body(bf16, row), row)
        tensors |= {f"{r}.{name}": value.contiguous() for name, value in stored.items()}
    save_file(tensors, path / "reference.safetensors")


def check(name: str, path: Path, shaken: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> None:
    jitter = distance(shaken, logits, rows)
    size = sum(file.stat().st_size for file in path.iterdir())
    print(f"{name:14} {size:7} bytes, jitter {jitter:.1e}")
    assert jitter < MAX_JITTER and size < MAX_BYTES, name


def mistake(fixture: str, axis: str, wrong: PreTrainedModel, logits: list[Tensor], rows: list[Tensor]) -> dict:
    moved = distance(wrong, logits, rows)
    print(f"    {axis:44} {moved:.4g}")
    assert moved >= VISIBLE, axis
    return {"fixture": fixture, "axis": axis, "what": "in the model", "max_delta_logprob": float(f"{moved:.4g}")}


def main(directory: Path) -> None:
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    table = [entry for lora in adapters() for entry in make_adapter(lora, directory)]
    write_json_rows(directory / "adapters.json", table + make_fp8(directory))


if __name__ == "__main__":
    default = Path(__file__).parent.parent / "tests/fixtures/models"
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else default)
