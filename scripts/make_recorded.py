"""Makes the files of recorded numbers under tests/fixtures/recorded, one for each format that `tokshift import` reads.

    python scripts/make_recorded.py

Fields and shapes are those of the programs' own code:
prime-rl   src/prime_rl/trainer/rl/token_export.py (schema version 1)
NeMo-RL    nemo_rl/algorithms/grpo.py, nemo_rl/utils/logger.py (values are lists of one row, padded to the batch)
vLLM       vllm/outputs.py, vllm/logprobs.py, vllm/entrypoints/openai/protocol.py
OpenAI     platform.openai.com/docs/api-reference (completions, chat completions, batch)
SGLang     docs.sglang.io, sampling parameters and `meta_info` of /generate
`vllm_server.jsonl` holds answers of a vLLM 0.32 server and is not made here.
"""

import json
import random
import struct
from pathlib import Path

OUT = Path(__file__).parent.parent / "tests/fixtures/recorded"
VOCAB = 64
rng = random.Random(7)


def f32(x: float) -> float:
    """The nearest f32, as programs write tensors."""
    return struct.unpack("f", struct.pack("f", x))[0]


def logprob() -> float:
    return f32(-rng.expovariate(0.7))


def ids(n: int) -> list[int]:
    return [rng.randrange(VOCAB) for _ in range(n)]


def top(own: int, logprob: float, k: int) -> tuple[int, list[tuple[int, float]]]:
    """The token's rank and the k most likely tokens, in descending order, among which it may be."""
    others = [token for token in range(VOCAB) if token != own]
    rng.shuffle(others)
    above = rng.randrange(k + 2)
    values = sorted((f32(logprob * rng.random()) for _ in range(above)), reverse=True)
    below = sorted((f32(logprob - 0.01 - rng.random()) for _ in range(k)), reverse=True)
    ranked = [*zip(others, values), (own, logprob), *zip(others[above:], below)]
    return above + 1, ranked[:k]


def write(name: str, rows: list[dict]) -> None:
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def make_rows() -> None:
    rows = []
    for index in range(6):
        prompt, tool, n = ids(3), ids(2), 5
        tokens = prompt + ids(n) + tool + ids(2)
        mask = [0] * 3 + [1] * n + [0] * 2 + [1] * 2
        values = [logprob() if sampled else None for sampled in mask]
        row = {"id": f"r{index}", "token_ids": tokens, "logprobs": values, "mask": mask, "reward": index % 2}
        lists = [top(token, value, 3)[1] if value is not None else None for token, value in zip(tokens, values)]
        forms = [
            lambda pairs: {str(token): value for token, value in pairs},
            lambda pairs: [list(pair) for pair in pairs],
            lambda pairs: [{"token_id": token, "logprob": value} for token, value in pairs],
        ]
        row["top_logprobs"] = [pairs and forms[index % 3](pairs) for pairs in lists]
        rows.append(row)
    # Numbers for every token but the first; for a response alone; for the sampled tokens alone.
    tokens = ids(4)
    rows.append({"id": "whole", "token_ids": tokens, "logprobs": [None] + [logprob() for _ in tokens[1:]]})
    rows.append({"id": "response", "token_ids": ids(3), "logprobs": [logprob() for _ in range(3)]})
    rows.append({"id": "sampled", "token_ids": ids(4), "mask": [0, 0, 1, 1], "logprobs": [logprob(), logprob()]})
    write("policy_rows.jsonl", rows)


