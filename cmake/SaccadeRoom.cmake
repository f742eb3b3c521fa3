# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# saccade_room(NAME [DIRS dir...] [DEPS room...] [NO_MLIR])
# One static library from every .cpp of the folders (default: this one), so
# that a new file needs no change here. Rooms do not link MLIR: the same objects
# go into tools, which link libMLIR.so, and into libsaccade, which links the
# archives. A room without sources yet is an empty interface; a main.cpp belongs
# to no room.

add_custom_target(saccade-tablegen) # everything generated from td files

# saccade_prelude(NAME HEADER...): what many units would otherwise parse for
# themselves, precompiled. System headers only: the prelude is then equal in
# every checkout, and its checksum stands for it in the compiler cache.
function(saccade_prelude name)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/${name}.cpp
    CONTENT "// Carries a precompiled header.\n")
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/${name}.cpp)
  target_precompile_headers(${name} PRIVATE ${ARGN})
  set_target_properties(${name} PROPERTIES CXX_COMPILER_LAUNCHER "")
  set(pch ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${name}.dir/cmake_pch.hxx)
  set_property(TARGET ${name} PROPERTY SACCADE_PCH ${pch}.pch)
  string(SHA256 sum "${ARGN} ${LLVM_PACKAGE_VERSION} ${CMAKE_CXX_COMPILER_ID}
    ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_CXX_FLAGS} ${CMAKE_BUILD_TYPE}
    ${SACCADE_SANITIZE}")
  file(WRITE ${pch}.pch.sum ${sum})
  file(WRITE ${pch}.gch.sum ${sum})
endfunction()

# saccade_uses(TARGET PRELUDE): TARGET is compiled with the prelude.
function(saccade_uses target prelude)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # As REUSE_FROM, less the -include of an absolute path that it adds: ccache
    # would not find one tree's objects for another.
    get_target_property(pch ${prelude} SACCADE_PCH)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:SHELL:-Winvalid-pch -include-pch ${pch}>)
    get_target_property(sources ${target} SOURCES)
    set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${pch})
  else()
    target_precompile_headers(${target} REUSE_FROM ${prelude})
  endif()
endfunction()

saccade_prelude(saccade-prelude
  <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h>
  <mlir/IR/Dialect.h> <mlir/IR/DialectImplementation.h> <mlir/IR/IRMapping.h>
  <mlir/IR/ImplicitLocOpBuilder.h> <mlir/IR/Matchers.h>
  <mlir/IR/OpDefinition.h> <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h>
  <mlir/Analysis/Presburger/IntegerRelation.h>
  <mlir/Bytecode/BytecodeOpInterface.h>
  <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/ControlFlow/IR/ControlFlow.h>
  <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/LLVMIR/LLVMDialect.h>
  <mlir/Dialect/LLVMIR/NVVMDialect.h> <mlir/Dialect/Math/IR/Math.h>
  <mlir/Dialect/MemRef/IR/MemRef.h> <mlir/Dialect/SCF/IR/SCF.h>
  <mlir/Dialect/Vector/IR/VectorOps.h>
  <mlir/Interfaces/SideEffectInterfaces.h> <mlir/Pass/Pass.h>
  <mlir/Pass/PassManager.h> <mlir/Transforms/DialectConversion.h>
  <mlir/Transforms/GreedyPatternRewriteDriver.h> <llvm/ADT/TypeSwitch.h>
  <llvm/Support/FormatVariadic.h> <llvm/Support/JSON.h>)

# saccade_uses_mlir(TARGET): compiled after what is generated, with the prelude.
function(saccade_uses_mlir target)
  add_dependencies(${target} saccade-tablegen)
  saccade_uses(${target} saccade-prelude)
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
