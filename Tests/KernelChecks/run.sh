#!/bin/bash
# Integer, float and resampling kernels against the scalar definition beyond what `swift test` can run here: with sanitizers, with emulated VNNI and AMX, and for aarch64
# under qemu-user (Debian: gcc-aarch64-linux-gnu, qemu-user-static). Usage: run.sh [products per instruction set]
set -euo pipefail
rounds=${1:-1000}
# A wrong last bit of a float often vanishes in what follows: it takes more runs to be seen.
declare -A runs=([gemm]=$rounds [float]=$((4 * rounds)) [resample]=$rounds)
here=$(cd "$(dirname "$0")" && pwd)
kernels=$here/../../Sources/CKernels
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags=(-std=c11 -Wno-psabi "-I$kernels/include" "-I$kernels")

echo "== this processor, address and undefined behaviour sanitizers"
for check in gemm float resample; do
    clang -O1 -g -fsanitize=address,undefined -fno-sanitize-recover "${flags[@]}" "$here/${check}_check.c" "$kernels"/*.c -lm \
        -o "$work/sanitized" 2>"$work/log" || { cat "$work/log"; exit 1; }
    "$work/sanitized" "${runs[$check]}"
done

if [[ $(uname -m) == x86_64 ]]; then
    echo "== AVX-VNNI, AVX-512 VNNI and AMX, intrinsics emulated"
    mkdir "$work/emulated"
    for file in "$kernels"/*.c; do
        case $(basename "$file") in
        gemm_*vnni.c | gemm_amx.c) sed -e 's/#include <immintrin.h>/#include "emulated_instructions.h"/' -e 's/target("[^"]*")/target("avx2,fma")/' \
            -e '/__asm__ volatile/d; /P4Q_AVX512/d; /#pragma clang loop unroll/d' "$file" >"$work/emulated/$(basename "$file")" ;;
        isa.c) printf '#include "p4q_isa.h"\nbool p4q_isa_supported(p4q_isa isa) { return isa <= P4Q_ISA_AMX; }\n' >"$work/emulated/isa.c" ;;
        *) cp "$file" "$work/emulated" ;;
        esac
    done
    clang -O1 "${flags[@]}" "-I$here" "$here/gemm_check.c" "$work/emulated"/*.c -lm -o "$work/vnni"
    "$work/vnni" "$rounds"
fi

if command -v qemu-aarch64-static >/dev/null && command -v aarch64-linux-gnu-gcc >/dev/null; then
    echo "== aarch64 under qemu-user"
    mkdir "$work/arm"
    for file in "$here"/*_check.c "$kernels"/*.c; do
        clang --target=aarch64-linux-gnu -O2 "${flags[@]}" -isystem /usr/aarch64-linux-gnu/include -c "$file" -o "$work/arm/$(basename "$file").o"
    done
    for check in gemm float resample; do
        objects=("$work/arm/${check}_check.c.o")
        for file in "$kernels"/*.c; do objects+=("$work/arm/$(basename "$file").o"); done
        aarch64-linux-gnu-gcc -static "${objects[@]}" -lm -o "$work/arm/check"
        qemu-aarch64-static -cpu max "$work/arm/check" "${runs[$check]}"
    done
else
    echo "== aarch64: skipped, qemu-aarch64-static or aarch64-linux-gnu-gcc is not installed"
fi
