"""Makes a rollout engine's and a trainer's numbers of one tiny model with a known mismatch, and what numpy says of them.

    pip install torch==2.13.0 transformers==5.24.0 numpy
    OMP_NUM_THREADS=1 python scripts/make_mismatch.py

tests/fixtures/recorded/mismatch.jsonl.gz: rows as prime-rl's token exports have them (token_ids, loss_mask,
inference_logprobs, trainer_logprobs, step, env_name), 240 sequences of 60 prompts. `llama-bf16` samples them at temperature 1
with its products in bf16; the trainer is the same weights in f32, with normal noise added to the output head: none at step 1,
and of 1% and 30% of its standard deviation at steps 2 and 3. Every third sequence has two sampled stretches.
tests/fixtures/recorded/mismatch.json: every statistic of the weights by numpy, in f64, from its definition in
docs/measures.md, without a line of tokshift's.

    python scripts/make_mismatch.py --check OUT.json   # compares what `tokshift kl out --json` printed of the rows
"""

import argparse
import gzip
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent.parent
OUT = ROOT / "tests/fixtures/recorded"
MODEL = ROOT / "tests/fixtures/models/llama-bf16"
PROMPTS, ROLLOUTS, NOISE = 60, 4, {1: 0.0, 2: 0.01, 3: 0.3}
CAP, FAR = 2.0, (0.5, 2.0)


def rows():
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(11)
    sampler = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.bfloat16)
    trainers = {}
    for step, noise in NOISE.items():
        trainers[step] = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
        head = trainers[step].lm_head.weight
        # The head is tied to the embedding, which stays as it is.
        trainers[step].lm_head.weight = torch.nn.Parameter(head + noise * head.std() * torch.randn_like(head))
    rng = np.random.default_rng(11)
    for prompt in range(PROMPTS):
        step = 1 + prompt % 3
        given = rng.integers(0, 300, size=int(rng.integers(3, 8))).tolist()
        for rollout in range(ROLLOUTS):
            ids, mask = list(given), [False] * len(given)
            stretches = 2 if (prompt + rollout) % 3 == 0 else 1
            for stretch in range(stretches):
                if stretch > 0:
                    # What a tool answered.
                    answer = rng.integers(0, 300, size=3).tolist()
                    ids, mask = ids + answer, mask + [False] * 3
                for _ in range(int(rng.integers(4, 13))):
                    with torch.no_grad():
                        logits = sampler(torch.tensor([ids])).logits[0, -1].float()
                    ids.append(int(torch.multinomial(torch.softmax(logits, -1), 1)))
                    mask.append(True)
            numbers = []
            for model in (sampler, trainers[step]):
                with torch.no_grad():
                    logits = model(torch.tensor([ids])).logits[0].float()
                logprobs = torch.log_softmax(logits, -1)[:-1].gather(1, torch.tensor(ids[1:])[:, None])[:, 0]
                numbers.append([0.0, *(float(x) for x in logprobs)])
            yield {
                "step": step,
                "env_name": "demo",
                "token_ids": ids,
                "loss_mask": mask,
                "inference_logprobs": numbers[0],
                "trainer_logprobs": numbers[1],
            }


def clustered(values, clusters):
    """Mean and standard error over the units, clustered."""
    values, n = np.asarray(values, float), len(values)
    mean = values.mean()
    names = sorted(set(clusters))
    sums = np.array([sum((values[i] - mean) for i in range(n) if clusters[i] == name) for name in names])
    g = len(names)
    return mean, np.sqrt(g / (g - 1) * (sums**2).sum()) / n


