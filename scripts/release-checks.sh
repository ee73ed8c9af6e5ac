#!/usr/bin/env bash
# Before a release: the checks that take too long or load too much for .ci/run, one after the other; prints the minutes of
# each, and at the end those that failed.
#
#     scripts/release-checks.sh                 # all of them: some hours on two cores, some 10 GB under target/
#     scripts/release-checks.sh ids checkpoints # these alone
#     scripts/release-checks.sh --list
#
# Each makes the Python environments that it needs under target/. Needs python3 with venv, npm and a C++ compiler. pip brings
# CUDA's libraries (some 5 GB) with torch, unless PIP_EXTRA_INDEX_URL names the index of its CPU wheels.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

environment=target/release-checks/environment
python() {
    [ -x "$environment/bin/python" ] || python3 -m venv "$environment"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        torch==2.13.0 transformers==5.24.0 peft==0.21.2 numpy pyarrow
    "$environment/bin/python" "$@"
}

# Rows of text, and a text of the same words: nothing in either looks like a special token.
rows() {
    python3 scripts/make_rows.py "$1" > "$work/rl_rows.jsonl"
    echo "$work/rl_rows.jsonl"
}
text() {
    python3 scripts/make_rows.py 4000 |
        python3 -c 'import json, sys; print("\n".join(json.loads(line)["output"] for line in sys.stdin))' > "$work/text.txt"
    echo "$work/text.txt"
}

run_coverage() { cargo test --release --locked --test compare -- --ignored --nocapture coverage; }
run_exact_cost() { cargo test --release --locked --test engine -- --ignored --nocapture exact::cost; }
run_kills() { KILLS=30 ROWS=2000 scripts/check-kill.sh; }
run_processes() { KILLS=50 ROWS=8000 scripts/check-processes.sh; }
run_slurm() { scripts/check-slurm.sh; }
run_rows() { scripts/check-rows.sh; }
run_ids() { scripts/check-ids.sh; }
run_checkpoints() { scripts/check-checkpoints.sh; }
run_adapters() { python scripts/check_adapters.py; }
run_bf16() {
    python scripts/make_model.py --out "$work/model" --hidden 256 --layers 6 --vocab 307 --intermediate 512 \
        --tokenizer tests/fixtures/models/qwen3-tied/tokenizer.json
    python scripts/check_bf16.py "$work/model" "$(rows 32)"
}
run_gguf() { scripts/check-gguf.sh "$(rows 16)"; }
run_llama_cpp() { scripts/check-llama-cpp.sh "$(text)"; }
run_fuzz() { scripts/fuzz.sh 300; }
run_jobs() { for job in rl-rollouts model-card paper-section; do scripts/jobs/$job.sh; done; }
run_cuda() { scripts/check-cuda.sh; }

all=(coverage exact_cost kills processes slurm rows ids checkpoints adapters bf16 gguf llama_cpp fuzz jobs cuda)
[ "${1:-}" != --list ] || { printf '%s\n' "${all[@]}"; exit; }
checks=("$@")
[ $# -gt 0 ] || checks=("${all[@]}")
for name in "${checks[@]}"; do
    declare -F "run_$name" > /dev/null || { echo "no check \`$name\`: one of ${all[*]}" >&2; exit 2; }
done

cargo build --release --locked --bin tokshift
failed=()
for name in "${checks[@]}"; do
    start=$SECONDS
    echo "== $name"
    # In a shell of its own: the others go on, and `set -e` stays in force within.
    code=0
    bash -c "$(declare -f python rows text "run_$name")
        set -euo pipefail; work='$work' environment='$environment'; run_$name" || code=$?
    # 77: the machine lacks what the check needs.
    [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || failed+=("$name")
    awk -v name="$name" -v s=$((SECONDS - start)) 'BEGIN { printf "== %s took %.1f minutes\n", name, s / 60 }'
done
[ ${#failed[@]} -eq 0 ] || { echo "failed: ${failed[*]}"; exit 1; }
echo "all ${#checks[@]} checks passed"
