# SPDX-License-Identifier: MIT
#
# Builds for arm64 Linux on another machine; ctest runs the tests in qemu's user mode.
#
#     cmake --preset release -B build/aarch64 \
#         --toolchain cmake/toolchains/aarch64-linux-gnu.cmake \
#         -DCMAKE_FIND_ROOT_PATH=FOLDER -DORTPOOL_ONNXRUNTIME=RELEASE
#
# FOLDER holds usr/ of the arm64 packages libjansson-dev, libcmocka-dev and libxxhash-dev, RELEASE an
# arm64 release of ONNX Runtime; scripts/test_ort_versions.sh makes both. The compiler and the
# emulator are Debian's gcc-aarch64-linux-gnu and qemu-user.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

list(APPEND CMAKE_FIND_ROOT_PATH /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# -L: where the emulator finds the C library.
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)
