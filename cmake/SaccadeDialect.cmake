# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# What mlir-tblgen makes of a dialect's umbrella (NAME.td) and of a list of
# passes (Passes.td): one place decides the names of generated files.

# saccade_generate(FILE.td OUTPUT OPTION...): one generated file.
function(saccade_generate td output)
  set(LLVM_TARGET_DEFINITIONS ${td})
  mlir_tablegen(${output} ${ARGN})
  string(MAKE_C_IDENTIFIER ${CMAKE_CURRENT_BINARY_DIR}/${output} target)
  add_custom_target(${target} DEPENDS ${CMAKE_CURRENT_BINARY_DIR}/${output})
  add_dependencies(saccade-tablegen ${target})
endfunction()

# saccade_dialect(Attn): AttnDialect, AttnOps, AttnTypes, AttnAttrs, AttnEnums
# (.h.inc and .cpp.inc) from Attn.td, and Attn{Op,Type,Attr}Interfaces from
# Attn{Ops,Types,Attrs}.td: interfaces are generated from the file that holds
# them only.
function(saccade_dialect name)
  if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${name}.td)
    return()
  endif()
  string(TOLOWER ${name} dialect)
  foreach(kind decls defs)
    if(kind STREQUAL decls)
      set(suffix h.inc)
    else()
      set(suffix cpp.inc)
    endif()
    saccade_generate(${name}.td ${name}Dialect.${suffix}
      -gen-dialect-${kind} -dialect=${dialect})
    saccade_generate(${name}.td ${name}Ops.${suffix} -gen-op-${kind})
    saccade_generate(${name}.td ${name}Types.${suffix}
      -gen-typedef-${kind} -typedefs-dialect=${dialect})
    saccade_generate(${name}.td ${name}Attrs.${suffix}
      -gen-attrdef-${kind} -attrdefs-dialect=${dialect})
    saccade_generate(${name}.td ${name}Enums.${suffix} -gen-enum-${kind})
    foreach(interface Op Type Attr)
      set(td ${name}${interface}s.td)
      if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${td})
        string(TOLOWER ${interface} what)
        saccade_generate(${td} ${name}${interface}Interfaces.${suffix}
          -gen-${what}-interface-${kind})
      endif()
    endforeach()
  endforeach()
endfunction()

# saccade_passes(DIR NAME): DIR/Passes.h.inc from DIR/Passes.td.
function(saccade_passes dir name)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${dir}/Passes.td)
    file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/${dir})
    saccade_generate(${dir}/Passes.td ${dir}/Passes.h.inc
      -gen-pass-decls -name=${name})
  endif()
endfunction()