def make_prime_rl() -> None:
    for step in range(2):
        for rank in range(2):
            rows = []
            for index in range(3):
                prompt, n = 4, 6 + index
                tokens, mask = ids(prompt + n), [False] * prompt + [True] * n
                inference = [logprob() if sampled else 0.0 for sampled in mask]
                trainer = [f32(x + rng.gauss(0, 0.01)) if x < -0.1 else x for x in inference]
                trainer[0] = f32(-4.158883)
                advantage = f32(rng.gauss(0, 1))
                rows.append(
                    {
                        "schema_version": 1,
                        "step": step,
                        "export_step": step,
                        "rank": rank,
                        "micro_step": 0,
                        "micro_sequence_idx": index,
                        "export_sequence_idx": index,
                        "run_id": None,
                        "env_name": "math" if index else "code",
                        "token_ids": tokens,
                        "position_ids": list(range(len(tokens))),
                        "loss_mask": mask,
                        "advantages": [advantage if sampled else 0.0 for sampled in mask],
                        "losses": [{} for _ in tokens],
                        "rewards": [float(index % 2)] * len(tokens),
                        "inference_logprobs": inference,
                        "trainer_logprobs": trainer,
                        "entropy": [f32(rng.random()) for _ in tokens],
                        "mismatch_kl": [None] * len(tokens),
                        "log_importance_ratio": [None] * len(tokens),
                        "importance_ratio": [None] * len(tokens),
                        "prob_delta": [None] * len(tokens),
                        "is_masked": [None] * len(tokens),
                        "is_masked_high": [None] * len(tokens),
                        "is_masked_low": [None] * len(tokens),
                    }
                )
            write(f"token_exports/step_{step}/rank_{rank}.jsonl", rows)


def make_nemo_rl() -> None:
    rows, padded = [], 12
    for index in range(4):
        prompt, n = 3, 5 + index
        length = prompt + n
        tokens = ids(length) + [0] * (padded - length)
        mask = [0] * prompt + [1] * n + [0] * (padded - length)
        generation = [logprob() if sampled else 0.0 for sampled in mask]
        previous = [f32(x + rng.gauss(0, 0.01)) if x < -0.1 else x for x in generation]
        advantage = f32(rng.gauss(0, 1))
        row = {
            "content": ["text"],
            "rewards": [float(index % 2)],
            "input_lengths": [length],
            "token_ids": [tokens],
            "token_loss_mask": [mask],
            "sample_loss_mask": [1.0],
            "advantages": [[advantage] * padded],
            "generation_logprobs": [generation],
            "prev_logprobs": [previous],
            "idx": index,
        }
        rows.append(row)
    write("train_data_step3.jsonl", rows)


def vllm_list(token: int, value: float, k: int) -> dict:
    """The token first, then the k most likely: k or k + 1 entries."""
    rank, pairs = top(token, value, k)
    entry = lambda place, token, value: {"logprob": value, "rank": place, "decoded_token": f"t{token}"}  # noqa: E731
    listed = {str(token): entry(rank, token, value)}
    for place, (other, logprob) in enumerate(pairs):
        listed.setdefault(str(other), entry(place + 1, other, logprob))
    return listed


def flat(lists: list[dict | None]) -> dict:
    found = {name: [] for name in ("start_indices", "end_indices", "token_ids", "logprobs", "ranks", "decoded_tokens")}
    for entries in lists:
        found["start_indices"].append(len(found["token_ids"]))
        for token, entry in (entries or {}).items():
            found["token_ids"].append(int(token))
            found["logprobs"].append(entry["logprob"])
            found["ranks"].append(entry["rank"])
            found["decoded_tokens"].append(entry["decoded_token"])
        found["end_indices"].append(len(found["token_ids"]))
    return found


def make_vllm() -> None:
    rows = []
    for index in range(4):
        prompt = ids(5)
        outputs = []
        for choice in range(2):
            tokens = ids(4)
            lists = [vllm_list(token, logprob(), 3) for token in tokens]
            reason = "length" if choice else "stop"
            output = {"index": choice, "text": "x", "token_ids": tokens, "cumulative_logprob": None}
            outputs.append({**output, "logprobs": flat(lists) if index % 2 else lists, "finish_reason": reason})
        rows.append({"request_id": str(index), "prompt_token_ids": prompt, "prompt_logprobs": None, "outputs": outputs})
    write("vllm_outputs.jsonl", rows)
    rows = []
    for index in range(3):
        prompt = ids(6)
        lists = [None] + [vllm_list(token, logprob(), 2) for token in prompt[1:]]
        outputs = [{"index": 0, "text": "x", "token_ids": [1], "logprobs": None, "finish_reason": "length"}]
        rows.append({"request_id": str(index), "prompt_token_ids": prompt, "prompt_logprobs": lists, "outputs": outputs})
    write("writer_prompts.jsonl", rows)


