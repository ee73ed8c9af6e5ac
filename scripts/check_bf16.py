#!/usr/bin/env python3
"""Slow check: how far bf16 stands from f32 on real rows, in tokshift and in transformers.

    python scripts/check_bf16.py MODEL-DIRECTORY ROWS.jsonl [N] [--tokshift BINARY]

Truth is transformers in f32 with the weights of the checkpoint, which bf16 holds. It is compared with tokshift's bf16 and
transformers with the body in bf16, its head and logits in f32, on tokshift's own ids. tokshift's mean |Δ logprob| must be at
most 1.1 times the other's, and its mean Δ within three standard errors, clustered by row, of nothing.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast


def rows_of(out: Path, table: str) -> list[dict]:
    parts = sorted((out / table).rglob("*.parquet"))
    return [row for part in parts for row in pq.ParquetFile(part).read().to_pylist()]


def scored(binary: Path, model: Path, rows: Path, limit: int) -> list[tuple[int, list[int], np.ndarray]]:
    """Context length, response ids and log-probabilities of every row."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        names = ["--generation-model", "g", "--task", "t", "--limit", str(limit)]
        command = [binary, "score", "--dataset", rows, "--models", f"m={model}", "--dtype", "bf16", *names]
        subprocess.run([*map(str, command), "--output-dir", str(out), "--top-k", "0"], check=True)
        samples, tokens = rows_of(out, "samples"), rows_of(out, "tokens")
    found = []
    for sample in samples:
        own = [token for token in tokens if token["sample_id"] == sample["sample_id"]]
        logprobs = np.array([token["logprob"] for token in own], dtype=float)
        found.append((sample["context_tokens"], [token["token_id"] for token in own], logprobs))
    return found


@torch.no_grad()
def logprobs(body: torch.nn.Module, head: torch.nn.Module, ids: list[int], first: int) -> np.ndarray:
    """Of ids[first:], with head and softmax in f32 and f64."""
    hidden = body(torch.tensor([ids])).last_hidden_state[0, first - 1 : -1].float()
    logits = torch.nn.functional.linear(hidden, head.weight.float())
    targets = torch.tensor(ids[first:])[:, None]
    return logits.double().log_softmax(-1).gather(1, targets)[:, 0].numpy()


def summary(name: str, deltas: list[np.ndarray]) -> tuple[float, float]:
    """Mean |Δ|, and mean Δ in its standard errors, rows being clusters."""
    every = np.concatenate(deltas)
    n, g, mean = len(every), len(deltas), every.mean()
    error = np.sqrt(g / (g - 1) * sum((of_row - mean).sum() ** 2 for of_row in deltas)) / n
    size = np.abs(every).mean()
    print(f"{name:40} mean |Δ| {size:.6f}   mean Δ {mean:+.6f} ± {error:.6f} ({mean / error:+.1f} errors)")
    return size, mean / error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("rows", type=Path)
    parser.add_argument("limit", type=int, nargs="?", default=32)
    parser.add_argument("--tokshift", type=Path, default=Path("target/release/tokshift"))
    args = parser.parse_args()
    ours = scored(args.tokshift, args.model, args.rows, args.limit)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(args.model / "tokenizer.json"))
    f32 = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval()
    bf16 = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16).eval()
    own, theirs = [], []
    for line, (context, response, found) in zip(args.rows.read_text().splitlines(), ours):
        row = json.loads(line)
        ids = tokenizer(row["input"] + row["output"], add_special_tokens=False)["input_ids"]
        assert ids[context:] == response, "the ids are not tokshift's"
        truth = logprobs(f32.model, f32.lm_head, ids, context)
        own.append(found - truth)
        theirs.append(logprobs(bf16.model, f32.lm_head, ids, context) - truth)
    print(f"{len(own)} rows, {sum(map(len, own))} tokens, compared with transformers in f32")
    size, lean = summary("tokshift, bf16", own)
    size_theirs, _ = summary("transformers, bf16 body, f32 head", theirs)
    print(f"tokshift's is {size / size_theirs:.3f} of transformers'")
    assert size <= 1.1 * size_theirs and abs(lean) <= 3, "further than allowed"


if __name__ == "__main__":
    main()
