"""Tiny checkpoints as two versions of transformers save them, and PEFT's adapters: tokshift's numbers and theirs, in f32.

    python scripts/check_checkpoints.py save WORK        # with each version: checkpoints and what it makes of the rows
    python scripts/check_checkpoints.py adapt WORK       # with PEFT: adapters on some of them
    python scripts/check_checkpoints.py compare WORK     # scores all with tokshift

Every family that tokshift knows, in one file and in shards, tied and not, in f32, bf16 and f16. A reference is the log-softmax
in f64 of the logits of the version that saved the checkpoint. An adapter whose `rejected` is a text must be rejected with that
text; everything else must be scored within TOLERANCE.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
import transformers as hf
from check_checkpoints_families import ADAPTERS, BASES, FAMILIES, VOCAB, Adapter
from transformers import AutoModelForCausalLM, PreTrainedModel

ROOT = Path(__file__).parent.parent
BINARY = os.environ.get("TOKSHIFT", ROOT / "target/release/tokshift")
TOKENIZER = ROOT / "tests/fixtures/models/llama3/tokenizer.json"
VERSION = hf.__version__.split(".")[0]
TOLERANCE = 2e-4
ROWS, PROMPT = 4, 3
# What a family is saved as: in shards or not, as it is tied by default or not, in which type.
VARIANTS = [("one", "tied", "float32"), ("shards", "untied", "bfloat16"), ("shards", "tied", "float16")]
MORE = [("llama", ("one", "untied", "bfloat16")), ("qwen3", ("shards", "untied", "float32"))]


def rows() -> list[list[int]]:
    random = torch.Generator().manual_seed(7)
    return [torch.randint(300, (length,), generator=random).tolist() for length in (12, 40, 75, 110)][:ROWS]


@torch.no_grad()
def draw(model: PreTrainedModel, seed: int) -> None:
    """Weights of such sizes that every part shows: gains around their own, biases, logits that spread by about 2."""
    random = torch.Generator().manual_seed(seed)
    for name, values in model.named_parameters():
        noise = torch.randn(values.shape, generator=random)
        if values.dim() == 1:
            values.add_(0.2 * noise.to(values.dtype))
        else:
            values.copy_((1.5 if "embed" in name or "lm_head" in name else 1.0) * noise * values.shape[-1] ** -0.5)


@torch.no_grad()
def logprobs(model: PreTrainedModel) -> list[list[float]]:
    found = []
    for row in rows():
        ids = torch.tensor([row])
        logits = model(ids, use_cache=False).logits[0, PROMPT - 1 : -1].double().log_softmax(-1)
        found.append(logits.gather(1, ids[0, PROMPT:, None])[:, 0].tolist())
    return found


def load(path: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def save(work: Path) -> None:
    """One checkpoint a family and variant, saved and read again by this version of transformers."""
    every = [(family, variant) for family in FAMILIES for variant in VARIANTS] + MORE
    for seed, (family, (files, tied, dtype)) in enumerate(every):
        name = f"{VERSION}-{family}-{files}-{tied}-{dtype}"
        kind, fields, rope = FAMILIES[family]
        spelled = rope.of_5() if VERSION == "5" else rope.of_4()
        config = getattr(hf, kind)(**(fields | spelled), tie_word_embeddings=tied == "tied", vocab_size=VOCAB)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
        draw(model, seed)
        model.to(getattr(torch, dtype)).save_pretrained(
            work / name, max_shard_size="20KB" if files == "shards" else "5GB", safe_serialization=True
        )
        reference = logprobs(load(work / name))
        (work / f"{name}.json").write_text(json.dumps({"model": name, "logprobs": reference, "rejected": None}))
    print(f"transformers {hf.__version__}: {len(every)} checkpoints")


@torch.no_grad()
def adapt(work: Path) -> None:
    from peft import LoraConfig, PeftModel, get_peft_model
    from peft.tuners.lora import LoraLayer

    def one(adapter: Adapter, base: str, seed: int) -> None:
        name = f"{adapter.name}-on-{base}"
        path, torch_seed = work / name, torch.manual_seed(seed)
        model = get_peft_model(load(work / base), LoraConfig(task_type="CAUSAL_LM", **adapter.fields))
        for module in (m for m in model.modules() if isinstance(m, LoraLayer)):
            for half in module.lora_B.values():
                half.weight.normal_(std=0.3, generator=torch_seed)
            for half in module.lora_embedding_A.values():
                half.normal_(std=0.3, generator=torch_seed)
        model.save_pretrained(path, save_embedding_layers=adapter.copies)
        if adapter.rewritten:
            written = json.loads((path / "adapter_config.json").read_text())
            (path / "adapter_config.json").write_text(json.dumps(written | adapter.rewritten))
        reference = None if adapter.rejected else logprobs(PeftModel.from_pretrained(load(work / base), path).eval())
        found = {"model": f"{base}+{name}", "logprobs": reference, "rejected": adapter.rejected}
        (work / f"{name}.json").write_text(json.dumps(found))

    every = [(adapter, base) for adapter in ADAPTERS for base in BASES]
    for seed, (adapter, base) in enumerate(every):
        one(adapter, base, seed)
    print(f"{len(every)} adapters")


def score(work: Path, model: str, output: Path) -> subprocess.CompletedProcess:
    sources = "+".join(str(work / part) for part in model.split("+"))
    command = [BINARY, "score", "--dataset", work / "rl_rows.jsonl", "--output-dir", output]
    command += ["--dtype", "f32", "--tokenizer", TOKENIZER, "--models", f"m={sources}"]
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)


def compare(work: Path) -> None:
    fields = [{"prompt_token_ids": row[:PROMPT], "response_token_ids": row[PROMPT:]} for row in rows()]
    (work / "rl_rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in fields))
    gaps, rejected, wrong = [], [], []
    for path in sorted(work.glob("*.json")):
        wanted = json.loads(path.read_text())
        output = work / "out" / path.stem
        said = score(work, wanted["model"], output)
        if said.returncode != 0:
            if wanted["rejected"] and wanted["rejected"] in said.stderr:
                rejected.append(path.stem)
            else:
                wrong.append(f"{path.stem}: {said.stderr.strip()}")
            continue
        if wanted["rejected"]:
            wrong.append(f"{path.stem}: scored, though {wanted['rejected']}")
            continue
        export = [BINARY, "export", output, "--format", "jsonl"]
        lines = subprocess.run(export, check=True, capture_output=True, text=True).stdout.splitlines()
        found = [json.loads(line)["logprob"] for line in lines]
        expected = [logprob for row in wanted["logprobs"] for logprob in row]
        assert len(found) == len(expected), path.stem
        gap = max(abs(a - b) for a, b in zip(found, expected, strict=True))
        gaps.append((gap, path.stem))
        if gap > TOLERANCE:
            wrong.append(f"{path.stem}: off by {gap:.2e}")
    for what in wrong:
        print(f"WRONG {what}")
    largest, where = max(gaps)
    print(f"{len(gaps)} scored, largest gap {largest:.2e} nats ({where}); {len(rejected)} rejected by name; {len(wrong)} wrong")
    assert not wrong


if __name__ == "__main__":
    {"save": save, "adapt": adapt, "compare": compare}[sys.argv[1]](Path(sys.argv[2]))
