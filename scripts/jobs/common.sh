# Sourced by the jobs: makes their models, and runs commands so that each is printed with all of its output. A job ends
# with an error at the first command that ends otherwise than it should, or prints something else.
#
#     TOKSHIFT=tokshift scripts/jobs/NAME.sh    # another binary than target/release/tokshift
#     PYTHON=python3 scripts/jobs/NAME.sh       # an interpreter that has numpy and gguf; else one is made under target/
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --locked --bin tokshift
binary=$(realpath "$binary")
if [ -z "${PYTHON:-}" ]; then
    PYTHON=target/jobs/bin/python
    [ -x "$PYTHON" ] || python3 -m venv target/jobs
    "$PYTHON" -m pip install --quiet --disable-pip-version-check numpy gguf
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$PYTHON" scripts/jobs/make_models.py "$work"
ln -s "$PWD/scripts/jobs/rows" "$work/rows"
cd "$work"

# A command as it is typed; its last lines are what `shows` and `lacks` look at.
ends() {
    local expected=$1 code=0
    shift
    printf '\n$ %s\n' "$*"
    "$binary" "${@:2}" > said 2>&1 < /dev/null || code=$?
    cat said
    [ "$code" -eq "$expected" ] || fail "exit code $code, not $expected: $*"
}
runs() { ends 0 "$@"; }
shows() {
    local text
    for text in "$@"; do
        # A line may be broken anywhere between two words.
        tr -s ' \n' ' ' < said | grep --quiet --fixed-strings -- "$text" || fail "does not show: $text"
    done
}
lacks() {
    local text
    for text in "$@"; do
        ! tr -s ' \n' ' ' < said | grep --quiet --fixed-strings -- "$text" || fail "shows: $text"
    done
}
# A file that a job writes, as it stands there.
file() {
    printf '\n$ cat %s\n' "$1"
    tee "$1"
}
fail() {
    printf '\nFAILED: %s\n' "$*" >&2
    exit 1
}
