#!/usr/bin/env bash
# Kill `tokshift run` over a study of 2 experiments × 3 tasks × 3 models at random moments, start it again each time,
# and compare every byte with an undisturbed run. No finished part may be computed twice, nothing half-written
# may stay.
#
#     scripts/check-kill.sh                                # 3 kills, as in CI
#     KILLS=30 SEED=1 ROWS=2000 scripts/check-kill.sh      # by hand, some minutes
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift
kills=${KILLS:-3}
seed=${SEED:-$(date +%N | sed 's/^0*//')}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tasks=(sums tales chat)
declare -A fixture=([rl]=qwen3-tied [sft]=qwen3-shifted [base]=qwen3-bias)

# The study: what `rl` and `sft` wrote, each scored by all three; the first model is the writer.
experiment() {
    printf '[[experiment]]\nname = "%s"\ntasks = ["%s", "%s", "%s"]\n' "$1" "${tasks[@]}"
    for model in "$@"; do
        printf '[[experiment.model]]\nname = "%s"\nsource = "tests/fixtures/models/%s"\n' "$model" "${fixture[$model]}"
    done
}
study() {
    printf 'output = "%s"\ndataset = "%s/{experiment}_{task}.jsonl"\n' "$1" "$work"
    experiment rl sft base
    experiment sft rl base
}
for task in "${tasks[@]}"; do
    for experiment in rl sft; do
        python3 scripts/make_rows.py "${ROWS:-400}" 8 > "$work/${experiment}_$task.jsonl"
    done
done
study "$work/whole" > "$work/whole.toml"
study "$work/killed" > "$work/killed.toml"

run() {
    exec "$binary" run "$work/$1.toml" > "$work/$1.out" 2> "$work/$1.err"
}

# Files of parts that are done (tokens, and with them their samples), each with its inode and time: written again, a
# file has another.
finished() {
    [ -d "$work/killed/tokens" ] || return 0
    (cd "$work/killed" && find tokens -name 'part-*' -printf '%P\n' | while read -r part; do
        stat -c '%n %i %y' "tokens/$part" "samples/$part"
    done | sort)
}

parts_in() {
    find "$1" -path '*/tokens/*' -name 'part-*' 2> /dev/null | wc -l
}

start=$(date +%s.%N)
(run whole) || { cat "$work/whole.out" "$work/whole.err"; exit 1; }
seconds=$(echo "$(date +%s.%N) - $start" | bc)
parts=$(parts_in "$work/whole")
echo "undisturbed: $parts parts in $seconds s; seed $seed"

: > "$work/finished"
hits=0
misses=0
while [ "$hits" -lt "$kills" ]; do
    # A fraction of the whole that leaves something to do for the kills to come.
    delay=$(awk -v seed="$((seed + hits + 1000 * misses))" -v all="$seconds" -v kills="$kills" \
        'BEGIN { srand(seed); print all * (0.02 + rand() * 0.9 / kills) }')
    (run killed) &
    pid=$!
    sleep "$delay"
    kill -KILL "$pid" 2> /dev/null || true
    code=0
    wait "$pid" 2> /dev/null || code=$?
    finished > "$work/now"
    lost=$(comm -23 "$work/finished" "$work/now" | wc -l)
    [ "$lost" -eq 0 ] || { echo "$lost files of finished parts changed"; exit 1; }
    mv "$work/now" "$work/finished"
    case $code in
        137) hits=$((hits + 1)) ;;
        0)
            # Done before the kill: begin again, which does not undo the kills so far.
            misses=$((misses + 1))
            [ "$misses" -lt 20 ] || { echo "only $hits kills hit a running process"; exit 1; }
            diff -r --exclude=logs "$work/whole" "$work/killed"
            rm -rf "$work/killed"
            : > "$work/finished"
            continue
            ;;
        *) echo "exit code $code"; cat "$work/killed.err"; exit 1 ;;
    esac
    left=$(find "$work/killed/.tmp" -type f 2> /dev/null | wc -l)
    echo "kill $hits after $delay s: $(parts_in "$work/killed") of $parts parts done, $left files unfinished"
done

before=$(parts_in "$work/killed")
find "$work/killed/logs" -type f 2> /dev/null | sort > "$work/logs" || true
(run killed) || { cat "$work/killed.out" "$work/killed.err"; exit 1; }
again=$(comm -23 "$work/finished" <(finished) | wc -l)
[ "$again" -eq 0 ] || { echo "$again files of finished parts were written twice"; exit 1; }
# What the last run's own log says that it computed.
last=$(find "$work/killed/logs" -type f | sort | comm -13 "$work/logs" - | xargs -r cat |
    sed -n 's/.*"parts":\([0-9]*\).*/\1/p' | awk '{ n += $1 } END { print n + 0 }')
[ "$last" -eq $((parts - before)) ] || { echo "the last run computed $last parts, $((parts - before)) were missing"; exit 1; }
[ -z "$(find "$work/killed/.tmp" -type f)" ] || { echo "leftovers in .tmp"; exit 1; }
diff -r --exclude=logs "$work/whole" "$work/killed"
files=$(find "$work/whole" -type f -not -path '*/logs/*' | wc -l)
echo "$hits kills: $files files equal byte for byte, the last run computed the $last parts that were missing, no leftovers"
