#!/usr/bin/env python3
"""Run every code block of docs/recipes.md, and the join of docs/measures.md, on the demo's tables.

    python scripts/check_recipes.py DIRECTORY    # which contains tokshift-demo/ and kl.json

What a block computes must equal what `tokshift kl --json --quantiles --slices` says (kl.json).
"""

import contextlib
import io
import json
import os
import re
import sys
from pathlib import Path

import duckdb

DOCS = Path(__file__).resolve().parent.parent / "docs"


def blocks(markdown):
    """(heading or bold beginning of a paragraph, language, source) of every block that can run."""
    found, heading = [], ""
    for match in re.finditer(r"^#+ ([^\n]*)$|^\*\*([^\n]*?)\.\*\*|^```(python|sql)\n(.*?)^```", markdown, re.DOTALL | re.MULTILINE):
        title, bold, language, source = match.groups()
        heading = title or bold or heading
        if language:
            found.append((heading, language, source))
    return found


def run(language, source):
    """The frame that a block leaves in `result`, or a query's rows."""
    if language == "sql":
        return duckdb.sql(source).fetchall()
    names = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(source, names)
    return names["result"]


class Said:
    """What `kl` says of rl and base on the responses that rl wrote."""

    def __init__(self, comparison):
        of_pair = lambda p: (p["generation_model"], p["p"], p["q"]) == ("rl", "rl", "base")
        self.pairs = {p["task"]: p for p in comparison["pairs"] if of_pair(p)}

    def mean(self, task, measure, kind="token_mean"):
        return next(m for m in self.pairs[task]["measures"] if m["name"] == measure)[kind]

    def quantile(self, task, name):
        quantiles = next(q for q in self.pairs[task]["quantiles"] if q["measure"] == "kl")["quantiles"]
        return next(q for q in quantiles if q["name"] == name)["value"]

    def slices(self, task, by):
        found = [s for s in self.pairs[task]["slices"] if s["by"] == by]
        return {s["value"]: next(m for m in s["measures"] if m["name"] == "kl")["token_mean"] for s in found}


def near(found, expected, digits=1e-12):
    assert abs(found - expected) < digits * (1 + abs(expected)), (found, expected)


def k1_by_task(result, said):
    rows = {row["task"]: row for row in result.to_dicts()}
    assert rows.keys() == said.pairs.keys(), rows
    for task, row in rows.items():
        k1 = said.mean(task, "kl_k1")
        assert row["tokens"] == k1["n"], (row, k1)
        near(row["k1"], k1["value"])
    return f"k1 of {len(rows)} tasks"


def exact_by_task(result, said):
    rows = {row["task"]: row for row in result.to_dicts()}
    assert rows.keys() == said.pairs.keys(), rows
    for task, row in rows.items():
        near(row["kl_token"], said.mean(task, "kl")["value"])
        near(row["kl_response"], said.mean(task, "kl", "response_mean")["value"])
    return f"exact KL of {len(rows)} tasks"


def responses(result, said):
    """Equal sums may come in either order; `kl` shortens long texts."""
    expected = {row["sample_id"]: row for row in said.pairs["chat"]["read_first"]["responses"][: len(result)]}
    assert set(result["sample_id"]) == expected.keys(), (result, expected)
    for row in result.to_dicts():
        other = expected[row["sample_id"]]
        near(row["nats"], other["nats"])
        assert row["row_id"] == other["row_id"] and row["response"].startswith(other["text"].rstrip("…")), (row, other)
    return f"the {len(expected)} responses that differ most"


def changed_tokens(rows, said):
    """The query shows the ten first tokens; the places of all are those that `same_top` leaves."""
    same = said.mean("arithmetic", "same_top")
    changed, shown = round((1 - same["value"]) * same["n"]), sum(places for _, places in rows)
    assert 0 < shown <= changed and (len(rows) == 10 or shown == changed), (rows, changed)
    assert rows == sorted(rows, key=lambda row: (-row[1], row[0])), rows
    return f"{shown} of {changed} changed tokens"


