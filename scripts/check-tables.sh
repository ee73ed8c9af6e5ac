#!/bin/sh
# Read tokshift's tables with polars, DuckDB and pandas: names, types, partitions and numbers must be what these expect.
# Then run every recipe of docs/recipes.md.
#
#     scripts/check-tables.sh               # makes a virtual environment under target/
#     PYTHON=python3 scripts/check-tables.sh    # one that has polars, duckdb, pandas and pyarrow already
set -eu
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
binary=$(realpath "$binary")

if [ -z "${PYTHON:-}" ]; then
    environment=target/check-tables
    PYTHON=$environment/bin/python
    [ -x "$PYTHON" ] || python3 -m venv "$environment"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check polars duckdb pandas pyarrow
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
rows=tests/fixtures/rows/tiny-rl_demo.jsonl
models=tests/fixtures/models
"$binary" score --dataset "$rows" --output-dir "$out" --end auto --keep-fields reward,correct \
    --models "tied=$models/qwen3-tied,shifted=$models/qwen3-shifted"
"$PYTHON" scripts/check_tables.py "$out" "$rows"

# The recipes, as they stand in docs/, on what the demo leaves.
(cd "$out" && "$binary" demo > /dev/null 2>&1 && "$binary" kl --json --quantiles --slices tokshift-demo/out > kl.json)
"$PYTHON" scripts/check_recipes.py "$out"
