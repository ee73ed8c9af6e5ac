#!/usr/bin/env bash
# Slow check: the memory of `tokshift score` does not grow with the number of rows. Fewer rows than fill the pipeline
# need less, so that the smaller number is some 16 parts of 256 rows, each of which may wait before a stage.
#
#     scripts/check-memory.sh                       # 4,000 and 12,000 rows; the peaks may differ by 10%
#     FEW=200 MANY=5000 scripts/check-memory.sh     # fails: 200 rows are not one part
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Peak resident memory in KiB, as the kernel counted it.
peak() {
    python3 scripts/make_rows.py "$1" > "$work/rl_$1.jsonl"
    python3 - "$binary" score --dataset "$work/rl_$1.jsonl" --output-dir "$work/$1" --threads 2 \
        --models tied=tests/fixtures/models/qwen3-tied <<'PYTHON'
import os, subprocess, sys

_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:], stderr=subprocess.DEVNULL).pid, 0)
assert status == 0, status
print(usage.ru_maxrss)
PYTHON
}

few=$(peak "${FEW:-4000}")
many=$(peak "${MANY:-12000}")
awk -v few="$few" -v many="$many" 'BEGIN {
    printf "peak memory: %.1f MiB at '"${FEW:-4000}"' rows, %.1f MiB at '"${MANY:-12000}"' rows (%+.1f%%)\n", \
        few / 1024, many / 1024, 100 * (many / few - 1)
    exit many > few * 1.1
}'
