#!/bin/sh
# Score 100 tiny checkpoints, saved by two versions of transformers, and 51 adapters of PEFT, and compare every
# log-probability with theirs in f32: equal within 2e-4, or rejected by name.
#
# pip brings CUDA's libraries (some 5 GB) with torch, unless PIP_EXTRA_INDEX_URL names the index of its CPU wheels.
#
#     scripts/check-checkpoints.sh                                       # makes virtual environments under target/
#     PYTHON5=python3 PYTHON4=python3.11 scripts/check-checkpoints.sh    # with torch, and transformers 5 and PEFT, and 4
set -eu
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
TOKSHIFT=$(realpath "$binary")
export TOKSHIFT OMP_NUM_THREADS=1 TRANSFORMERS_VERBOSITY=error HF_HUB_OFFLINE=1

environment() {
    python=target/check-checkpoints/$1/bin/python
    [ -x "$python" ] || python3 -m venv "target/check-checkpoints/$1"
    "$python" -m pip install --quiet --disable-pip-version-check \
        torch==2.13.0 numpy "$2" "$3"
    echo "$python"
}
PYTHON5=${PYTHON5:-$(environment 5 transformers==5.24.0 peft==0.21.2)}
PYTHON4=${PYTHON4:-$(environment 4 transformers==4.57.3 safetensors)}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$PYTHON5" scripts/check_checkpoints.py save "$work"
"$PYTHON4" scripts/check_checkpoints.py save "$work"
"$PYTHON5" scripts/check_checkpoints.py adapt "$work"
"$PYTHON5" scripts/check_checkpoints.py compare "$work"
