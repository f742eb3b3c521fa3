# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# saccade_room(NAME [DIRS dir...] [DEPS room...] [NO_MLIR])
# One static library from every .cpp of the folders (default: this one), so
# that a new file needs no change here. Rooms do not link MLIR: the same objects
# go into tools, which link libMLIR.so, and into libsaccade, which links the
# archives. A room without sources yet is an empty interface; a main.cpp belongs
# to no room.

# The header that every MLIR unit would otherwise parse for itself. Listed as
# system headers only: the precompiled header is then equal in every checkout,
# and its checksum stands for it in the compiler cache.
set(SACCADE_PRELUDE
  <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h>
  <mlir/IR/Dialect.h> <mlir/IR/DialectImplementation.h> <mlir/IR/IRMapping.h>
  <mlir/IR/OpDefinition.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
  <mlir/Bytecode/BytecodeOpInterface.h>
  <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h>
  <mlir/Dialect/LLVMIR/LLVMDialect.h> <mlir/Dialect/Math/IR/Math.h>
  <mlir/Dialect/MemRef/IR/MemRef.h> <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Vector/IR/VectorOps.h>
  <mlir/Interfaces/SideEffectInterfaces.h> <mlir/Pass/Pass.h>
  <mlir/Pass/PassManager.h> <mlir/Transforms/DialectConversion.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h> <llvm/ADT/TypeSwitch.h>
  <llvm/Support/JSON.h>)

add_custom_target(saccade-tablegen) # everything generated from td files
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/prelude.cpp
  CONTENT "// Carries the prelude.\n")
add_library(saccade-prelude OBJECT ${PROJECT_BINARY_DIR}/prelude.cpp)
target_precompile_headers(saccade-prelude PRIVATE ${SACCADE_PRELUDE})
set_target_properties(saccade-prelude PROPERTIES CXX_COMPILER_LAUNCHER "")
string(SHA256 sum "${SACCADE_PRELUDE} ${MLIR_VERSION} ${LLVM_PACKAGE_VERSION}
  ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_CXX_FLAGS}
  ${CMAKE_BUILD_TYPE} ${SACCADE_SANITIZE}")
set(SACCADE_PCH ${PROJECT_BINARY_DIR}/CMakeFiles/saccade-prelude.dir/cmake_pch.hxx)
file(WRITE ${SACCADE_PCH}.pch.sum ${sum})
file(WRITE ${SACCADE_PCH}.gch.sum ${sum})

# saccade_uses_mlir(TARGET): compiled with the prelude, after what is generated.
function(saccade_uses_mlir target)
  add_dependencies(${target} saccade-tablegen)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # As REUSE_FROM, less the -include of an absolute path that it adds: ccache
    # would not find one tree's objects for another.
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Winvalid-pch -include-pch ${SACCADE_PCH}.pch>)
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${SACCADE_PCH}.pch)
  else()
    target_precompile_headers(${target} REUSE_FROM saccade-prelude)
  endif()
endfunction()

function(saccade_room name)
  cmake_parse_arguments(ROOM "NO_MLIR" "" "DIRS;DEPS" ${ARGN})
  if(NOT ROOM_DIRS)
    set(ROOM_DIRS .)
  endif()
  list(TRANSFORM ROOM_DIRS APPEND /*.cpp)
  file(GLOB sources CONFIGURE_DEPENDS ${ROOM_DIRS})
  list(FILTER sources EXCLUDE REGEX "/main.cpp$")
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE ${ROOM_DEPS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  set_property(GLOBAL APPEND PROPERTY SACCADE_ROOMS ${name})
  target_link_libraries(${name} PUBLIC ${ROOM_DEPS})
  if(NOT ROOM_NO_MLIR)
    saccade_uses_mlir(${name})
  endif()
endfunction()
