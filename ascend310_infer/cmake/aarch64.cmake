# Builds for ARM (aarch64) on another machine: Debian's cross compiler, the libraries below AARCH64_ROOT, which
# aarch64_root.sh makes, and QEMU for the tests.

set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES AARCH64_ROOT)
set(CMAKE_FIND_ROOT_PATH "${AARCH64_ROOT}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# Debian's headers that differ between processors, and where the libraries that are linked find their own ones.
set(CMAKE_CXX_STANDARD_INCLUDE_DIRECTORIES "${AARCH64_ROOT}/usr/include/aarch64-linux-gnu")
set(folders "${AARCH64_ROOT}/usr/lib/aarch64-linux-gnu:${AARCH64_ROOT}/lib/aarch64-linux-gnu:${AARCH64_ROOT}/usr/lib")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${folders}")
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L "${AARCH64_ROOT}")
