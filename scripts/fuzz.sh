#!/usr/bin/env bash
# Fuzzes every reader of files that others wrote, each for SECONDS (60 if not given); further names choose targets.
# Needs a C++ compiler for libFuzzer; the stable compiler will do. What it finds lies under target/fuzz/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls fuzz/corpus)

export RUSTC_WRAPPER="$PWD/fuzz/instrument.sh" CARGO_TARGET_DIR="$PWD/target"
cargo build --release --manifest-path fuzz/Cargo.toml $(printf -- '--bin %s ' "${targets[@]}")
for target in "${targets[@]}"; do
    found=target/fuzz/$target
    mkdir -p "$found/corpus" "fuzz/corpus/$target"
    echo "== $target"
    "target/release/$target" "$found/corpus" "fuzz/corpus/$target" -artifact_prefix="$found/" \
        -max_total_time="$seconds" -max_len=16384 -timeout=60 -rss_limit_mb=2048 -print_final_stats=1
done