def make_openai() -> None:
    def content(tokens: list[str], k: int) -> list[dict]:
        entry = lambda token, value: {"token": token, "logprob": value, "bytes": list(token.encode())}  # noqa: E731
        return [
            {**entry(token, value), "top_logprobs": [entry(token, value)] + [entry(f"o{i}", value - 1 - i) for i in range(k - 1)]}
            for token, value in ((token, logprob()) for token in tokens)
        ]

    def chat(tokens: list[str]) -> dict:
        choice = {"index": 0, "message": {"role": "assistant", "content": "".join(tokens)}, "finish_reason": "stop"}
        choice["logprobs"] = {"content": content(tokens, 2), "refusal": None}
        return {"id": "chatcmpl-1", "object": "chat.completion", "model": "org/hosted", "choices": [choice]}

    write("openai_chat.jsonl", [chat(["Hel", "lo", " é", "!"]), chat([" 5", "5"])])
    batch = [
        {"id": f"batch_{i}", "custom_id": f"task-{i}", "response": {"status_code": 200, "body": chat([" a", f"{i}"])}, "error": None}
        for i in range(2)
    ]
    write("openai_batch.jsonl", batch)
    # Completions with token ids for names, k = 2, of a server that adds the token to its list; then an echoed prompt.
    rows = []
    for index in range(2):
        tokens = ids(4)
        values = [logprob() for _ in tokens]
        lists = []
        for token, value in zip(tokens, values):
            listed = {f"token_id:{token}": value}
            for other, other_value in top(token, value, 2)[1]:
                listed.setdefault(f"token_id:{other}", other_value)
            lists.append(listed)
        if index:
            values[0], lists[0] = None, None
        names = [f"token_id:{token}" for token in tokens]
        logprobs = {"tokens": names, "token_logprobs": values, "top_logprobs": lists, "text_offset": [0, 1, 2, 3]}
        choice = {"index": 0, "text": "x", "finish_reason": "length", "logprobs": logprobs}
        rows.append({"id": f"cmpl-{index}", "object": "text_completion", "model": "org/hosted", "choices": [choice]})
    write("openai_completions.jsonl", rows)


def make_sglang() -> None:
    rows = []
    for index in range(3):
        prompt, tokens = ids(4), ids(5)
        values = [logprob() for _ in tokens]
        lists = [[[value, token, None] for token, value in top(own, own_value, 2)[1]] for own, own_value in zip(tokens, values)]
        meta = {
            "id": f"s{index}",
            "finish_reason": {"type": "length", "length": 5},
            "prompt_tokens": len(prompt),
            "completion_tokens": len(tokens),
            "input_token_logprobs": [],
            "output_token_logprobs": [[value, token, None] for token, value in zip(tokens, values)],
            "input_top_logprobs": [],
            "output_top_logprobs": lists,
        }
        rows.append({"text": "x", "output_ids": tokens, "meta_info": meta})
    write("sglang_generated.jsonl", rows)
    rows = []
    for index in range(2):
        prompt = ids(6)
        first = 2 * index
        scored = [[None if place == first else logprob(), prompt[place], None] for place in range(first, 6)]
        meta = {"id": f"p{index}", "prompt_tokens": 6, "input_token_logprobs": scored, "output_token_logprobs": []}
        rows.append({"text": "", "meta_info": meta})
    write("writer_sglang.jsonl", rows)


if __name__ == "__main__":
    for make in (make_rows, make_prime_rl, make_nemo_rl, make_vllm, make_openai, make_sglang):
        make()