def quantiles(rows, said):
    """`kl` computes the last two from f32 columns, so they agree to the digits of these."""
    assert [row[0] for row in rows] == sorted(said.pairs), rows
    for task, kl_99, rms_delta_p, ratio in rows:
        near(kl_99, said.quantile(task, "q0.99"))
        near(rms_delta_p, said.pairs[task]["rms_delta_p"]["value"], 1e-5)
        near(ratio, said.pairs[task]["perplexity_ratio"]["value"], 1e-5)
    return f"quantiles of {len(rows)} tasks"


def clustered(result, said):
    assert set(result.index) == said.pairs.keys(), result
    for task, row in result.iterrows():
        kl = said.mean(task, "kl")
        near(row.kl, kl["value"])
        near(row.stderr, kl["stderr"])
        assert row.clusters == kl["clusters"], (row, kl)
    return f"clustered standard errors of {len(result)} tasks"


def by_field(result, said):
    expected = said.slices("chat", "field.kind")
    assert expected and set(result.index) == expected.keys(), (result, expected)
    for value, row in result.iterrows():
        near(row["mean"], expected[value]["value"])
        assert row["count"] == expected[value]["n"], (row, expected[value])
    return f"{len(result)} slices by a kept field"


def texts(rows, said):
    """Every row of the pairs tables once; what was written is a token of the response; changes are those of `same_top`."""
    pairs = "read_parquet('tokshift-demo/out/pairs/**/*.parquet', hive_partitioning = true)"
    columns = [name for name, *_ in duckdb.sql(f"DESCRIBE SELECT * FROM {pairs}").fetchall()]
    rows = [dict(zip([*columns, "token", "top_p_text", "top_q_text"], row, strict=True)) for row in rows]
    assert len(rows) == duckdb.sql(f"SELECT count(*) FROM {pairs}").fetchall()[0][0]
    written = [row for row in rows if row["token_id"] is not None]
    assert all(row["token"] is not None for row in written) and all(
        row["token"] == row["top_p_text"] for row in written if row["token_id"] == row["top_p"] and row["token"] != ""
    )
    assert all(row["top_p_text"] and row["top_q_text"] for row in rows), "an id without a text"
    of_pair = lambda row: (row["generation_model"], row["task"], row["p"], row["q"]) == ("rl", "arithmetic", "rl", "base")
    mine = [row for row in written if of_pair(row)]
    same = said.mean("arithmetic", "same_top")
    changed = round((1 - same["value"]) * same["n"])
    assert sum(row["top_p"] != row["top_q"] for row in mine) == changed, changed
    return f"texts of {len(written)} rows"


CHECKS = {
    "recipes.md": {
        "KL of a pair by task, estimated by k1 (polars)": k1_by_task,
        "Exact KL in nats per token and per response (polars)": exact_by_task,
        "Responses that differ most (polars)": responses,
        "Tokens at which the most likely token changed (DuckDB)": changed_tokens,
        "Quantiles, change of probability and ratio of perplexities (DuckDB)": quantiles,
        "Exact KL with standard errors clustered by prompt (pandas)": clustered,
        "KL by a kept field (pandas)": by_field,
    },
    "measures.md": {"Texts of ids": texts},
}


def main():
    os.chdir(sys.argv[1])
    said = Said(json.loads(Path("kl.json").read_text(encoding="utf-8")))
    for name, checks in CHECKS.items():
        found = blocks((DOCS / name).read_text(encoding="utf-8"))
        headings = [heading for heading, *_ in found]
        assert headings == list(checks), f"docs/{name}: a block for each of {list(checks)}, found {headings}"
        for heading, language, source in found:
            print(f"docs/{name}, {heading}: {checks[heading](run(language, source), said)} as `kl` says")


if __name__ == "__main__":
    main()
