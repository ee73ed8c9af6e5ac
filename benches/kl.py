#!/usr/bin/env python3
"""`tokshift kl` on tables of any size: rows a second and peak memory, its means beside DuckDB's, and the study's own way.

    python benches/kl.py --rows 100000000 --top-k 0          # 6 GB of disk, some minutes to make
    python benches/kl.py --rows 100000000 --top-k 20

Tables are those of the stand-in engine, whose numbers follow from token ids: 500 tokens a response, 5 responses a prompt.
They are made once in --work (kept if given) and are not part of what is timed. The study's script reads JSON with one object
a token, as `score --out token-losses` writes it; it is timed on --study-rows, which fit its memory.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests/fixtures/models"
# Ids of the fixtures' tokenizer.
VOCABULARY = 300
RESPONSE, ANSWERS = 500, 5


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--study-rows", type=int, default=1_000_000)
    parser.add_argument("--top-k", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--tokshift", type=Path, default=ROOT / "target/release/tokshift")
    parser.add_argument("--work", type=Path)
    return parser.parse_args()


def measured(command):
    """Seconds, peak resident MB and stdout of a command."""
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([*map(str, command)], stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        out.seek(0)
        if status:
            sys.exit(f"ended with {status}: {command}")
        return time.monotonic() - begin, usage.ru_maxrss / 1024, out.read()


def made(args, name, rows, more):
    """The output directory of so many rows."""
    out = args.work / f"{name}-{rows}-{args.top_k}"
    if out.exists():
        return out
    data = args.work / f"p_{name}.jsonl"
    source = random.Random(7)
    with data.open("w") as file:
        for row in range(rows // RESPONSE):
            prompt = [1 + row // ANSWERS % 250, 1 + row // ANSWERS // 250 % 250, 7]
            ids = source.choices(range(1, VOCABULARY), k=RESPONSE)
            file.write(json.dumps({"prompt_token_ids": prompt, "response_token_ids": ids}) + "\n")
    command = [args.tokshift, "score", "--engine", "mock", "--dataset", data, "--output-dir", out, *more]
    models = f"p={MODELS / 'qwen3-tied'},q={MODELS / 'qwen3-shifted'}"
    measured([*command, "--threads", args.threads, "--models", models])
    data.unlink()
    return out


def study_way(out):
    """The study's figure as its script has it: both files in memory, a row after the other."""
    import numpy as np

    p, q = (json.load(open(out / "token_losses" / f"{model}_p_study_token_losses.json")) for model in "pq")
    means, tokens = [], 0
    for a, b in zip(p["results"], q["results"]):
        n = min(len(a["token_losses"]), len(b["token_losses"]))
        x, y = (np.exp([-token["loss"] for token in row["token_losses"][:n]]) for row in (a, b))
        means.append(np.mean(np.log(x + 1e-10) - np.log(y + 1e-10)))
        tokens += n
    return abs(float(np.mean(means))), tokens


def duckdb_means(out):
    """Means over all tokens, part by part: both sides hold the same samples in each."""
    import duckdb

    sides = [sorted((out / "tokens").glob(f"**/model={model}/*.parquet")) for model in "pq"]
    terms = {
        "kl_k1": "p.logprob::DOUBLE - q.logprob",
        "kl_k3": "exp(q.logprob::DOUBLE - p.logprob) - 1 - (q.logprob::DOUBLE - p.logprob)",
        "delta_entropy": "q.entropy::DOUBLE - p.entropy",
        "delta_p": "exp(q.logprob::DOUBLE) - exp(p.logprob::DOUBLE)",
        "rank_shift": "q.rank::DOUBLE - p.rank",
    }
    rows, sums = 0, dict.fromkeys(terms, 0.0)
    for p, q in zip(*sides):
        columns = ", ".join(f"sum({term})" for term in terms.values())
        query = f"SELECT count(*), {columns} FROM '{p}' p JOIN '{q}' q USING (sample_id, position)"
        n, *found = duckdb.sql(query).fetchall()[0]
        rows += n
        sums = {name: sums[name] + value for name, value in zip(sums, found)}
    return {name: total / rows for name, total in sums.items()}


def tell(what, rows, seconds, peak):
    print(f"{what:42} {seconds:8.1f} s {rows / seconds / 1e6:8.2f} M rows/s {peak:8.0f} MB", flush=True)


def run(args):
    out = made(args, "all", args.rows, ["--top-k", args.top_k])
    size = sum(path.stat().st_size for path in (out / "tokens").rglob("*.parquet"))
    print(f"{args.rows:,} rows of two models, k = {args.top_k}, {args.threads} threads: {size / 2 / args.rows:.1f} bytes a token")
    command = [args.tokshift, "kl", "--threads", args.threads, "--data-dir", out, "--json"]
    study = args.work / "study.json"
    seconds, peak, _ = measured([*command[:-1], "--only-study", "--output-file", study])
    tell("kl --only-study", args.rows, seconds, peak)
    rate = args.rows / seconds
    seconds, peak, _ = measured(command)
    tell("kl", args.rows, seconds, peak)
    seconds, peak, said = measured([*command, "--quantiles"])
    tell("kl --quantiles", args.rows, seconds, peak)
    pair = json.loads(said)["pairs"][0]
    ours = {measure["name"]: measure["token_mean"] for measure in pair["measures"]}
    begin = time.monotonic()
    for name, mean in duckdb_means(out).items():
        value = ours[name]["value"]
        print(f"  {name:16} {value: .12e}   DuckDB {mean: .12e}   differs by {abs(value - mean) / max(abs(mean), 1e-300):.1e}")
    print(f"  (DuckDB: {time.monotonic() - begin:.0f} s)")
    small = made(args, "study", args.study_rows, ["--top-k", 0, "--out", "token-losses"])
    begin = time.monotonic()
    figure, tokens = study_way(small)
    theirs = tokens / (time.monotonic() - begin)
    _, _, said = measured([*command[:-2], small, "--only-study", "--output-file", study])
    found = json.loads(study.read_text())[0]["kl_divergence"]
    print(f"the study's way: {theirs / 1e6:.3f} M tokens/s; kl --only-study is {rate / theirs:.0f} times as fast")
    print(f"  its figure {figure:.12e}, ours {found:.12e}")


if __name__ == "__main__":
    args = arguments()
    if args.work:
        args.work.mkdir(parents=True, exist_ok=True)
        run(args)
    else:
        with tempfile.TemporaryDirectory() as folder:
            args.work = Path(folder)
            run(args)
