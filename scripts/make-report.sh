#!/usr/bin/env bash
# Makes docs/report.html: a page of the demo's responses by `rl`, limited to 300 kB. scripts/check-report.sh makes it again
# and fails if a byte differs. Run this after a change of the page or of the demo's numbers.
#
#     scripts/make-report.sh                # writes docs/report.html
#     scripts/make-report.sh FILE           # writes another file
#
# Every x86-64 processor computes the same numbers, because TOKSHIFT_CPU=portable fixes the summation order.
set -euo pipefail
FILE=$(realpath -m "${1:-$(dirname "$0")/../docs/report.html}")
cd "$(dirname "$0")/.."
TOKSHIFT=$(realpath "${TOKSHIFT:-target/release/tokshift}" 2> /dev/null || true)
[ -x "$TOKSHIFT" ] || { cargo build --release --locked --bin tokshift; TOKSHIFT=$PWD/target/release/tokshift; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
TOKSHIFT_CPU=portable "$TOKSHIFT" demo > log 2>&1 || { cat log; exit 1; }
"$TOKSHIFT" report tokshift-demo/out --generation-model rl --tokenizer tokshift-demo/models/tokenizer.json \
    --max-size 300KB -o "$FILE"
