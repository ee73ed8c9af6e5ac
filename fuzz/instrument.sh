#!/bin/sh
# A compiler for `cargo` (RUSTC_WRAPPER) that counts edges in our own crates and leaves the libraries as they are: they
# are then shared with ordinary builds, and the fuzzer looks for new paths where the code is ours.
case " $* " in
*" --crate-name tokshift "* | *" --crate-name tokshift_fuzz "*)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$@" ;;
esac
