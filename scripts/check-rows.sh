#!/usr/bin/env bash
# Slow check: a million short rows go through the pipeline (with made-up scores, so that nothing else is measured) and
# through `kl`: rows a second, and peak memory compared with that of a run of one row, which may differ by 300 MB.
#
#     scripts/check-rows.sh             # a million rows, some minutes and 3 GB of disk
#     ROWS=100000 scripts/check-rows.sh
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
rows=${ROWS:-1000000}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Seconds and peak resident KiB of a command, as the kernel counted them.
measure() {
    python3 - "$@" <<'PYTHON'
import os, subprocess, sys, time

start = time.monotonic()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
assert status == 0, (status, sys.argv)
print(f"{time.monotonic() - start:.1f} {usage.ru_maxrss}")
PYTHON
}

score() {
    python3 scripts/make_rows.py "$1" 3 > "$work/p_$1.jsonl"
    measure "$binary" score --engine mock --dataset "$work/p_$1.jsonl" --output-dir "$work/$1" --threads 2 --top-k 5 \
        --models "p=tests/fixtures/models/qwen3-tied,q=tests/fixtures/models/qwen3-shifted"
}

compare() {
    measure "$binary" kl --threads 2 --data-dir "$work/$1"
}

read -r _ empty < <(score 1)
read -r seconds full < <(score "$rows")
read -r _ empty_kl < <(compare 1)
read -r seconds_kl full_kl < <(compare "$rows")
awk -v rows="$rows" -v empty="$empty" -v full="$full" -v s="$seconds" -v e="$empty_kl" -v f="$full_kl" -v k="$seconds_kl" '
BEGIN {
    printf "score: %d rows x 2 models in %.0f s, %.0f rows/s; peak %.0f MB, %.0f MB above one row\n", \
        rows, s, 2 * rows / s, full / 1024, (full - empty) / 1024
    printf "kl: %.0f s; peak %.0f MB, %.0f MB above one row\n", k, f / 1024, (f - e) / 1024
    exit full - empty > 300 * 1024
}'
