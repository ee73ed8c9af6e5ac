#!/usr/bin/env python3
"""tokshift and its peers on the same rows, in turn: tokens a second, ratios, peak memory, share of the floor.

    python scripts/make_model.py --out models/0.6b --hidden 1024 --layers 28 --heads 16 --kv-heads 8 \
        --head-dim 128 --intermediate 3072 --tokenizer tokenizer.json
    python benches/peers.py --model models/0.6b --rows coqa.jsonl:8 coqa.jsonl:64 math60.jsonl:6

Every round runs each contender once, so that a machine that slows down slows all of them; medians are over rounds, ratios
are medians of each round's ratio. A peer that is not installed is left out: Hugging Face needs torch and transformers,
--llama-perplexity the program of llama.cpp with --gguf the model, --vllm the python of an environment with vLLM. The floor is
FLOPs over the product peak that `cargo bench --bench peak` finds in the same round:

    layers     2 x parameters of the layers           a token
    head       2 x vocabulary x hidden                a response token
    attention  layers x 4 x query width x T^2 / 2     a row of T tokens
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a checkpoint with tokenizer.json")
    parser.add_argument("--rows", nargs="+", required=True, metavar="FILE:N", help="the first N rows of a file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tokshift", type=Path, default=ROOT / "target/release/tokshift")
    parser.add_argument("--peak", type=Path, help="the program of `cargo bench --bench peak`; built if not given")
    parser.add_argument("--only", nargs="+", help="contenders to run, e.g. tokshift hf-response")
    parser.add_argument("--llama-perplexity", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--vllm", type=Path)
    parser.add_argument("--max-load", type=float, default=0.3, help="wait for a 1-minute load below it before the first round")
    parser.add_argument("--json", type=Path, help="where the figures go, too")
    # How this script starts itself as a peer.
    parser.add_argument("--serve", choices=["hf-full", "hf-response", "vllm"], help=argparse.SUPPRESS)
    return parser.parse_args()


def read_rows(model, spec):
    """`[(prompt ids, response ids)]` and the rows themselves."""
    from tokenizers import Tokenizer

    path, count = spec.rsplit(":", 1)
    with open(path) as file:
        rows = [json.loads(line) for line, _ in zip(file, range(int(count)))]
    tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
    return [(encode(row["input"]), encode(row["output"])) for row in rows], rows


def flops(model, pairs):
    """GFLOP of layers, head and attention."""
    c = json.loads((model / "config.json").read_text())
    query = c["num_attention_heads"] * c["head_dim"]
    key = c["num_key_value_heads"] * c["head_dim"]
    layer = c["hidden_size"] * (2 * query + 2 * key + 3 * c["intermediate_size"])
    tokens = sum(len(p) + len(r) for p, r in pairs)
    squares = sum((len(p) + len(r)) ** 2 for p, r in pairs)
    return {
        "layers": 2e-9 * c["num_hidden_layers"] * layer * tokens,
        "head": 2e-9 * c["vocab_size"] * c["hidden_size"] * sum(len(r) for _, r in pairs),
        "attention": 1e-9 * c["num_hidden_layers"] * 4 * query * squares / 2,
    }


class Memory(threading.Thread):
    """Peaks of a process, read from /proc while it lives: VmHWM, and what of it is not files."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.anonymous, self.done = pid, 0, 0, False
        self.start()

    def run(self):
        while not self.done:
            try:
                status = Path(f"/proc/{self.pid}/status").read_text()
            except OSError:
                return
            fields = dict(line.split(":", 1) for line in status.splitlines())
            kib = lambda name: int(fields.get(name, "0 kB").split()[0])
            self.peak = max(self.peak, kib("VmHWM"))
            self.anonymous = max(self.anonymous, kib("RssAnon"))
            time.sleep(0.05)


