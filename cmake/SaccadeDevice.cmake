# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# saccade_device_code(TARGET SOURCE NAME): compiles C++ for NVIDIA GPUs to PTX,
# with the clang that everything needs anyway, and gives TARGET a header
# runtime/NAME.inc with its text as a string literal. No CUDA header or library
# takes part. The PTX version is the least for sm_80, not what this clang knows
# of, so that old drivers take it.
find_program(SACCADE_DEVICE_CXX NAMES clang++-22 clang++
  HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)

function(saccade_device_code target source name)
  set(ptx ${CMAKE_CURRENT_BINARY_DIR}/${name}.ptx)
  set(text ${CMAKE_CURRENT_BINARY_DIR}/${name}.inc)
  add_custom_command(OUTPUT ${text}
    COMMAND ${SACCADE_DEVICE_CXX} --target=nvptx64-nvidia-cuda -march=sm_80
      -Xclang -target-feature -Xclang -ptx88
      -Xclang -target-feature -Xclang +ptx70
      -std=c++20 -O2 -mllvm -inline-threshold=2000 -ffreestanding -nostdlib -fno-exceptions -fno-rtti
      -Wall -Wextra -Werror -Wno-unused-command-line-argument
      -I ${PROJECT_SOURCE_DIR} -I ${PROJECT_SOURCE_DIR}/include
      -MD -MF ${ptx}.d -MT ${text}
      -S ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${ptx}
    COMMAND ${CMAKE_COMMAND} -DPTX=${ptx} -DTEXT=${text}
      -P ${PROJECT_SOURCE_DIR}/cmake/EmbedText.cmake
    DEPENDS ${source} ${PROJECT_SOURCE_DIR}/cmake/EmbedText.cmake
    DEPFILE ${ptx}.d VERBATIM)
  target_sources(${target} PRIVATE ${text})
  target_include_directories(${target} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
