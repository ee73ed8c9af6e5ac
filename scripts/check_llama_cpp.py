#!/usr/bin/env python3
"""One quantisation as llama.cpp measures it and as tokshift does, on the same ids.

    python scripts/check_llama_cpp.py --tokshift BINARY --llama-cpp BIN-DIRECTORY --windows N MODEL.Q4_1.gguf TEXT

P is the file as it is, Q the file with its Q4_1 matrices in Q4_0. llama.cpp runs both dequantised to f32 with keys and
values in f32, which is the arithmetic of tokshift, and then the quantised files themselves, where it rounds activations
to 8 bits in blocks of 32 and keys and values to f16: that column is shown, not judged. Its base file keeps
log-probabilities in 16 bits and leaves out those below -16; tokshift stores final hidden states and leaves out nothing. Then each
reads the other's logits file: tokshift compares Q with llama.cpp's, and llama.cpp compares Q with tokshift's.
"""

import argparse
import json
import math
import re
import struct
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
from requantise_gguf import requantise

# How llama.cpp calls them, how `kl --quantiles` does.
QUANTILES = {
    "Maximum": "max", "99.9%": "q0.999", "99.0%": "q0.99", "95.0%": "q0.95", "90.0%": "q0.90", "75.0%": "q0.75",
    "Median": "median", "25.0%": "q0.25", "10.0%": "q0.10", "5.0%": "q0.05", "1.0%": "q0.01", "0.1%": "q0.001",
    "Minimum": "min",
}  # fmt: skip
WINDOW = 512


