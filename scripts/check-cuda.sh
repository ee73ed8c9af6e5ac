#!/usr/bin/env bash
# Checks that the crate compiles with `--features cuda` on Linux, with neither a GPU nor a CUDA toolkit:
#
#     scripts/check-cuda.sh [cargo arguments, e.g. -j2]
#
# Needs python3 with venv, g++ and cargo. Everything lands in target/cuda-check/ (its own cargo target too), so the
# usual build stays warm. The first run takes some 20 minutes on two cores, most of them nvcc's; a second one seconds.
# CUDA_COMPUTE_CAP picks another GPU generation than 90 (Hopper), CUDAFORGE_THREADS how many nvcc run at once.
#
# `cargo check`, not `cargo build`: it runs candle-kernels' build script all the same (nvcc compiles every kernel) and
# type-checks candle's CUDA half and our code against it, but generates no code for polars and the rest, which is most
# of a build. `cargo build --lib` would prove little more, as a library is not linked. What a link would add is the
# CUDA libraries' own symbols, which candle names and we never do; and it would need those libraries (cuBLAS, cuRAND,
# NVRTC) and a stand-in for the driver's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() {
    echo "check-cuda: $*" >&2
    exit 1
}

[[ $(uname -s) == Linux ]] || die "NVIDIA's compiler comes as Linux wheels only"
for tool in python3 g++ cargo; do
    command -v "$tool" >/dev/null || die "$tool not found"
done

work=$PWD/target/cuda-check
venv=$work/venv
trap 'status=$?; printf "check-cuda: %s after %d.%d min\n" "$([[ $status == 0 ]] && echo passed || echo FAILED)" \
    $((SECONDS / 60)) $((SECONDS % 60 / 6)) >&2' EXIT

# The compiler and the headers of one CUDA release; pip is silent and offline once they are there.
[[ -x $venv/bin/pip ]] || python3 -m venv "$venv" || die "python3 -m venv failed"
"$venv/bin/pip" install --quiet --disable-pip-version-check \
    nvidia-cuda-nvcc==13.0.88 \
    nvidia-cuda-crt==13.0.88 \
    nvidia-nvvm==13.0.88 \
    nvidia-cuda-runtime==13.0.96 \
    nvidia-cuda-cccl==13.0.85 || die "pip could not install NVIDIA's compiler"

CUDA_HOME=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/nvidia/cu13
NVCC=$CUDA_HOME/bin/nvcc
[[ -x $NVCC ]] || die "no nvcc in ${CUDA_HOME#"$PWD/"}/bin: remove target/cuda-check/venv and try again"
"$NVCC" --version | sed -n 4p

# cudarc asks the nvcc on PATH for its version, candle-kernels takes NVCC; without a GPU it must be told which to
# compile for.
export CUDA_HOME NVCC PATH="$CUDA_HOME/bin:$PATH"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
export CARGO_TARGET_DIR=$work/target

cargo check --release --locked --features cuda "$@"
