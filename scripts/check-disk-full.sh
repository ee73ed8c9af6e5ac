#!/usr/bin/env bash
# Slow check: `tokshift score` on a file system that is too small for its tables. It must end with exit code 1 and a
# message, leave nothing half-written under a final name, and, once there is room, finish with the bytes of an
# undisturbed run. A system on which users cannot mount file systems ends it with code 77: not checked.
#
#     scripts/check-disk-full.sh                    # a tmpfs in namespaces of its own: no root, no trace
#     ROWS=3000 SIZES="20 300 900" scripts/check-disk-full.sh   # free KiB at the start, one run each
set -euo pipefail
cd "$(dirname "$0")/.."

binary=$(realpath "${TOKSHIFT:-target/release/tokshift}" 2> /dev/null || true)
[ -x "$binary" ] || { cargo build --release --bin tokshift; binary=$(realpath target/release/tokshift); }
if [ "${INSIDE:-}" = "" ]; then
    unshare --user --map-root-user --mount true 2> /dev/null || {
        echo "not checked: this system lets no user mount a file system (unshare --user --mount)"
        exit 77
    }
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    INSIDE=$work unshare --user --map-root-user --mount "$0"
    exit
fi

work=$INSIDE
small=$work/small
mkdir "$small"
python3 scripts/make_rows.py "${ROWS:-2000}" > "$work/rl_demo.jsonl"

score() {
    "$binary" score --dataset "$work/rl_demo.jsonl" --output-dir "$1" --models tied=tests/fixtures/models/qwen3-tied
}

# Files in the output directory on the small file system, if it was made at all.
files() {
    [ ! -d "$small/out" ] || (cd "$small/out" && find . -type f "$@")
}

score "$work/whole" 2> "$work/whole.log"
kib=$(du -sk --apparent-size "$work/whole" | cut -f1)
parts=$(find "$work/whole/tokens" -type f | wc -l)
echo "undisturbed: $parts parts, $kib KiB"

# A file system with room for everything, filled but for some.
for free in ${SIZES:-8 $((kib / 5)) $((kib / 2)) $((kib * 9 / 10))}; do
    mount -t tmpfs -o size=$((kib * 2 + 1024))k tokshift "$small"
    room=$(df --output=avail -k "$small" | tail -1)
    head -c "$(((room - free) * 1024))" /dev/zero > "$small/ballast"

    code=0
    score "$small/out" 2> "$work/full.log" || code=$?
    [ "$code" -eq 1 ] || { echo "exit code $code, expected 1"; cat "$work/full.log"; exit 1; }
    grep -q 'No space left on device' "$work/full.log" || { echo "no reason printed:"; cat "$work/full.log"; exit 1; }
    ! grep -q panicked "$work/full.log" || { cat "$work/full.log"; exit 1; }
    published=$(files -path './tokens/*' | wc -l)
    # Whatever has a final name has its final bytes.
    files -not -path './.tmp/*' -not -path './logs/*' | while read -r file; do
        cmp "$small/out/$file" "$work/whole/$file"
    done
    [ -z "$(files -path './.tmp/*')" ] || { echo "leftovers in .tmp"; exit 1; }
    echo "$free KiB free: $published of $parts parts done; $(tail -1 "$work/full.log" | sed "s|$work/||")"

    rm "$small/ballast"
    score "$small/out" 2> "$work/again.log" || { cat "$work/again.log"; exit 1; }
    diff -r --exclude=logs "$work/whole" "$small/out"
    umount "$small"
done
echo "every run ended with exit code 1, nothing half-written; with room again, all files equal the undisturbed run's"
