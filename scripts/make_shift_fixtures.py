#!/usr/bin/env python3
"""Writes tests/fixtures/shift/statistics.json: small random data, and what numpy and scipy make of it.

    python scripts/make_shift_fixtures.py        # numpy 2, scipy 1.17

By other formulas than tokshift's: a difference of two texts' means is the coefficient of an indicator in a regression
over all rows of both, a slope is a coefficient too, and their errors are White's sandwich with sums by cluster. A
correlation's error is by the derivatives of r with respect to the five moments (the delta method).
Values are multiples of 1/64, so that f32 holds them and their differences exactly.
"""

import json
from pathlib import Path

import numpy as np
from scipy import stats

RANDOM = np.random.default_rng(25)
TEXTS = ["sft", "rl"]


def estimate(value, stderr, degrees):
    reach = stats.t.ppf(0.975, degrees) * stderr
    return {"value": value, "stderr": stderr, "low": value - reach, "high": value + reach}


def regression(columns, y, clusters):
    """The last coefficient of least squares and its error, clustered, with the factor G / (G - 1)."""
    x = np.column_stack([np.ones(len(y)), *columns])
    bread = np.linalg.inv(x.T @ x)
    beta = bread @ x.T @ y
    scores = x * (y - x @ beta)[:, None]
    names = sorted(set(clusters))
    sums = np.array([scores[[c == name for c in clusters]].sum(axis=0) for name in names])
    g = len(names)
    covariance = bread @ (sums.T @ sums) @ bread * g / (g - 1)
    return estimate(beta[-1], np.sqrt(covariance[-1, -1]), g - 1)


def sample(text, task, prompt):
    shift = RANDOM.normal(0.4 if text == "sft" else 0.1, 0.2) + 0.3 * np.sin(prompt)
    kls = np.round(RANDOM.normal(shift, 0.5, RANDOM.integers(1, 7)) * 64) / 64
    return {"text": text, "task": task, "prompt": f"p{prompt}", "k1": kls.tolist()}


def samples():
    """Three tasks; unequal numbers of samples a prompt; prompts that only one text has."""
    found = []
    for task, prompts in [("math", 12), ("code", 7), ("chat", 40)]:
        for text in TEXTS:
            has = range(0, prompts - 1) if text == "rl" else range(2, prompts)
            for prompt in has:
                found += [sample(text, task, prompt) for _ in range(RANDOM.integers(1, 5))]
    return found


def rows(samples, mean):
    """Value, whether it is of sft, and cluster of every row that a mean is over, of the prompts of both texts."""
    keys = {text: {(s["task"], s["prompt"]) for s in samples if s["text"] == text} for text in TEXTS}
    both = keys["sft"] & keys["rl"]
    found = []
    for s in samples:
        key = (s["task"], s["prompt"])
        if key in both:
            of = {"token_mean": s["k1"], "sample_mean": [np.mean(s["k1"])], "response_mean": [np.sum(s["k1"])]}
            found += [(value, s["text"] == "sft", key) for value in of[mean]]
    return found


def between(samples, mean):
    if mean == "prompt_mean":
        # A paired t test of the prompts' means.
        by_prompt = {}
        for value, is_sft, key in rows(samples, "sample_mean"):
            by_prompt.setdefault(key, ([], []))[0 if is_sft else 1].append(value)
        less = np.array([np.mean(a) - np.mean(b) for a, b in by_prompt.values()])
        return estimate(less.mean(), stats.sem(less), len(less) - 1)
    y, is_sft, keys = zip(*rows(samples, mean))
    return regression([np.array(is_sft, float)], np.array(y), keys)


def mean_of_tasks(estimates, degrees):
    variances = np.array([e["stderr"] ** 2 for e in estimates])
    welch = variances.sum() ** 2 / (variances**2 / degrees).sum()
    k = len(estimates)
    return estimate(np.mean([e["value"] for e in estimates]), np.sqrt(variances.sum()) / k, int(welch))


def correlation(x, y, clusters):
    """r as a function of the five moments, its gradient by central differences of longdoubles."""
    moments = np.array([x, y, x * x, y * y, x * y], dtype=np.longdouble)
    mean = moments.mean(axis=1)

    def r(m):
        return (m[4] - m[0] * m[1]) / np.sqrt((m[2] - m[0] ** 2) * (m[3] - m[1] ** 2))

    step = np.longdouble(1e-6)
    gradient = [(r(mean + step * e) - r(mean - step * e)) / (2 * step) for e in np.eye(5, dtype=np.longdouble)]
    influence = np.array(gradient) @ (moments - mean[:, None])
    names = sorted(set(clusters))
    g = len(names)
    sums = np.array([influence[[c == name for c in clusters]].sum() for name in names])
    stderr = np.sqrt(g / (g - 1) * (sums**2).sum()) / len(x)
    value = float(r(mean))
    reach = stats.t.ppf(0.975, g - 1) * float(stderr) / (1 - value**2)
    ends = np.tanh(np.arctanh(value) + np.array([-reach, reach]))
    return {"value": value, "stderr": float(stderr), "low": ends[0], "high": ends[1]}


def relations(samples, text, task):
    of = [s for s in samples if (s["text"], s["task"]) == (text, task)]
    x = np.array([s["reward"] for s in of])
    clusters = [s["prompt"] for s in of]
    found = {}
    for name, value in [("per_token", np.mean), ("per_response", np.sum)]:
        y = np.array([value(s["k1"]) for s in of])
        found[name] = {"slope": regression([x], y, clusters), "correlation": correlation(x, y, clusters)}
    return found


def main():
    all_samples = samples()
    for s in all_samples:
        s["reward"] = float(np.round((RANDOM.normal() + np.sum(s["k1"])) * 4) / 4)
    means = ["token_mean", "sample_mean", "prompt_mean", "response_mean"]
    tasks = sorted({s["task"] for s in all_samples})
    expected = {"tasks": {}, "overall": {}, "mean_of_tasks": {}, "relations": []}
    for task in tasks:
        of = [s for s in all_samples if s["task"] == task]
        expected["tasks"][task] = {mean: between(of, mean) for mean in means}
    prompts = {task: len({key for *_, key in rows([s for s in all_samples if s["task"] == task], "sample_mean")}) for task in tasks}
    for mean in means:
        expected["overall"][mean] = between(all_samples, mean)
        each = [expected["tasks"][task][mean] for task in tasks]
        expected["mean_of_tasks"][mean] = mean_of_tasks(each, np.array([prompts[task] - 1 for task in tasks]))
    for text in TEXTS:
        for task in tasks:
            expected["relations"].append({"text": text, "task": task, **relations(all_samples, text, task)})
    path = Path(__file__).parent.parent / "tests/fixtures/shift/statistics.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"samples": all_samples, "expected": expected}, indent=0) + "\n")


if __name__ == "__main__":
    main()