class Tokshift:
    """A process a run; the seconds are those of its own log, without loading, as the peers' are."""

    def __init__(self, args, rows):
        self.args, self.memory = args, (0, 0)
        self.folder = tempfile.TemporaryDirectory()
        self.data = Path(self.folder.name) / "bench_rows.jsonl"
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(self):
        with tempfile.TemporaryDirectory() as out:
            command = [self.args.tokshift, "score", "--dataset", self.data, "--models", f"m={self.args.model}"]
            env = dict(os.environ, RAYON_NUM_THREADS=str(self.args.threads))
            process = subprocess.Popen(
                [*map(str, command), "--output-dir", out], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            memory = Memory(process.pid)
            _, err = process.communicate()
            memory.done = True
            if process.returncode:
                sys.exit(f"tokshift: {err.decode()}")
            self.memory = max(self.memory, (memory.peak, memory.anonymous))
            logs = [json.loads(line) for log in Path(out, "logs").glob("*.jsonl") for line in log.open()]
            return sum(entry["seconds"] for entry in logs if "seconds" in entry)


class Served:
    """A process that loads once and then answers each line with the seconds of a run."""

    def __init__(self, args, name, spec, python=sys.executable):
        command = [python, __file__, "--serve", name, "--model", args.model, "--rows", spec, "--threads", args.threads]
        self.process = subprocess.Popen(
            [*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.watch = Memory(self.process.pid)
        if self.process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{name} does not start")

    def run(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    @property
    def memory(self):
        return self.watch.peak, self.watch.anonymous

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class LlamaCpp:
    """The second pass of its KL comparison, on as much text as the rows have tokens; the first pass writes the base."""

    def __init__(self, args, rows, tokens):
        self.args, self.memory = args, (0, 0)
        self.folder = tempfile.TemporaryDirectory()
        self.text, self.base = Path(self.folder.name) / "text", Path(self.folder.name) / "base.kld"
        self.text.write_text("\n".join(row["input"] + row["output"] for row in rows))
        self.tokens, self.windows = tokens, max(1, tokens // 512)
        self.call([])

    def call(self, more):
        command = [self.args.llama_perplexity, "-m", self.args.gguf, "-f", self.text, "-c", 512, "-b", 2048]
        command += ["-t", self.args.threads, "--chunks", self.windows, "--kl-divergence-base", self.base, *more]
        start = time.monotonic()
        process = subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        memory = Memory(process.pid)
        out, _ = process.communicate()
        end = time.monotonic() - start
        memory.done = True
        if process.returncode:
            sys.exit(f"llama.cpp: {out[-2000:]}")
        self.memory = max(self.memory, (memory.peak, memory.anonymous))
        # Lines begin with the time since the start; the model is loaded before `system_info`. The last such line is no
        # end: newer programs print none after the first pass.
        begin = next(stamp(line) for line in out.splitlines() if "system_info" in line and stamp(line) is not None)
        return (end - begin) / (512 * self.windows)

    def run(self):
        return self.call(["--kl-divergence"]) * self.tokens


def stamp(line):
    """Seconds since a program of llama.cpp began, as its log lines say them."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)\.(\d+) ", line)
    if not match:
        return None
    minutes, seconds, milliseconds, microseconds = map(int, match.groups())
    return 60 * minutes + seconds + milliseconds / 1e3 + microseconds / 1e6


def serve(args):
    # Some libraries log to stdout: answers have one of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    pairs, _ = read_rows(args.model, args.rows[0])
    run = {"hf-full": hf, "hf-response": hf, "vllm": vllm}[args.serve](args, pairs)
    run(pairs[:1])
    print("ready", file=answers)
    for _ in sys.stdin:
        begin = time.perf_counter()
        run(pairs)
        print(time.perf_counter() - begin, file=answers)


def hf(args, _):
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(args.threads)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.bfloat16).eval()

    @torch.inference_mode()
    def run(pairs):
        for prompt, response in pairs:
            ids, targets = torch.tensor([prompt + response]), torch.tensor(response)
            if args.serve == "hf-full":
                logprobs = model(ids).logits[0].float().log_softmax(-1)[len(prompt) - 1 : -1]
            else:
                hidden = model.model(ids).last_hidden_state[0, len(prompt) - 1 : -1]
                logprobs = model.lm_head(hidden).float().log_softmax(-1)
            own = logprobs.gather(1, targets[:, None])
            _ = (logprobs > own).sum(-1) + 1, logprobs.topk(20, -1), -(logprobs.exp() * logprobs).sum(-1)

    return run


def vllm(args, pairs):
    from vllm import LLM, SamplingParams

    longest = max(len(p) + len(r) for p, r in pairs) + 8
    model = LLM(str(args.model), dtype="bfloat16", max_model_len=longest, max_logprobs=20, enforce_eager=True)
    params = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=20)
    return lambda pairs: model.generate([{"prompt_token_ids": p + r} for p, r in pairs], params, use_tqdm=False)


def peak(program):
    """GFLOP/s of the best instructions' bf16 products."""
    found = json.loads(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
    return max(of["bf16"] for isa, of in found.items() if isa != "threads")


def built_peak():
    """The bench's program, built if need be."""
    command = ["cargo", "bench", "--quiet", "--locked", "--bench", "peak", "--no-run", "--message-format=json"]
    out = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    messages = [json.loads(line) for line in out.splitlines()]
    return next(m["executable"] for m in messages if m.get("executable") and m["target"]["name"] == "peak")


def quiet(limit):
    while os.getloadavg()[0] > limit:
        time.sleep(2)


def contenders(args, spec, rows, tokens):
    wanted = lambda name: args.only is None or name in args.only
    made = {"tokshift": Tokshift(args, rows)}
    for name in filter(wanted, ["hf-response", "hf-full"]):
        try:
            made[name] = Served(args, name, spec)
        except RuntimeError as error:
            print(f"left out: {error}", file=sys.stderr)
    if args.vllm and wanted("vllm"):
        made["vllm"] = Served(args, "vllm", spec, args.vllm)
    if args.llama_perplexity and wanted("llama.cpp"):
        made["llama.cpp"] = LlamaCpp(args, rows, tokens)
    return made


def compare(args, spec):
    pairs, rows = read_rows(args.model, spec)
    tokens, responses = sum(len(p) + len(r) for p, r in pairs), sum(len(r) for _, r in pairs)
    work = flops(args.model, pairs)
    made = contenders(args, spec, rows, tokens)
    seconds, peaks = {name: [] for name in made}, []
    quiet(args.max_load)
    for _ in range(args.rounds):
        peaks.append(peak(args.peak))
        for name, contender in made.items():
            seconds[name].append(contender.run())
    total = sum(work.values())
    floor = [gflops * tokens / total for gflops in peaks]
    parts = ", ".join(f"{name} {gflop:,.0f}" for name, gflop in work.items())
    print(f"\n{spec}: {tokens:,} tokens, {responses:,} of a response; GFLOP: {parts}")
    print(f"product peak {statistics.median(peaks):,.0f} GFLOP/s ({min(peaks):,.0f} to {max(peaks):,.0f})")
    print(f"floor {statistics.median(floor):,.0f} tok/s, reached by {share(tokens, seconds['tokshift'], floor):.0%}")
    table = []
    for name, times in seconds.items():
        ratio = statistics.median(theirs / ours for theirs, ours in zip(times, seconds["tokshift"]))
        hwm, anonymous = (kib / 2**20 for kib in made[name].memory)
        rate = tokens / statistics.median(times)
        table.append({"name": name, "tok/s": rate, "tokshift is faster by": ratio, "GiB": hwm, "GiB, no files": anonymous})
        print(f"{name:12} {rate:8,.0f} tok/s   x {ratio:5.2f}   VmHWM {hwm:5.2f} GiB   RssAnon {anonymous:5.2f} GiB")
    for contender in made.values():
        getattr(contender, "close", lambda: None)()
    return {"rows": spec, "tokens": tokens, "gflop": work, "peaks": peaks, "seconds": seconds, "table": table}


def share(tokens, seconds, floor):
    return statistics.median(tokens / s / f for s, f in zip(seconds, floor))


if __name__ == "__main__":
    args = arguments()
    if args.serve:
        serve(args)
    else:
        args.peak = args.peak or built_peak()
        figures = [compare(args, spec) for spec in args.rows]
        if args.json:
            args.json.write_text(json.dumps(figures, indent=1))
