# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# saccade_archives(VAR): the static MLIR and LLVM, by path. By path, because
# nearly every exported MLIR target also asks for the shared libLLVM.
function(saccade_archives variable)
  file(GLOB archives ${LLVM_LIBRARY_DIR}/libMLIR*.a ${LLVM_LIBRARY_DIR}/libLLVM*.a)
  if(NOT archives)
    message(FATAL_ERROR "expects static MLIR libraries in ${LLVM_LIBRARY_DIR}")
  endif()
  find_library(SACCADE_ZLIB libz.a REQUIRED)
  find_library(SACCADE_ZSTD libzstd.a REQUIRED)
  set(${variable} -Wl,--start-group ${archives} -Wl,--end-group
    ${SACCADE_ZLIB} ${SACCADE_ZSTD} ${CMAKE_DL_LIBS} PARENT_SCOPE)
endfunction()
