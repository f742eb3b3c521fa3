# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# How everything is compiled: language, warnings, linker, compiler cache. Set
# once for the whole tree, because the precompiled header that the MLIR rooms
# share is only valid under equal flags.
option(SACCADE_SANITIZE "Build with the address and UB sanitizers" OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# By flag and not by property: the property gives executables -fPIE, and a
# precompiled header made under -fPIC would not fit them.
add_compile_options(-fPIC -fvisibility=hidden -ffunction-sections
  -fdata-sections -Wall -Wextra -Werror -Wno-unused-parameter
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
  $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# RTTI stays on, as in the packaged MLIR whose classes we derive from.
add_compile_definitions(_GNU_SOURCE __STDC_CONSTANT_MACROS
  __STDC_FORMAT_MACROS __STDC_LIMIT_MACROS)

# lld, found by either compiler: libsaccade links 700 archives.
add_link_options(-fuse-ld=lld -B${LLVM_TOOLS_BINARY_DIR}
  -Wl,--build-id=sha1) # what kernels in caches are known by (BuildId.cpp)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Xclang=-fno-pch-timestamp>)
else()
  # g++ 12 raises these on inlined MLIR code that is right.
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized>
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-dangling-pointer>
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-array-bounds>
    $<$<COMPILE_LANGUAGE:CXX>:-Wno-stringop-overread>)
endif()

if(SACCADE_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-omit-frame-pointer
    -fno-sanitize-recover=undefined)
  # The vptr check wants type information of MLIR's that is not exported; the
  # function check, a signature before the code, which compiled kernels lack.
  add_compile_options(-fno-sanitize=vptr,function)
  add_link_options(-fsanitize=address,undefined)
endif()

# Checkouts share one compiler cache: paths are hashed relative to the source
# tree. The precompiled header itself holds absolute paths, so it is compiled
# in each tree and known to the cache by a checksum of its own (SaccadeRoom).
find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(launcher env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
    CCACHE_PCH_EXTSUM=1
    CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    ${CCACHE_PROGRAM})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
