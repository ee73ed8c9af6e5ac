"""Slow check: KL(tuned || base) of a small adapter on a bf16 base, by tokshift and by transformers and PEFT in f32.

    pip install torch==2.13.0 transformers==5.19.0 peft==0.21.2
    python scripts/check_adapters.py          # DELTA=1e-3 ROWS=24 LENGTH=120 unless set

The adapter adds DELTA of each weight's size (root mean squares). The base is random; every model scores the same ids, with lists
that hold the whole vocabulary, so that KL is exact for each token. Besides what tokshift finds with the adapter apart
from the base stands what it finds once the adapter is merged into the base's bf16, and how much of the adapter that
rounding takes away. Fails if the adapter apart is more than 5% off in f32; in bf16 activations are rounded too, by more
than an adapter of 1e-3 moves them.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

ROOT = Path(__file__).parent.parent
BINARY = os.environ.get("TOKSHIFT", ROOT / "target/release/tokshift")
DELTA = float(os.environ.get("DELTA", 1e-3))
ROWS, LENGTH = int(os.environ.get("ROWS", 24)), int(os.environ.get("LENGTH", 120))
VOCAB, PROMPT = 307, 4
SHAPE = {"hidden": 256, "layers": 6, "heads": 8, "kv-heads": 4, "head-dim": 32, "intermediate": 512}
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_base(directory: Path) -> None:
    shape = [word for name, value in SHAPE.items() for word in (f"--{name}", str(value))]
    tokenizer = ROOT / "tests/fixtures/models/qwen3-tied/tokenizer.json"
    command = [sys.executable, ROOT / "scripts/make_model.py", "--out", directory, "--vocab", str(VOCAB), *shape]
    subprocess.run([*command, "--tokenizer", tokenizer], check=True, stdout=subprocess.DEVNULL)


def load(directory: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


@torch.no_grad()
def make_adapter(base: Path, directory: Path) -> None:
    torch.manual_seed(1)
    model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", r=16, lora_alpha=32, target_modules=PROJECTIONS))
    for module in (m for m in model.modules() if isinstance(m, LoraLayer)):
        a, b = (getattr(module, half)["default"].weight for half in ("lora_A", "lora_B"))
        b.normal_()
        added, weight = module.scaling["default"] * b @ a, module.get_base_layer().weight
        b.mul_(DELTA * weight.square().mean().sqrt() / added.square().mean().sqrt())
    model.save_pretrained(directory)


@torch.no_grad()
def merge(base: Path, adapter: Path, directory: Path) -> float:
    """Writes the base with the adapter merged into its bf16; the part of the moved weights that rounding puts back."""
    model = PeftModel.from_pretrained(load(base), adapter).merge_and_unload()
    before, lost, added = load(base).state_dict(), 0.0, 0.0
    for name, weight in model.state_dict().items():
        meant, kept = weight - before[name], weight.bfloat16().float() - before[name]
        if meant.any():
            lost, added = lost + float(((meant != 0) & (kept == 0)).sum()), added + float((meant != 0).sum())
    model.bfloat16().save_pretrained(directory)
    return lost / added


def make_rows(path: Path) -> list[list[int]]:
    random = torch.Generator().manual_seed(2)
    # Ids below 302 are text; the specials after them would end it.
    rows = [torch.randint(302, (LENGTH,), generator=random).tolist() for _ in range(ROWS)]
    fields = [{"prompt_token_ids": row[:PROMPT], "response_token_ids": row[PROMPT:]} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in fields))
    return rows


def kl(p: Tensor, q: Tensor) -> float:
    """Mean over tokens, in f64."""
    return float((p.exp() * (p - q)).sum(-1).mean())


@torch.no_grad()
def by_transformers(model: PreTrainedModel, rows: list[list[int]]) -> Tensor:
    logits = model(torch.tensor(rows)).logits[:, PROMPT - 1 : -1]
    return logits.double().log_softmax(-1).flatten(0, 1)


def by_tokshift(work: Path, dtype: str, models: dict[str, str]) -> dict[str, Tensor]:
    """Log-probabilities of the whole vocabulary at every response token."""
    out = work / f"out-{dtype}"
    command = [BINARY, "score", "--dataset", work / "rl_rows.jsonl", "--output-dir", out]
    command += ["--top-k", str(VOCAB), "--dtype", dtype, "--models", ",".join(f"{n}={s}" for n, s in models.items())]
    subprocess.run([*command, "--tokenizer", work / "base/tokenizer.json"], check=True)
    found = {}
    for name in models:
        export = [BINARY, "export", out, "--format", "jsonl", "--model", name]
        lines = subprocess.run(export, check=True, capture_output=True, text=True).stdout.splitlines()
        tokens = [json.loads(line) for line in lines]
        ids, logprobs = (torch.tensor([t[column] for t in tokens]) for column in ("top_ids", "top_logprobs"))
        found[name] = torch.empty(ids.shape, dtype=torch.float64).scatter_(1, ids, logprobs.double())
        assert ids.shape == (ROWS * (LENGTH - PROMPT), VOCAB)
    return found


def main(work: Path) -> None:
    make_base(work / "base")
    make_adapter(work / "base", work / "adapter")
    lost = merge(work / "base", work / "adapter", work / "merged")
    rows = make_rows(work / "rl_rows.jsonl")
    base = by_transformers(load(work / "base"), rows)
    tuned = by_transformers(PeftModel.from_pretrained(load(work / "base"), work / "adapter"), rows)
    reference = kl(tuned, base)
    print(f"adapter of {DELTA:g}: merged into bf16, {lost:.0%} of the weights that it moves stay what they were")
    print(f"{'transformers and PEFT, f32':42} {reference:.4e}")
    models = {"base": f"{work}/base", "tuned": f"{work}/base+{work}/adapter", "merged": f"{work}/merged"}
    off = {}
    for dtype in ("f32", "bf16"):
        found = by_tokshift(work, dtype, models)
        for name in ("tuned", "merged"):
            value = kl(found[name], found["base"])
            off[name, dtype] = value / reference - 1
            what = "apart" if name == "tuned" else "merged into bf16"
            print(f"tokshift, {what}, --dtype {dtype:4} {'':14} {value:.4e}  {off[name, dtype]:+.1%}")
    assert abs(off["tuned", "f32"]) <= 0.05


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as work:
        main(Path(work))
