"""The same ids and weights through a vLLM server and `import`, and through `score`: how far both are apart per token,
beside what bf16 alone does (tokshift in bf16 against tokshift in f32).

    python scripts/check_vllm.py --tokshift BINARY --python PYTHON-WITH-VLLM --tokenizer DIRECTORY

Run by scripts/check-vllm.sh. The model has random weights (scripts/make_model.py), and the ids are random.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds

PORT = 18017
ROWS, TOKENS, TOP = 40, 64, 5


def say(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[:3]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def answers(python: str, model: Path, prompts: list[list[int]]) -> tuple[list[dict], str]:
    """The server's answers beside their requests, and its version."""
    options = ["--model", model, "--served-model-name", "tiny", "--host", "127.0.0.1", "--port", PORT]
    options += ["--max-model-len", 1024, "--enforce-eager", "--max-num-batched-tokens", 512]
    command = [python, "-m", "vllm.entrypoints.openai.api_server", *map(str, options)]
    environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile() as log:
        import os

        server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{PORT}"
            for _ in range(300):
                if server.poll() is not None:
                    log.seek(0)
                    raise SystemExit("the server ended:\n" + log.read().decode()[-3000:])
                try:
                    urllib.request.urlopen(f"{address}/health", timeout=5)
                    break
                except OSError:
                    time.sleep(1)
            version = json.load(urllib.request.urlopen(f"{address}/version"))["version"]
            rows = []
            for prompt in prompts:
                request = {"model": "tiny", "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": TOP}
                body = json.dumps(request).encode()
                sent = urllib.request.Request(f"{address}/v1/completions", body, {"Content-Type": "application/json"})
                rows.append({"request": request, "body": json.load(urllib.request.urlopen(sent, timeout=300))})
            return rows, version
        finally:
            server.terminate()
            server.wait(30)


def logprobs(out: Path, model: str) -> dict[tuple[int, int], tuple[int, float]]:
    """By sample and number of the token."""
    table = ds.dataset(out / "tokens", partitioning="hive").to_table(filter=ds.field("model") == model)
    rows = sorted(zip(*(table[name].to_pylist() for name in ["sample_id", "position", "token_id", "logprob"])))
    return {(sample, position): (token, value) for sample, position, token, value in rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokshift", type=Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    args = parser.parse_args()
    rng = random.Random(3)
    prompts = [[rng.randrange(1000, 100_000) for _ in range(TOKENS)] for _ in range(ROWS)]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        model = work / "tiny"
        say(sys.executable, Path(__file__).parent / "make_model.py", "--out", model)
        for file in args.tokenizer.iterdir():
            if file.name.startswith(("tokenizer", "special_tokens")):
                (model / file.name).write_bytes(file.read_bytes())
        rows, version = answers(args.python, model, prompts)
        recorded, given = work / "people_ids.jsonl", work / "people_rows.jsonl"
        recorded.write_text("".join(json.dumps(row) + "\n" for row in rows))
        split = [{"prompt_token_ids": prompt[:1], "response_token_ids": prompt[1:]} for prompt in prompts]
        given.write_text("".join(json.dumps(row) + "\n" for row in split))
        say(args.tokshift, "import", recorded, "--output-dir", work / "imported", "--model", "vllm")
        score = ("score", "--dataset", given, "--output-dir")
        say(args.tokshift, *score, work / "bf16", "--models", f"bf16={model}", "--dtype", "bf16")
        say(args.tokshift, *score, work / "f32", "--models", f"f32={model}", "--dtype", "f32")
        vllm, bf16, f32 = (logprobs(work / out, name) for out, name in [("imported", "vllm"), ("bf16", "bf16"), ("f32", "f32")])
    keys = sorted(bf16)
    # Positions of the imported prompt begin at its second token, as those of the response do.
    assert sorted(vllm) == keys == sorted(f32), (len(vllm), len(bf16), len(f32))
    assert all(vllm[key][0] == bf16[key][0] == f32[key][0] for key in keys), "the ids are not the same"
    apart = lambda a, b: np.abs([a[key][1] - b[key][1] for key in keys])
    print(f"vLLM {version} in bf16 and tokshift, {len(keys)} tokens, |difference| of log-probabilities, nats")
    print(f"{'':36}{'mean':>10}{'99%':>10}{'max':>10}")
    found = [("vLLM bf16, tokshift bf16", apart(vllm, bf16)), ("vLLM bf16, tokshift f32", apart(vllm, f32))]
    found.append(("noise floor: tokshift bf16, f32", apart(bf16, f32)))
    for name, values in found:
        print(f"{name:36}{values.mean():10.5f}{np.quantile(values, 0.99):10.5f}{values.max():10.5f}")
    # Two programs that round to bf16 are each as far from f32 as the floor, in their own ways.
    if found[1][1].mean() > 2 * found[2][1].mean() or found[0][1].mean() > 2 * found[2][1].mean():
        raise SystemExit("further apart than rounding to bf16 explains")


if __name__ == "__main__":
    main()
