#!/usr/bin/env bash
# Slow check: kill `tokshift score` at random moments, run it again until it is done, and compare every byte with a run
# that nobody disturbed. No finished part may be computed twice, and nothing half-written may stay.
#
#     scripts/check-kill.sh             # 5 kills, a minute or two
#     KILLS=50 SEED=1 scripts/check-kill.sh
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
kills=${KILLS:-5}
seed=${SEED:-$(date +%N | sed 's/^0*//')}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
models=tests/fixtures/models
python3 scripts/make_rows.py "${ROWS:-2000}" > "$work/rl_demo.jsonl"

score() {
    exec "$binary" score --dataset "$work/rl_demo.jsonl" --output-dir "$1" \
        --models "tied=$models/qwen3-tied,shifted=$models/qwen3-shifted"
}

# Every published part with the time of its publication.
published() {
    [ ! -d "$work/killed/tokens" ] || (cd "$work/killed" && find tokens samples -type f -printf '%p %T@ %i\n' | sort)
}

# Parts that are done: their tokens, and with them their samples.
finished() {
    published | sed -n 's|^tokens/||p' | while read -r path rest; do
        echo "tokens/$path $rest"
        published | grep -F "samples/$path "
    done
}

start=$(date +%s.%N)
(score "$work/whole") 2> "$work/whole.log"
seconds=$(echo "$(date +%s.%N) - $start" | bc)
parts=$(find "$work/whole/tokens" -type f | wc -l)
echo "undisturbed: $parts parts in $seconds s; seed $seed"

hits=0
misses=0
touch "$work/finished"
while [ "$hits" -lt "$kills" ] && [ "$misses" -lt 20 ]; do
    # A fraction of the whole that leaves something to do for the kills to come.
    delay=$(awk -v seed="$((seed + hits + 1000 * misses))" -v all="$seconds" -v kills="$kills" \
        'BEGIN { srand(seed); print all * (0.02 + rand() * 1.4 / kills) }')
    (score "$work/killed") 2> /dev/null &
    pid=$!
    sleep "$delay"
    kill -KILL "$pid" 2> /dev/null || true
    code=0
    wait "$pid" 2> /dev/null || code=$?
    if [ "$code" -eq 137 ]; then
        hits=$((hits + 1))
    else
        # Done before the kill: begin again, which does not undo the kills so far.
        misses=$((misses + 1))
        [ "$code" -eq 0 ] || { echo "exit code $code"; exit 1; }
        comm -23 "$work/finished" <(finished | sort) | grep . && { echo "a finished part changed"; exit 1; }
        diff -r --exclude=logs "$work/whole" "$work/killed"
        rm -rf "$work/killed"
        : > "$work/finished"
        continue
    fi
    lost=$(comm -23 "$work/finished" <(finished | sort) | wc -l)
    finished | sort > "$work/finished"
    left=$(find "$work/killed/.tmp" -type f 2> /dev/null | wc -l)
    echo "kill $hits after $delay s: $(grep -c ^tokens "$work/finished" || true) of $parts parts done, $left files unfinished"
    [ "$lost" -eq 0 ] || { echo "$lost files of finished parts changed"; exit 1; }
done
[ "$hits" -eq "$kills" ] || { echo "only $hits kills hit a running process"; exit 1; }

(score "$work/killed") 2> "$work/killed.log"
again=$(comm -23 "$work/finished" <(finished | sort) | wc -l)
[ "$again" -eq 0 ] || { echo "$again files of finished parts were written twice"; exit 1; }
[ -z "$(find "$work/killed/.tmp" -type f)" ] || { echo "leftovers in .tmp"; exit 1; }
diff -r --exclude=logs "$work/whole" "$work/killed"
echo "$hits kills: $(find "$work/whole" -type f -not -path "*/logs/*" | wc -l) files equal byte for byte, no finished part computed twice, no leftovers"
