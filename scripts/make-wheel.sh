#!/usr/bin/env bash
# Build the wheel for Linux and check it in an environment without Rust.
#
#     scripts/make-wheel.sh                          # the `dist` profile by zig: some 40 minutes of two cores
#     PROFILE=release ZIG= scripts/make-wheel.sh     # what target/release already has, for this machine's glibc alone
#     OUT=folder GLIBC=2_28 scripts/make-wheel.sh    # where the wheel and the archive go; another glibc
#
# zig links against the symbols of an old glibc, so that the wheel runs on clusters whose system is ten years old. maturin and
# zig come from PyPI into an environment under target/. The check installs the wheel into a fresh environment, runs the demo
# with no Rust in PATH, and prints the sizes and the newest glibc that the program needs. Needs python3 with venv, and objdump.
set -euo pipefail
cd "$(dirname "$0")/.."

PROFILE=${PROFILE:-dist} ZIG=${ZIG---zig} GLIBC=${GLIBC:-2_17} OUT=${OUT:-target/wheel}
tools=target/make-wheel
work=$(mktemp -d)
trap 'rm -rf "$work" tokshift.data' EXIT
[ -x "$tools/bin/maturin" ] || python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check 'maturin>=1.14,<2' ziglang

compatibility=linux
[ -z "$ZIG" ] || compatibility=manylinux_$GLIBC
wheel() {
    rm -rf "$work/wheels"
    # shellcheck disable=SC2086
    PATH="$PWD/$tools/bin:$PATH" "$tools/bin/maturin" build --locked --profile "$PROFILE" $ZIG \
        --compatibility "$compatibility" --out "$work/wheels"
}

# The first wheel has the program, which writes its own completions and man pages; the second build compiles nothing.
rm -rf tokshift.data
share=tokshift.data/data/share
mkdir -p "$share/man/man1"
wheel
"$tools/bin/python" -m zipfile -e "$work"/wheels/*.whl "$work/first"
program=$(echo "$work"/first/tokshift-*.data/scripts/tokshift)
chmod +x "$program"
"$program" man "$share/man/man1"
completions() {
    mkdir -p "$share/$2"
    "$program" completions "$1" > "$share/$2/$3"
}
completions bash bash-completion/completions tokshift
completions zsh zsh/site-functions _tokshift
completions fish fish/vendor_completions.d tokshift.fish
wheel

mkdir -p "$OUT"
cp "$work"/wheels/*.whl "$OUT/"
WHEEL=$(realpath "$OUT/$(basename "$work"/wheels/*.whl)")
version=$("$program" --version | cut -d' ' -f2)
tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$(dirname "$program")" -czf \
    "$OUT/tokshift-$(uname -m)-unknown-linux-gnu-v$version.tgz" tokshift

# As a user has it: a fresh environment, and a PATH without cargo.
python3 -m venv "$work/fresh"
"$work/fresh/bin/pip" install --quiet --disable-pip-version-check "$WHEEL"
user() { (cd "$work" && env -i HOME="$work" PATH="$work/fresh/bin:/usr/bin:/bin" "$@"); }
! user sh -c 'command -v cargo rustc' || { echo "Rust is in the PATH of the check"; exit 1; }
user tokshift demo --output-dir demo > "$work/demo.txt" 2>&1 || { cat "$work/demo.txt"; exit 1; }
user python -m tokshift kl demo/out > "$work/kl.txt"
grep -q 'arithmetic' "$work/kl.txt"
code=0
user python -m tokshift kl nowhere > /dev/null 2>&1 || code=$?
[ "$code" -eq 1 ] || { echo "python -m tokshift ended with $code, not with the program's 1"; exit 1; }
user python - << 'PYTHON'
import subprocess, tokshift
assert subprocess.run([tokshift.find_tokshift_bin(), "--version"], capture_output=True, text=True).stdout.startswith("tokshift ")
try:
    tokshift.scan("demo/out")
except ImportError as error:
    assert "pip install polars" in str(error), error
else:
    raise AssertionError("polars is not installed, and scan works")
PYTHON
"$work/fresh/bin/pip" install --quiet --disable-pip-version-check polars
user python - << 'PYTHON'
import polars, tokshift
tokens = tokshift.scan("demo/out", "tokens").select("generation_model", "task", "model", "logprob").collect()
assert tokens.schema["model"] == polars.String and set(tokens["model"]) == {"rl", "sft", "base"}, tokens
pairs = tokshift.scan("demo/out", "pairs").select("p", "q", "kl").collect()
assert pairs.height > 0 and {"base", "sft"} <= set(pairs["q"]), pairs
assert tokshift.scan("demo/out", "samples").collect().height > 0
try:
    tokshift.scan("demo/out", "nothing")
except FileNotFoundError as error:
    assert "tokens, samples and pairs" in str(error)
else:
    raise AssertionError("there is no such table")
print(f"{tokens.height} rows of tokens by tokshift.scan, polars {polars.__version__}")
PYTHON
for file in man/man1/tokshift-kl.1 bash-completion/completions/tokshift zsh/site-functions/_tokshift fish/vendor_completions.d/tokshift.fish; do
    [ -s "$work/fresh/share/$file" ] || { echo "the wheel has no $file"; exit 1; }
done
bash -n "$work/fresh/share/bash-completion/completions/tokshift"

glibc=$(objdump -T "$work/fresh/bin/tokshift" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1)
libraries=$(objdump -p "$work/fresh/bin/tokshift" | awk '/NEEDED/ { print $2 }' | paste -sd' ')
echo "$WHEEL: $(wc -c < "$WHEEL") bytes; the program: $(wc -c < "$work/fresh/bin/tokshift"); needs $glibc, $libraries"
