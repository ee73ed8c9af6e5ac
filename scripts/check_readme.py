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


def main():
    readme, directory = Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2]
    os.chdir(directory)
    comparison = json.loads(Path("kl.json").read_text(encoding="utf-8"))
    ran = 0
    for source in blocks(readme, "python"):
        print(f"polars: {check_polars(source, comparison)} tasks as `kl` says")
        ran += 1
    for query in blocks(readme, "sql"):
        shown, changed = check_duckdb(query, comparison)
        print(f"DuckDB: {shown} of {changed} places")
        ran += 1
    assert ran == 2, f"{ran} blocks found in the README"


if __name__ == "__main__":
    main()