def say(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def llama_cpp(args: argparse.Namespace, base: Path, p: Path, q: Path, text: Path, *more: str) -> tuple[dict, list[int]]:
    """Every figure that llama.cpp prints of Q against P with its error, and the ids it read."""
    common = ("-f", text, "-c", WINDOW, "--chunks", args.windows, "-t", args.threads, *more, "--kl-divergence-base", base)
    binary = args.llama_cpp / "llama-perplexity"
    say(binary, "-m", p, *common)
    said = say(binary, "-m", q, *common, "--kl-divergence")
    number = r"(-?[\d.]+|nan|inf)"
    lines = re.findall(rf"^\s*([^:\n]+?)\s*:\s+{number}(?:\s*%)?(?:\s*±\s*{number})?", said, re.MULTILINE)
    figures = {re.sub(r"\s+", " ", name): (float(value), float(error or "nan")) for name, value, error in lines}
    with base.open("rb") as file:
        magic, window, _, windows = struct.unpack("8siii", file.read(20))
        assert magic == b"_logits_" and window == WINDOW, (magic, window)
        return figures, list(struct.unpack(f"{window * windows}i", file.read(4 * window * windows)))


def of_the_others_file(args: argparse.Namespace, work: Path, base: Path, p: Path, q: Path, text: Path, *more: str) -> list[tuple]:
    """Mean KLD by tokshift of llama.cpp's base against llama.cpp's own, and by llama.cpp of tokshift's base."""
    out, own = work / "of-base", work / "own.kld"
    models = f"base={base},q={args.q}"
    score = ("score", "--text", base, "--models", models, "--task", "t", "--threads", args.threads, "--exact")
    command = [str(part) for part in (args.tokshift, *score, "--output-dir", out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # KL itself counts what llama.cpp leaves out.
    ours = float(re.search(r"llama.cpp counts a mean KLD of (-?[\d.]+)", done.stderr)[1])
    options = ("--format", "llama-logits", "--text", text, "--models", f"p={args.model}", "--output", own)
    say(args.tokshift, "export", work / "out", *options)
    common = ("-f", text, "-c", WINDOW, "--chunks", args.windows, "-t", args.threads, *more)
    found = []
    for file in [base, own]:
        said = say(args.llama_cpp / "llama-perplexity", "-m", q, *common, "--kl-divergence-base", file, "--kl-divergence")
        found.append(float(re.search(r"Mean\s+KLD:\s+(-?[\d.]+)", said)[1]))
    return [("of llama.cpp's file", ours, found[0], 1e-4), ("of tokshift's file", found[1], found[0], 0.01 * found[0])]


def column(rows: list[dict], **wanted: str) -> dict:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def tokshift(args: argparse.Namespace, out: Path, text: Path) -> tuple[dict, dict[str, np.ndarray]]:
    """The same figures of tokshift's, and the pairs table."""
    models = f"p={args.model},q={args.q}"
    options = ("--generation-model", "p", "--task", "t", "--limit", args.windows, "--threads", args.threads)
    score = ("score", "--text", text, "--window", WINDOW, "--models", models, *options, "--keep-hidden")
    say(args.tokshift, *score, "--output-dir", out)
    say(args.tokshift, "kl", "--exact", "--data-dir", out, "--models", models)
    pair = json.loads(say(args.tokshift, "kl", "--quantiles", "--json", "--data-dir", out))["pairs"][0]
    mean = {row["name"]: row["token_mean"]["value"] for row in pair["measures"] if row["token_mean"]}
    figures = {
        "Mean PPL(Q)": pair["perplexity"]["q"]["value"],
        "Mean PPL(base)": pair["perplexity"]["p"]["value"],
        "Mean PPL(Q)/PPL(base)": pair["perplexity_ratio"]["value"],
        "Mean PPL(Q)-PPL(base)": pair["perplexity_difference"]["value"],
        "Cor(ln(PPL(Q)), ln(PPL(base)))": 100 * pair["log_perplexity_correlation"],
        "Mean KLD": mean["kl"],
        "lower bound": mean["kl_lower"],
        "upper bound": mean["kl_upper"],
        "Mean Δp": 100 * mean["delta_p"],
        "RMS Δp": 100 * pair["rms_delta_p"]["value"],
        "Same top p": 100 * mean["same_top"],
    }
    for name, measure, factor in [("KLD", "kl", 1), ("Δp", "delta_p", 100)]:
        quantiles = column(pair["quantiles"], measure=measure)["quantiles"]
        for theirs, ours in QUANTILES.items():
            figures[f"{theirs} {name}"] = factor * column(quantiles, name=ours)["value"]
    table = ds.dataset(out / "pairs", partitioning="hive", exclude_invalid_files=False)
    table = table.to_table(filter=ds.field("token_id").is_valid()).sort_by([("sample_id", "ascending"), ("position", "ascending")])
    return figures, {name: table[name].to_numpy() for name in ["token_id", "kl", "delta_p", "delta_logprob"]}


def errors(rows: dict[str, np.ndarray]) -> dict[str, float]:
    """What llama.cpp writes after ±: as if tokens were independent."""
    n = len(rows["kl"])
    error = lambda values: values.std() / math.sqrt(n - 1)
    squares = rows["delta_p"].astype(float) ** 2
    rms = math.sqrt(squares.mean())
    return {
        "Mean KLD": error(rows["kl"]),
        "Mean Δp": 100 * error(rows["delta_p"]),
        "RMS Δp": 100 * error(squares) / (2 * rms),
        "Mean PPL(Q)/PPL(base)": math.exp(-rows["delta_logprob"].mean()) * error(rows["delta_logprob"]),
    }


def allowed(name: str, value: float, perplexity: float) -> float:
    """How far apart both may be, in the figure's unit."""
    if name == "Mean PPL(Q)-PPL(base)":
        return 1e-3 * perplexity
    if name.startswith("Mean PPL"):
        return 1e-3 * value
    if name in ("Mean KLD", "Median KLD"):
        return 0.03 * value + 6e-4
    if name == "Same top p":
        return 0.3
    # Of ten thousand tokens the ends are single ones, and llama.cpp counts by f32.
    return 0.1 if name.endswith("Δp") and not name.startswith(("Maximum", "Minimum")) else math.inf


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("text", type=Path)
    parser.add_argument("--tokshift", type=Path, required=True)
    parser.add_argument("--llama-cpp", type=Path, required=True)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        args.q, p_f32, q_f32, text = (work / name for name in ["q.gguf", "p-f32.gguf", "q-f32.gguf", "text"])
        # llama.cpp takes one line's end off the file.
        text.write_text(args.text.read_text().rstrip("\n"))
        requantise(args.model, args.q, "Q4_0", only="Q4_1")
        requantise(args.model, p_f32, "F32")
        requantise(args.q, q_f32, "F32")
        ours, rows = tokshift(args, work / "out", text)
        f32 = ("-ctk", "f32", "-ctv", "f32", "-fa", "off")
        theirs, ids = llama_cpp(args, work / "base", p_f32, q_f32, text, *f32)
        files = of_the_others_file(args, work, work / "base", p_f32, q_f32, text, *f32)
        quantised, _ = llama_cpp(args, work / "base", args.model, args.q, text)
        windows = [ids[at : at + WINDOW] for at in range(0, len(ids), WINDOW)]
        scored = np.concatenate([window[WINDOW // 2 + 1 :] for window in windows])

    assert np.array_equal(scored, rows["token_id"]), "the ids are not the same: is there a special token in the text?"
    print(f"{len(windows)} windows, {len(scored)} scored tokens, ids equal")
    print(f"{'':32}{'tokshift':>12}{'llama.cpp f32':>15}{'apart':>12}{'allowed':>12}{'llama.cpp quantised':>21}")
    wrong = []
    for name, value in ours.items():
        if name not in theirs:
            print(f"{name:32}{value:12.6f}")
            continue
        other, limit = theirs[name][0], allowed(name, abs(theirs[name][0]), theirs["Mean PPL(base)"][0])
        apart, shown = abs(value - other), "" if math.isinf(limit) else f"{limit:.6f}"
        print(f"{name:32}{value:12.6f}{other:15.6f}{apart:12.6f}{shown:>12}{quantised[name][0]:21.6f}")
        wrong += [name] if apart > limit else []
    print("\nerrors, as if tokens were independent")
    for name, error in errors(rows).items():
        other = theirs[name][1]
        # It prints six digits after the point, three of percent.
        digits = 5e-4 if "Δp" in name else 5e-7
        print(f"{name:32}{error:12.6f}{other:15.6f}")
        wrong += [] if abs(error - other) <= 0.05 * other + digits else [f"± of {name}"]
    print("\nmean KLD over the other's logits file")
    for name, value, other, limit in files:
        print(f"{name:32}{value:12.6f}{other:15.6f}{abs(value - other):12.6f}{limit:12.6f}")
        wrong += [] if abs(value - other) <= limit else [name]
    if not ours["lower bound"] <= ours["Mean KLD"] <= ours["upper bound"]:
        wrong.append("bounds")
    if wrong:
        raise SystemExit(f"further apart than allowed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
