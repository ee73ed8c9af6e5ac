#!/usr/bin/env python3
"""Samples the rows of the jobs from the models that make_models.py makes, and takes the real ones as they are.

    pip install torch==2.13.0 transformers==5.24.0 tokenizers numpy gguf
    python scripts/jobs/make_models.py MODELS
    python scripts/jobs/make_rows.py MODELS FINETUNED_MODEL_RESPONSES

FINETUNED_MODEL_RESPONSES is that folder of the repository which scripts/jobs/rows/README.md names. Every response is
sampled at temperature 1 from the whole vocabulary, from bf16 weights computed in f32; everything is seeded.
"""

import json
import random
import sys
from pathlib import Path

import torch
from transformers import Qwen3ForCausalLM

sys.path.insert(0, str(Path(__file__).parents[1]))
from train_demo import END, arithmetic, chat, decode, encode, prompt, respond, reward  # noqa: E402

ROWS = Path(__file__).parent / "rows"
STEPS = [10, 20, 30, 40, 50]
WRITERS = ["rl", "sft"]
PROMPTS = 32


def load(models: Path, name: str) -> Qwen3ForCausalLM:
    return Qwen3ForCausalLM.from_pretrained(models / name, dtype=torch.float32).eval()


def write(name: str, rows: list[dict]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (ROWS / f"{name}.jsonl").write_text(text)
    print(f"{name}: {len(rows)} rows, {len(text.encode())} bytes")


def distinct(make, rng: random.Random) -> list:
    """As many tasks as there are prompts, of different questions."""
    found = {}
    while len(found) < PROMPTS:
        task = make(rng)
        found.setdefault(task.question, task)
    return list(found.values())


def of_kind(kind: str):
    def make(rng: random.Random):
        while True:
            task = arithmetic(rng, held_out=True)
            if task.kind == kind:
                return task

    return make


def sampled(model: Qwen3ForCausalLM, prompts: list[str], count: int, seed: str) -> list[list[list[int]]]:
    """For each prompt so many responses."""
    torch.manual_seed(random.Random(seed).getrandbits(32))
    ids = [encode(text) for text in prompts for _ in range(count)]
    responses = respond(model, ids)
    return [responses[i : i + count] for i in range(0, len(responses), count)]


def grouped(text: str, responses: list[list[int]]) -> dict:
    """A prompt and its responses, as text and as the ids that the model read and wrote."""
    return {
        "prompt": text, "responses": [decode(response) for response in responses], "prompt_token_ids": encode(text),
        "response_token_ids": responses,
        "finish_reason": ["stop" if response[-1] == END else "length" for response in responses],
    }  # fmt: skip


def rollouts(models: Path) -> None:
    """Rewarded rollouts of five steps, eight to a prompt, as trainers log them."""
    tasks = distinct(lambda rng: arithmetic(rng, held_out=True), random.Random("rollouts"))
    prompts = [prompt(task.question) for task in tasks]
    for step in STEPS:
        groups = sampled(load(models, f"step_{step}"), prompts, 8, f"step {step}")
        write(f"step_{step}_sums", [
            grouped(text, responses) | {"rewards": [reward(task, response) for response in responses]}
            for task, text, responses in zip(tasks, prompts, groups)
        ])  # fmt: skip


def studied(models: Path, real: Path) -> None:
    """Five tasks, each answered by two models; the prompts of the last two are real."""
    rng = random.Random("studied")
    prompts = {kind: [prompt(t.question) for t in distinct(of_kind(kind), rng)] for kind in ("addition", "subtraction")}
    prompts["chat"] = [prompt(task.question) for task in distinct(chat, rng)]
    for task, file in (("coqa", "UniReason-RL_coqa.jsonl"), ("math", "UniReason-RL_math60.jsonl")):
        inputs = sorted({json.loads(line)["input"] for line in (real / file).open()}, key=lambda text: (len(text), text))
        prompts[task] = inputs[:PROMPTS]
    for writer in WRITERS:
        model = load(models, writer)
        for task, texts in prompts.items():
            groups = sampled(model, texts, 2, f"{writer} {task}")
            write(f"{writer}_{task}", [grouped(text, responses) for text, responses in zip(texts, groups)])


def real_rows(real: Path) -> None:
    """The shortest rows of a real model, as they are."""
    for name, file, count in (("coqa", "UniReason-RL_coqa.jsonl", 32), ("math", "UniReason-RL_math60.jsonl", 8)):
        lines = sorted((real / file).read_text().splitlines(), key=lambda line: (len(line), line))
        rows = [json.loads(line) for line in lines[:count]]
        write(f"UniReason-RL_{name}", [{"input": row["input"], "output": row["output"]} for row in rows])


if __name__ == "__main__":
    torch.set_num_threads(1)
    models, real = Path(sys.argv[1]), Path(sys.argv[2])
    ROWS.mkdir(exist_ok=True)
    rollouts(models)
    studied(models, real)
    real_rows(real)
