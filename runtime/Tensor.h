// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Looks at DLTensors: where they lie, what they hold, how they stride. Callers
// hand in anything; whoever reads a tensor here gets a checked one or an error.
#ifndef SACCADE_RUNTIME_TENSOR_H
#define SACCADE_RUNTIME_TENSOR_H

#include "runtime/Manifest.h"

#include <cstdint>
#include <dlpack/dlpack.h>
#include <string>
#include <string_view>

namespace saccade::rt {

/// "cuda:0", "cpu"; for messages.
std::string nameOf(DLDevice device);
/// "f32", "i64"; for messages.
std::string nameOf(DLDataType type);
/// "[2, 16, 128]"; for messages.
std::string shapeOf(const DLTensor &tensor);

/// Whether a tensor of `type` may stand for one of `dtype`: floats of 8 bits
/// and booleans are taken as bytes, too, as which frameworks keep them.
bool isType(DLDataType type, DType dtype);

/// Whether code on `device` may follow pointers of a tensor on `where`: the
/// same device, pinned or managed memory, and plain host memory on the host.
bool reaches(DLDevice device, DLDevice where);

/// Whether the host may read a tensor on `where`.
inline bool onHost(DLDevice where) {
  return where.device_type == kDLCPU || where.device_type == kDLCUDAHost;
}

/// The stride of a dimension, in elements; NULL strides are row-major.
int64_t strideOf(const DLTensor &tensor, int dimension);

/// Elements of a tensor.
int64_t elementsOf(const DLTensor &tensor);

/// Address of the first element.
inline const char *addressOf(const DLTensor &tensor) {
  return static_cast<const char *>(tensor.data) + tensor.byte_offset;
}

/// How a message begins. It is put into words only where there is a message:
/// runs are quick.
class MessageSubject {
public:
  virtual void print(std::string &out) const = 0;

protected:
  ~MessageSubject() = default;
};

inline void appendTo(std::string &out, const MessageSubject &subject) {
  subject.print(out);
}

/// One that is text already.
class TextSubject final : public MessageSubject {
public:
  explicit TextSubject(std::string_view text) : text(text) {}
  void print(std::string &out) const override { out += text; }

private:
  std::string_view text;
};

/// Rejects what no tensor may have: a missing shape, negative sizes, sizes
/// whose product overflows, a null pointer to elements. `subject` begins the
/// message.
Status checkTensor(const DLTensor &tensor, const MessageSubject &subject);

/// A table of int32, on the host or on a device.
struct Table {
  const int32_t *data = nullptr;
  int rank = 0;
  int64_t shape[2] = {0, 0};
  int64_t rowStride = 0;
  bool onHost = true;

  /// Checks a tensor of 1 to `maxRank` dimensions and takes it.
  Status read(const DLTensor &tensor, DLDevice device, int maxRank,
              std::string_view subject);
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_TENSOR_H