def level(w, clusters):
    w = np.asarray(w)
    found = {}

    def add(name, value, influence):
        """The error of a function of means is that of the mean of its influence on each unit."""
        found[name] = {"value": float(value), "stderr": float(clustered(influence, clusters)[1])}

    add("mean", w.mean(), w)
    found["min"], found["max"] = float(w.min()), float(w.max())
    outside, above, cut = (w < FAR[0]) | (w > FAR[1]), w > CAP, np.minimum(w, CAP)
    add("share_outside", outside.mean(), outside)
    add("share_above_cap", above.mean(), above)
    add("mean_capped", cut.mean(), cut)
    add("chi2", (w**2).mean() - 1, w**2)
    for name, x in (("ess", w), ("ess_capped", cut)):
        m1, m2 = x.mean(), (x**2).mean()
        add(name, x.sum() ** 2 / (len(x) * (x**2).sum()), 2 * m1 / m2 * (x - m1) - (m1 / m2) ** 2 * (x**2 - m2))
    m1, m2 = w.mean(), (w**2).mean()
    ess = w.sum() ** 2 / (len(w) * (w**2).sum())
    add("chi2_of_ess", 1 / ess - 1, (w**2 - m2) / m1**2 - 2 * m2 / m1**3 * (w - m1))
    by_cluster = {}
    for x, cluster in zip(w, clusters):
        by_cluster[cluster] = by_cluster.get(cluster, 0.0) + x * x
    found["largest_cluster"] = float(max(by_cluster.values()) / (w**2).sum())
    return found


def statistics(rows):
    a = [np.array([x for x, s in zip(row["inference_logprobs"], row["loss_mask"]) if s]) for row in rows]
    b = [np.array([x for x, s in zip(row["trainer_logprobs"], row["loss_mask"]) if s]) for row in rows]
    # Tables hold f32.
    a, b = ([x.astype(np.float32).astype(np.float64) for x in side] for side in (a, b))
    prompts = [tuple(row["token_ids"][: row["loss_mask"].index(True)]) for row in rows]
    of_token = [prompt for prompt, x in zip(prompts, a) for _ in x]
    p, q = np.concatenate(a), np.concatenate(b)
    d = q - p
    sums = np.array([(y - x).sum() for x, y in zip(a, b)])
    means = np.array([(y - x).mean() for x, y in zip(a, b)])
    found = {
        "tokens": len(d),
        "samples": len(rows),
        "token": level(np.exp(d), of_token),
        "sequence": level(np.exp(sums), prompts),
        "sequence_mean": level(np.exp(means), prompts),
        "probability_correlation": float(np.corrcoef(np.exp(p), np.exp(q))[0, 1]),
    }
    tokens = {
        "kl_k1": -d,
        "kl_k2": d**2 / 2,
        "kl_k3": np.expm1(d) - d,
        "abs_delta_logprob": np.abs(d),
        "exp_abs_delta_logprob": np.exp(np.abs(d)),
    }
    for name, values in tokens.items():
        value, error = clustered(values, of_token)
        found[name] = {"value": float(value), "stderr": float(error)}
    for name, values in (("perplexity_p", -p), ("perplexity_q", -q), ("perplexity_ratio", -d)):
        value, error = clustered(values, of_token)
        found[name] = {"value": float(np.exp(value)), "stderr": float(error * np.exp(value))}
    found["named"] = named(a, b)
    return found


