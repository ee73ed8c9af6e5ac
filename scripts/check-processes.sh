#!/usr/bin/env bash
# Four processes score one cell, and one of them after another is killed at a random moment and started again. Every part
# must be scored by one process, nothing that was finished may be written twice, and the tables must be those of a single
# process, byte for byte.
#
#     scripts/check-processes.sh                        # 5 kills, as in CI
#     KILLS=50 ROWS=20000 scripts/check-processes.sh    # by hand, some minutes
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
kills=${KILLS:-5}
processes=${PROCESSES:-4}
RANDOM=${SEED:-$$}
work=$(mktemp -d)
pids=()
stop() { kill -KILL "${pids[@]}" 2> /dev/null || true; rm -rf "$work"; }
trap stop EXIT

python3 scripts/make_rows.py "${ROWS:-3000}" 8 > "$work/rl_sums.jsonl"
score() {
    exec "$binary" score --dataset "$work/rl_sums.jsonl" --models rl=tests/fixtures/models/qwen3-tied \
        --output-dir "$work/$1" --threads 1 > "$work/$1-$2.out" 2>> "$work/$1-$2.err"
}
parts_in() { { find "$1/tokens" -name 'part-*' 2> /dev/null || true; } | wc -l; }
finished() { { find "$work/shared/tokens" "$work/shared/samples" -name 'part-*' -printf '%p %i %T@\n' 2> /dev/null || true; } | sort; }

(score whole 0) || { cat "$work/whole-0.err"; exit 1; }
parts=$(parts_in "$work/whole")

for ((i = 0; i < processes; i++)); do (score shared "$i") & pids[i]=$!; done
: > "$work/finished"
hit=0
rounds=0
while [ "$hit" -lt "$kills" ]; do
    rounds=$((rounds + 1))
    [ "$rounds" -lt $((20 * kills)) ] || { echo "only $hit kills hit a running process"; exit 1; }
    sleep "0.$((RANDOM % 40 + 10))"
    i=$((RANDOM % processes))
    kill -KILL "${pids[i]}" 2> /dev/null || true
    code=0
    wait "${pids[i]}" 2> /dev/null || code=$?
    finished > "$work/now"
    # A part whose samples alone are there is not done, and its samples may be written again.
    lost=$(comm -23 <(grep /tokens/ "$work/finished" || true) "$work/now" | wc -l)
    [ "$lost" -eq 0 ] || { echo "$lost files of finished parts changed"; exit 1; }
    mv "$work/now" "$work/finished"
    case $code in
        137) hit=$((hit + 1)); (score shared "$i") & pids[i]=$! ;;
        0)
            # All is done: begin again.
            for pid in "${pids[@]}"; do wait "$pid" 2> /dev/null || true; done
            diff -r --exclude=logs "$work/whole" "$work/shared"
            rm -rf "$work/shared"
            : > "$work/finished"
            for ((j = 0; j < processes; j++)); do (score shared "$j") & pids[j]=$!; done
            ;;
        *) echo "exit code $code"; cat "$work/shared-$i.err"; exit 1 ;;
    esac
done
for ((i = 0; i < processes; i++)); do
    wait "${pids[i]}" || { echo "process $i failed"; cat "$work/shared-$i.err"; exit 1; }
done
pids=()
diff -r --exclude=logs "$work/whole" "$work/shared"
"$binary" verify "$work/shared"

# Without kills, the logs tell that every part was scored once.
rm -rf "$work/shared"
for ((i = 0; i < processes; i++)); do (score shared "$i") & pids[i]=$!; done
for pid in "${pids[@]}"; do wait "$pid"; done
pids=()
scored=$(cat "$work"/shared/logs/*.jsonl | sed -n 's/.*"parts":\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
[ "$scored" -eq "$parts" ] || { echo "$scored parts were scored, there are $parts"; exit 1; }
busy=$(grep -l '"parts":[1-9]' "$work"/shared/logs/*.jsonl | wc -l)
[ "$busy" -gt 1 ] || { echo "one of $processes processes scored every part"; exit 1; }
diff -r --exclude=logs "$work/whole" "$work/shared"
echo "$hit kills among $processes processes: $parts parts equal byte for byte, and undisturbed each was scored once"
