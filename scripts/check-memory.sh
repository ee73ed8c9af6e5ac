#!/usr/bin/env bash
# Slow check: the memory of `tokshift score` does not grow with the number of rows.
#
#     scripts/check-memory.sh               # 200 and 5,000 rows; the peaks may differ by 10%
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

few=$(peak "${FEW:-200}")
many=$(peak "${MANY:-5000}")
awk -v few="$few" -v many="$many" 'BEGIN {
    printf "peak memory: %.1f MiB at '"${FEW:-200}"' rows, %.1f MiB at '"${MANY:-5000}"' rows (%+.1f%%)\n", \
        few / 1024, many / 1024, 100 * (many / few - 1)
    exit many > few * 1.1
}'