def named(a, b):
    """The frameworks' own formulas."""
    p, q = np.concatenate(a), np.concatenate(b)
    d = q - p
    w, s = np.exp(d), np.array([(y - x).sum() for x, y in zip(a, b)])
    cut = np.minimum(w, 2)
    parts = np.cumsum([len(x) for x in a])[:-1]
    of_samples = np.array([x.mean() for x in np.split(cut, parts)])
    raw = np.array([x.mean() for x in np.split(w, parts)])
    difference = np.array([(x - y).mean() for x, y in zip(a, b)])
    delta = np.abs(np.exp(q) - np.exp(p))
    masked = np.where(np.exp(s) > 3, 0, np.exp(s))
    mixture = np.log(0.5 * np.exp(p) + 0.5 * np.exp(q))
    js = 0.5 * (np.exp(q - mixture) - (q - mixture) - 1 + np.exp(p - mixture) - (p - mixture) - 1)
    k3 = np.exp(d) - d - 1
    verl = {
        "kl": (p - q).mean(),
        "k3_kl": k3.mean(),
        "training_ppl": np.mean([np.exp(-x.mean()) for x in b]),
        "training_log_ppl": np.mean([-x.mean() for x in b]),
        "rollout_ppl": np.mean([np.exp(-x.mean()) for x in a]),
        "rollout_log_ppl": np.mean([-x.mean() for x in a]),
        "log_ppl_diff": difference.mean(),
        "log_ppl_abs_diff": np.abs(difference).mean(),
        "log_ppl_diff_max": difference.max(),
        "log_ppl_diff_min": difference.min(),
        "ppl_ratio": np.exp(difference).mean(),
        "chi2_token": (w**2).mean() - 1,
        "chi2_seq": np.exp(2 * s).mean() - 1,
        "rollout_is_mean": cut.mean(),
        "rollout_is_std": np.sqrt((cut**2).mean() - cut.mean() ** 2),
        "rollout_is_max": cut.max(),
        "rollout_is_min": cut.min(),
        "rollout_is_eff_sample_size": 1 / ((cut / (cut.mean() + 1e-8)) ** 2).mean(),
        "rollout_is_ratio_fraction_high": (w > 2).mean(),
        "rollout_is_ratio_fraction_low": (w < 0.5).mean(),
        "rollout_is_seq_mean": of_samples.mean(),
        "rollout_is_seq_std": of_samples.std(ddof=1),
        "rollout_is_seq_max": of_samples.max(),
        "rollout_is_seq_min": of_samples.min(),
        "rollout_is_seq_max_deviation": np.abs(of_samples - 1).max(),
        "rollout_is_seq_fraction_high": (raw > 2).mean(),
        "rollout_is_seq_fraction_low": (raw < 0.5).mean(),
    }
    verl = {f"rollout_corr/{key}": value for key, value in verl.items()} | {
        "training/rollout_probs_diff_mean": delta.mean(),
        "training/rollout_probs_diff_max": delta.max(),
        "training/rollout_probs_diff_std": delta.std(ddof=1),
        "training/rollout_actor_probs_pearson_corr": np.corrcoef(np.exp(p), np.exp(q))[0, 1],
    }
    trl = {
        "sampling/sampling_logp_difference/mean": np.abs(d).mean(),
        "sampling/sampling_logp_difference/max": np.abs(d).max(),
        "sampling/importance_sampling_ratio/min": masked.min(),
        "sampling/importance_sampling_ratio/mean": masked.mean(),
        "sampling/importance_sampling_ratio/max": masked.max(),
    }
    prime_rl = {
        "mismatch_kl/all/mean": k3.mean(),
        "mismatch_kl/all/std": k3.std(ddof=1),
        "mismatch_kl/all/max": k3.max(),
    }
    nemo_rl = {
        "train/token_mult_prob_error": np.exp(np.abs(d)).mean(),
        "train/gen_kl_error": k3.mean(),
        "train/policy_kl_error": (np.exp(-d) + d - 1).mean(),
        "train/js_divergence_error": js.mean(),
        "train/sampling_importance_ratio": w.mean(),
        "train/approx_entropy": -(w * q).mean(),
    }
    all_names = {"verl": verl, "trl": trl, "prime-rl": prime_rl, "nemo-rl": nemo_rl}
    return {name: {key: float(value) for key, value in found.items()} for name, found in all_names.items()}


def expected(rows):
    steps = sorted({row["step"] for row in rows})
    by_step = [{"step": step, "figures": statistics([r for r in rows if r["step"] == step])} for step in steps]
    return {"all": statistics(rows), "by_step": by_step}


def differences(expected, found, at=""):
    """Every number that differs by more than 1e-9, of itself where it is above 1."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            if key != "named":
                yield from differences(value, found.get(key), f"{at}.{key}")
    elif isinstance(expected, list):
        for place, value in enumerate(expected):
            yield from differences(value, found[place], f"{at}[{place}]")
    elif not abs(expected - found) <= 1e-9 * max(1.0, abs(expected)):
        yield f"{at}: numpy {expected!r}, tokshift {found!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", help="what `tokshift kl OUT --json` printed")
    args = parser.parse_args()
    path = OUT / "mismatch.jsonl.gz"
    if args.check:
        with gzip.open(path, "rt") as lines:
            wanted = expected([json.loads(line) for line in lines])
        weights = json.loads(Path(args.check).read_text())["pairs"][0]["weights"]
        wrong = list(differences(wanted, weights))
        print("\n".join(wrong) or "every number agrees to 1e-9")
        sys.exit(bool(wrong))
    made = list(rows())
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in made)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
    (OUT / "mismatch.json").write_text(json.dumps(expected(made), indent=1) + "\n")


if __name__ == "__main__":
    main()
