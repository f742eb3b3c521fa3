// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Looks at DLTensors. Sizes are multiplied with care: a shape is a caller's
// word, and its product may not fit anything.
#include "runtime/Tensor.h"

using namespace saccade::rt;

/// DLDataTypeCodes since DLPack 1.1; older headers lack them.
static constexpr int kFloat8E4M3FN = 10, kFloat8E5M2 = 12;
/// Since 0.8, as frameworks write it.
static constexpr int kBool = 6;

std::string saccade::rt::nameOf(DLDevice device) {
  switch (device.device_type) {
  case kDLCPU:
    return "cpu";
  case kDLCUDA:
    return join("cuda:", device.device_id);
  case kDLCUDAHost:
    return "cuda_host";
  case kDLCUDAManaged:
    return "cuda_managed";
  default:
    return join("device type ", static_cast<int>(device.device_type));
  }
}

std::string saccade::rt::nameOf(DLDataType type) {
  std::string lanes = type.lanes == 1 ? "" : join("x", type.lanes);
  switch (type.code) {
  case kDLInt:
    return join("i", int(type.bits), lanes);
  case kDLUInt:
    return join("u", int(type.bits), lanes);
  case kDLFloat:
    return join("f", int(type.bits), lanes);
  case kDLBfloat:
    return join("bf", int(type.bits), lanes);
  case kBool:
    return join("bool", lanes);
  case kFloat8E4M3FN:
    return join("f8e4m3", lanes);
  case kFloat8E5M2:
    return join("f8e5m2", lanes);
  default:
    return join("type code ", int(type.code), " of ", int(type.bits), " bits",
                lanes);
  }
}

std::string saccade::rt::shapeOf(const DLTensor &tensor) {
  std::string text = "[";
  for (int i = 0; i < tensor.ndim; ++i)
    text += join(i ? ", " : "", tensor.shape[i]);
  return text + "]";
}

bool saccade::rt::isType(DLDataType type, DType dtype) {
  if (type.lanes != 1 || type.bits != 8 * bytesOf(dtype))
    return false;
  switch (dtype) {
  case DType::F32:
  case DType::F16:
    return type.code == kDLFloat;
  case DType::BF16:
    return type.code == kDLBfloat;
  case DType::F8E4M3:
    return type.code == kFloat8E4M3FN || type.code == kDLUInt;
  case DType::F8E5M2:
    return type.code == kFloat8E5M2 || type.code == kDLUInt;
  case DType::I32:
  case DType::I64:
  case DType::I8:
    return type.code == kDLInt;
  case DType::Bool:
    return type.code == kBool || type.code == kDLUInt;
  case DType::U8:
    return type.code == kDLUInt;
  }
  return false;
}

bool saccade::rt::reaches(DLDevice device, DLDevice where) {
  if (where.device_type == kDLCUDAHost || where.device_type == kDLCUDAManaged)
    return true;
  if (device.device_type != where.device_type)
    return false;
  return device.device_type == kDLCPU || device.device_id == where.device_id;
}

int64_t saccade::rt::strideOf(const DLTensor &tensor, int dimension) {
  if (tensor.strides)
    return tensor.strides[dimension];
  // Unsigned: strides of an empty tensor may be any number.
  uint64_t stride = 1;
  for (int i = tensor.ndim - 1; i > dimension; --i)
    stride *= static_cast<uint64_t>(tensor.shape[i]);
  return static_cast<int64_t>(stride);
}

int64_t saccade::rt::elementsOf(const DLTensor &tensor) {
  uint64_t elements = 1;
  for (int i = 0; i < tensor.ndim; ++i)
    elements *= static_cast<uint64_t>(tensor.shape[i]);
  return static_cast<int64_t>(elements);
}

Status saccade::rt::checkTensor(const DLTensor &tensor,
                                const MessageSubject &subject) {
  if (tensor.ndim < 0 || tensor.ndim > 8)
    return invalid(subject, "to have 0..8 dimensions, but got ", tensor.ndim);
  if (tensor.ndim > 0 && !tensor.shape)
    return invalid(subject, "to have a shape, but got a null pointer");
  bool empty = false;
  for (int i = 0; i < tensor.ndim; ++i) {
    if (tensor.shape[i] < 0)
      return invalid(subject, "to have sizes of 0 or more, but got ",
                     shapeOf(tensor));
    empty |= tensor.shape[i] == 0;
  }
  // The product and the farthest offset, in elements, stay below 2^59, so that
  // no byte offset overflows later.
  constexpr __int128 most = __int128(1) << 59;
  __int128 elements = 1, span = 0;
  for (int i = 0; i < tensor.ndim && !empty; ++i) {
    elements *= tensor.shape[i];
    if (elements > most)
      return invalid(subject,
                     "to have fewer than 2^59 elements, but got shape ",
                     shapeOf(tensor));
    if (!tensor.strides)
      continue;
    __int128 stride = tensor.strides[i];
    span += (tensor.shape[i] - 1) * (stride < 0 ? -stride : stride);
    if (span > most)
      return invalid(subject,
                     "to span fewer than 2^59 elements, but got stride ",
                     tensor.strides[i]);
  }
  if (!empty && !tensor.data)
    return invalid(subject, "to have data, but got a null pointer");
  return SACCADE_OK;
}

Status Table::read(const DLTensor &tensor, DLDevice device, int maxRank,
                   std::string_view subject) {
  SACCADE_TRY(checkTensor(tensor, TextSubject(subject)));
  if (!isType(tensor.dtype, DType::I32))
    return invalid(subject, "to be i32, but got ", nameOf(tensor.dtype));
  if (tensor.ndim < 1 || tensor.ndim > maxRank)
    return invalid(subject, "to have ", maxRank == 1 ? "1" : "1 or 2",
                   " dimensions, but got ", tensor.ndim);
  onHost = rt::onHost(tensor.device);
  if (!onHost && !reaches(device, tensor.device))
    return invalid(subject, "to be on ", nameOf(device),
                   " or the host, but got ", nameOf(tensor.device));
  rank = tensor.ndim;
  for (int i = 0; i < rank; ++i)
    shape[i] = tensor.shape[i];
  if (shape[rank - 1] > 1 && strideOf(tensor, rank - 1) != 1)
    return invalid(subject, "to have unit last stride, but got ",
                   strideOf(tensor, rank - 1));
  rowStride = rank == 2 ? strideOf(tensor, 0) : 0;
  if (rowStride < 0)
    return invalid(subject, "to have a row stride of 0 or more, but got ",
                   rowStride);
  const char *address = addressOf(tensor);
  if (reinterpret_cast<uintptr_t>(address) % sizeof(int32_t) != 0)
    return invalid(subject, "to be aligned to 4 bytes");
  data = reinterpret_cast<const int32_t *>(address);
  return SACCADE_OK;
}
