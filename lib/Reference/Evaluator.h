// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The executable meaning of the attn dialect: kernels run from their IR, row by
// row, in double precision. It shares no code with the lowerings, so that every
// numeric test compares two readings of the dialect's text.

#ifndef SACCADE_LIB_REFERENCE_EVALUATOR_H
#define SACCADE_LIB_REFERENCE_EVALUATOR_H

#include "dialects/Attn/Attn.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <variant>
#include <vector>

namespace saccade::reference {

/// How one element lies in memory.
enum class Element { f32, f16, bf16, f8e4m3, f8e5m2, i32, u8, i64, i8 };

/// Reads element `index` of `data` as a double; integers are exact.
double load(const void *data, Element element, int64_t index);

/// The nearest value of an element of 8 bits, ties to even; beyond the largest
/// finite one, that.
double roundToBytes(double value, Element element);

/// Rows of head_dim elements in host memory, found by (batch, token, head) with
/// strides in elements; a row is contiguous. `batch` is the page of a paged
/// cache, and 0 in packed tensors.
struct Rows {
  const void *data = nullptr;
  Element element = Element::f32;
  int64_t batches = 1, tokens = 0; // extents
  int64_t batchStride = 0, tokenStride = 0, headStride = 0;

  double at(int64_t batch, int64_t token, int64_t head, int64_t dim) const {
    return load(data, element,
                batch * batchStride + token * tokenStride + head * headStride +
                    dim);
  }
};

/// A cache, and where each request's tokens lie in it.
struct Cache {
  Rows keys, values;
  std::vector<int32_t> lengths; ///< [requests] tokens of the request
  std::vector<int64_t> base;    ///< [requests] paged: first entry in `indices`;
                                ///< ragged, block-sparse: first token row
  std::vector<int32_t> indices; ///< page ids, or key blocks
  std::vector<int32_t> blockRows;  ///< block-sparse: row pointers into indices
  std::vector<int64_t> blockBegin; ///< block-sparse: [requests] first row block
};

/// A table, flat as it lies in memory, or with strides.
struct Table {
  const void *data = nullptr;
  Element element = Element::f32;
  int64_t size = 0; ///< in elements; bits: in bytes
  /// Of attn.table: extents, and strides in elements.
  std::vector<int64_t> extents, strides;
};

/// An argument of a kernel: f32 and i32 scalars are doubles, LSEs rows of one
/// element.
using Argument = std::variant<double, Rows, Cache, Table>;

/// A batch and the arguments of the kernel, in the order of its signature.
struct ReferenceInputs {
  int32_t requests = 0;
  std::vector<int32_t> queryLengths; ///< [requests]
  std::vector<int64_t> queryBegin;   ///< [requests] ragged: first packed token
  std::vector<Argument> arguments;
};

/// One row of the result: a query token of a request, in one head.
struct Row {
  int32_t request, token, head;
};

/// All rows of a batch: by request, then token, then head.
std::vector<Row> allRows(const ReferenceInputs &inputs, int64_t heads);

/// Evaluates a kernel at some rows. Element i holds result i of `attn.return`,
/// one row after another: head_dim values of an output, one of an LSE. Inputs
/// are not written: an append is seen by the attends of this evaluation only.
/// Lengths that do not fit the tensors are an error; page ids and table indices
/// out of range are clamped as the dialect says.
llvm::Expected<std::vector<std::vector<double>>>
evaluate(attn::KernelOp kernel, const ReferenceInputs &inputs,
         llvm::ArrayRef<Row> rows);

} // namespace saccade::reference

#endif // SACCADE_LIB_REFERENCE_EVALUATOR_H
