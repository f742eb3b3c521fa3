// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A tensor on the host with a copy on the device that the kernel runs on, and
// the conversions that checking needs.

#ifndef SACCADE_TOOLS_TENSOR_H
#define SACCADE_TOOLS_TENSOR_H

#include "saccade/Runtime.h"

#include <memory>
#include <string>
#include <vector>

namespace saccade::cli {

enum class DType { f32, f16, bf16, f8e4m3, f8e5m2, i32, u8, i64, i8, boolean };
DType dtypeNamed(const std::string &name);
int64_t bytesOf(DType dtype);

struct FreeMemory {
  DLDevice device = {kDLCPU, 0};
  void operator()(void *memory) const { saccade_memory_free(device, memory); }
};

class Tensor {
public:
  Tensor() = default;
  Tensor(DType dtype, std::vector<int64_t> shape);

  DType dtype = DType::f32;
  std::vector<int64_t> shape, strides; // row-major

  int64_t elements() const;
  template <typename T> T *as() { return reinterpret_cast<T *>(bytes.data()); }

  /// Element `index` as a double, and its setting, rounded to nearest even.
  double at(int64_t index) const;
  void set(int64_t index, double value);
  /// NaN in every element of a float tensor.
  void poison();

  /// Makes the device's copy. On the CPU it is the host's memory itself.
  void upload(DLDevice device);
  void download();

  DLTensor *onHost() { return view(host, bytes.data(), {kDLCPU, 0}); }
  DLTensor *onDevice() {
    return copy ? view(there, copy.get(), device) : onHost();
  }

private:
  DLTensor *view(DLTensor &tensor, void *data, DLDevice where);

  std::vector<char> bytes;
  DLDevice device = {kDLCPU, 0};
  std::unique_ptr<void, FreeMemory> copy;
  DLTensor host = {}, there = {};
};

} // namespace saccade::cli

#endif // SACCADE_TOOLS_TENSOR_H
