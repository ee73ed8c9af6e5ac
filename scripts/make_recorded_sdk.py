"""Makes those files under tests/fixtures/recorded that programs' own packages write.

    pip install inspect_ai==0.3.285 tinker==0.38.0 together==3.1.1 fireworks-ai==1.2.30
    python scripts/make_recorded_sdk.py

A log of Inspect is written by its own `write_eval_log`, as `.eval` and as `.json`. Answers of Fireworks and Together
are objects of their packages' classes, as JSON; tinker's are dataclasses, of which the lists are written by the names that
they have there. Numbers are made up.
"""

import json
import random
import struct
from pathlib import Path

OUT = Path(__file__).parent.parent / "tests/fixtures/recorded"
rng = random.Random(11)


def f32(x: float) -> float:
    return struct.unpack("f", struct.pack("f", x))[0]


def logprob() -> float:
    return f32(-rng.expovariate(0.7))


def write(name: str, rows: list[dict]) -> None:
    (OUT / name).write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))


def make_inspect() -> None:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalSample, EvalSpec, write_eval_log
    from inspect_ai.model import ModelOutput
    from inspect_ai.model._model_output import Logprob, Logprobs, TopLogprob

    def output(tokens: list[str], reason: str, with_numbers: bool = True) -> ModelOutput:
        answer = ModelOutput.from_content("vllm/org/tiny", "".join(tokens), stop_reason=reason)
        entries = []
        for token in tokens:
            value = logprob()
            other = TopLogprob(token="other", logprob=f32(value - 1), bytes=None)
            top = [TopLogprob(token=token, logprob=value, bytes=list(token.encode())), other]
            entries.append(Logprob(token=token, logprob=value, bytes=list(token.encode()), top_logprobs=top))
        answer.choices[0].logprobs = Logprobs(content=entries) if with_numbers else None
        return answer

    made = [
        ("sum", 1, output(["4"], "stop")),
        ("city", 1, output(["Par", "is", " é"], "stop")),
        ("sum", 2, output(["5", "!"], "max_tokens")),
        ("city", 2, output(["Lon", "don"], "stop", with_numbers=False)),
    ]
    samples = [EvalSample(id=name, epoch=epoch, input=name, target="4", output=out) for name, epoch, out in made]
    dataset = EvalDataset(name="small", samples=2, sample_ids=["sum", "city"])
    spec = EvalSpec(
        created="2026-01-01T00:00:00+00:00",
        task="org/small",
        dataset=dataset,
        model="vllm/org/tiny",
        config=EvalConfig(epochs=2),
    )
    log = EvalLog(status="success", eval=spec, samples=samples)
    for ending in ["eval", "json"]:
        write_eval_log(log, str(OUT / f"inspect.{ending}"), format=ending)


def make_tinker() -> None:
    from tinker.types import ModelInput, SampledSequence

    rows = []
    for index in range(3):
        prompt = [rng.randrange(64) for _ in range(4)]
        sequences = []
        for place in range(2):
            tokens = [rng.randrange(64) for _ in range(3 + place)]
            numbers = [logprob() for _ in tokens]
            lists = [[(token, value), ((token + 1) % 64, f32(value - 0.5))] for token, value in zip(tokens, numbers)]
            if index == 1 and place == 0:
                numbers[1] = -99999.0
                lists[1] = [((tokens[1] + 1) % 64, -0.25)]
            made = SampledSequence(
                stop_reason="length" if place else "stop",
                sequence_id=f"s{index}{place}",
                _tokens_list=tokens,
                _logprobs_list=numbers,
                _topk_logprobs_list=lists,
            )
            names = ["stop_reason", "sequence_id", "tokens", "logprobs", "topk_logprobs"]
            sequences.append({name: getattr(made, name) for name in names})
        request = ModelInput.from_ints(prompt)
        rows.append({"id": f"t{index}", "prompt": request.model_dump(mode="json"), "sequences": sequences})
    write("tinker_samples.jsonl", rows)
    rows = []
    for index in range(2):
        prompt = [rng.randrange(64) for _ in range(5)]
        numbers = [None] + [logprob() for _ in prompt[1:]]
        answer = {"sequences": [{"stop_reason": "length", "tokens": [1], "logprobs": None}], "prompt_logprobs": numbers}
        rows.append({"id": f"p{index}", "prompt_token_ids": prompt, **answer})
    write("writer_tinker.jsonl", rows)


def make_fireworks() -> None:
    from fireworks.types.chat.completion_create_response import CompletionCreateResponse
    from fireworks.types.shared.choice import Choice

    def entry(token: int, value: float | None) -> dict:
        other = (token + 1) % 64
        top = [
            {"token": f"t{token}", "logprob": value, "token_id": token},
            {"token": f"t{other}", "logprob": None if value is None else value - 1, "token_id": other},
        ]
        return {
            "token": f"t{token}",
            "bytes": list(f"t{token}".encode()),
            "logprob": value,
            "text_offset": 0,
            "token_id": token,
            "top_logprobs": top if value is not None else [],
        }

    rows = []
    for index in range(2):
        prompt, tokens = [rng.randrange(64) for _ in range(3)], [rng.randrange(64) for _ in range(4)]
        content = [entry(token, logprob()) for token in tokens]
        raw = {
            "completion": "x",
            "prompt_fragments": [],
            "prompt_token_ids": prompt,
            "completion_token_ids": tokens,
        }
        message = {"role": "assistant", "content": "x"}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": content}, "raw_output": raw}
        row = {"id": f"f{index}", "choices": [choice], "created": 1, "model": "accounts/f/models/hosted", "object": "chat.completion"}
        rows.append(json.loads(CompletionCreateResponse.model_validate(row).model_dump_json(exclude_unset=True)))
    write("fireworks_chat.jsonl", rows)
    # A completion with `echo`: the prompt's tokens are among the others, the first without a number.
    rows = []
    for index in range(2):
        tokens = [rng.randrange(64) for _ in range(5)]
        numbers = [None] + [logprob() for _ in tokens[1:]]
        lists = [None] + [{f"t{token}": value} for token, value in zip(tokens[1:], numbers[1:])]
        logprobs = {"tokens": [f"t{token}" for token in tokens], "token_logprobs": numbers, "token_ids": tokens, "top_logprobs": lists}
        choice = Choice.construct(index=0, text="x", finish_reason="length", logprobs=logprobs)
        choice = json.loads(json.dumps(choice.to_dict()))
        rows.append({"id": f"e{index}", "object": "text_completion", "model": "accounts/f/models/hosted", "choices": [choice]})
    write("writer_fireworks.jsonl", rows)


def make_together() -> None:
    from together.types.completion import Completion

    def logprobs(tokens: list[int], begins: bool) -> dict:
        numbers = [None if begins and place == 0 else logprob() for place in range(len(tokens))]
        return {"token_ids": [float(token) for token in tokens], "tokens": [f"t{token}" for token in tokens], "token_logprobs": numbers}

    rows = []
    for index in range(2):
        prompt, tokens = [rng.randrange(64) for _ in range(4)], [rng.randrange(64) for _ in range(3)]
        row = {
            "id": f"g{index}",
            "choices": [{"finish_reason": "length", "logprobs": logprobs(tokens, False), "text": "x"}],
            "created": 1,
            "model": "org/hosted",
            "object": "text.completion",
            "prompt": [{"text": "x", "logprobs": logprobs(prompt, True)}],
        }
        rows.append(json.loads(Completion.construct(**row).to_json()))
    write("writer_together.jsonl", rows)


if __name__ == "__main__":
    for make in (make_inspect, make_tinker, make_fireworks, make_together):
        make()
