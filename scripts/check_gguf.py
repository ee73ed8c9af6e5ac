#!/usr/bin/env python3
"""Compare the tables of a GGUF with Hugging Face's numbers of the same file, dequantised to f32.

    python scripts/check_gguf.py MODEL.gguf ROWS.jsonl SCORED SECONDS

Ids must be equal, those of the prompts by their hash; the mean |Δ logprob| must be at most 1e-3.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from blake3 import blake3
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

TOLERANCE = 1e-3


def table(scored: Path, name: str) -> list[dict]:
    parts = sorted((scored / name).rglob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def tokenizer_of(path: Path) -> PreTrainedTokenizerFast:
    """As transformers reads it, but for the pre-tokenizer: it takes GPT-2's for all, SmolLM2's own cuts digits apart."""
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name).backend_tokenizer
    digits, words = pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, words])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@torch.no_grad()
def main() -> None:
    path, rows, scored, seconds = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4])
    rows = [json.loads(line) for line in rows.read_text().splitlines()]
    samples = {sample["sample_id"]: sample for sample in table(scored, "samples")}
    tokens = {}
    for token in table(scored, "tokens"):
        tokens.setdefault(token["sample_id"], []).append(token)

    start = time.time()
    tokenizer = tokenizer_of(path)
    model = AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32).eval()
    loaded = time.time()
    gaps, wrong = [], 0
    for i, row in enumerate(rows):
        sample, own = samples[i], tokens.get(i, [])
        ids = tokenizer(row["input"] + row["output"], add_special_tokens=False)["input_ids"]
        context = ids[: sample["context_tokens"]]
        context_hash = blake3(torch.tensor(context, dtype=torch.int32).numpy().tobytes()).hexdigest()[:16]
        is_equal = context_hash == sample["context_hash"]
        is_equal &= [token["token_id"] for token in own] == ids[len(context) :]
        if not is_equal:
            wrong += 1
            continue
        logits = model(torch.tensor([ids])).logits[0, len(context) - 1 : -1]
        logprobs = logits.double().log_softmax(-1)
        want = logprobs.gather(1, torch.tensor(ids[len(context) :])[:, None])[:, 0]
        gaps.append((want - torch.tensor([token["logprob"] for token in own], dtype=torch.float64)).abs())
    done = time.time()
    gaps = torch.cat(gaps)
    print(f"{len(rows)} rows, {sum(len(x) for x in tokens.values())} scored tokens; ids differ in {wrong} rows")
    print(f"|Δ logprob|: mean {gaps.mean():.2e}, max {gaps.max():.2e}, over {len(gaps)} tokens")
    print(f"seconds, with loading: tokshift {seconds:.1f}, transformers {done - start:.1f} ({done - loaded:.1f} without)")
    assert wrong == 0 and gaps.mean() <= TOLERANCE


if __name__ == "__main__":
    main()
