#!/usr/bin/env python3
"""Run the README's polars and DuckDB blocks on the demo's tables; what they give must be what `tokshift kl` says.

    python scripts/check_readme.py README.md DIRECTORY    # which holds tokshift-demo/ and kl.json
"""

import json
import os
import re
import sys
from pathlib import Path

import duckdb


def blocks(readme, language):
    return re.findall(rf"^```{language}\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)


def check_polars(source, comparison):
    """The means of k1 are those of `kl`."""
    names = {}
    exec(source, names)
    rows = {row["task"]: row for row in names["result"].to_dicts()}
    pairs = [p for p in comparison["pairs"] if (p["generation_model"], p["p"], p["q"]) == ("rl", "rl", "base")]
    assert rows.keys() == {p["task"] for p in pairs}, rows
    for pair in pairs:
        k1 = next(m for m in pair["measures"] if m["name"] == "kl_k1")["token_mean"]
        row = rows[pair["task"]]
        assert row["tokens"] == k1["n"] and abs(row["k1"] - k1["value"]) < 1e-12, (row, k1)
    return len(pairs)


def check_duckdb(query, comparison):
    """The places at which the favourite changed are those that `same_top` leaves (the query shows the ten first tokens)."""
    rows = duckdb.sql(query).fetchall()
    pair = next(
        p
        for p in comparison["pairs"]
        if (p["generation_model"], p["task"], p["p"], p["q"]) == ("rl", "arithmetic", "rl", "base")
    )
    same = next(m for m in pair["measures"] if m["name"] == "same_top")["token_mean"]
    changed = round((1 - same["value"]) * same["n"])
    shown = sum(places for _, places in rows)
    assert 0 < shown <= changed and (len(rows) == 10 or shown == changed), (rows, changed)
    assert rows == sorted(rows, key=lambda row: (-row[1], row[0])), rows
    return shown, changed


def of_rl(comparison):
    """Pairs of base with rl on its own texts, by task."""
    pairs = [p for p in comparison["pairs"] if (p["generation_model"], p["p"], p["q"]) == ("rl", "rl", "base")]
    return {pair["task"]: pair for pair in pairs}


def measure(pair, name):
    return next(m for m in pair["measures"] if m["name"] == name)


def check_exact_polars(source, comparison):
    """Exact KL a token and a response, as `kl` has them."""
    names, pairs = {}, of_rl(comparison)
    exec(source, names)
    rows = {row["task"]: row for row in names["result"].to_dicts()}
    assert rows.keys() == pairs.keys(), rows
    for task, pair in pairs.items():
        kl = measure(pair, "kl")
        for column, mean in (("kl_token", "token_mean"), ("kl_response", "response_mean")):
            assert abs(rows[task][column] - kl[mean]["value"]) < 1e-12 * (1 + kl[mean]["value"]), (task, column)
    return len(rows)


def check_exact_duckdb(query, comparison):
    """A quantile as `kl` has it; what `kl` takes from f32 columns agrees to their digits."""
    rows, pairs = duckdb.sql(query).fetchall(), of_rl(comparison)
    assert [row[0] for row in rows] == sorted(pairs), rows
    for task, kl_99, rms_delta_p, ratio in rows:
        pair = pairs[task]
        quantiles = next(q for q in pair["quantiles"] if q["measure"] == "kl")["quantiles"]
        expected = next(q for q in quantiles if q["name"] == "q0.99")["value"]
        assert abs(kl_99 - expected) < 1e-12 * (1 + expected), (task, kl_99, expected)
        for found, name in ((rms_delta_p, "rms_delta_p"), (ratio, "perplexity_ratio")):
            assert abs(found - pair[name]["value"]) < 1e-5, (task, name, found, pair[name])
    return len(rows)


def main():
    readme, directory = Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]
    os.chdir(directory)
    comparison = json.loads(Path("kl.json").read_text(encoding="utf-8"))
    # As many blocks as are known, in the README's order.
    source, exact_source = blocks(readme, "python")
    query, exact_query = blocks(readme, "sql")
    print(f"polars: {check_polars(source, comparison)} tasks as `kl` says")
    print("DuckDB: {} of {} places".format(*check_duckdb(query, comparison)))
    print(f"polars: exact KL of {check_exact_polars(exact_source, comparison)} tasks as `kl` says")
    print(f"DuckDB: exact figures of {check_exact_duckdb(exact_query, comparison)} tasks as `kl` says")


if __name__ == "__main__":
    main()
