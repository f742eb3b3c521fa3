// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tensor maps of an entry: what the hardware's tensor copies know of the
// tensors of a call. A plan keeps them from run to run, because calls mostly
// pass the tensors of the call before.
#ifndef SACCADE_RUNTIME_TENSORMAPS_H
#define SACCADE_RUNTIME_TENSORMAPS_H

#include "runtime/Binding.h"
#include "runtime/CudaDriver.h"

#include <span>
#include <vector>

namespace saccade::rt {

/// The inputs of cuTensorMapEncodeTiled that vary. Dimensions are column, head,
/// token, batch; the column has no stride.
struct TensorMapInputs {
  uint64_t address = 0;
  uint64_t sizes[4] = {};
  uint64_t strides[3] = {}; ///< bytes
  uint32_t box[4] = {};

  bool operator==(const TensorMapInputs &) const = default;
};

/// Reads the inputs of one map from bound words. `empty` is any device address
/// that is aligned to 16 bytes: the map of an empty tensor, which nothing
/// reads, needs one. Refuses what a tensor map cannot express.
Status readMapInputs(const Manifest &manifest, const TensorMapRecipe &recipe,
                     std::span<const TensorExtent> extents,
                     std::span<const uint64_t> words, const void *empty,
                     TensorMapInputs &inputs);

/// The maps of one entry.
class TensorMaps {
public:
  /// Puts the entry's maps behind the words of its block, which grows as
  /// needed. Only maps whose tensors are not those of the call before are
  /// encoded.
  Status put(const CudaDriver &driver, const Manifest &manifest,
             const Entry &entry, std::span<const TensorExtent> extents,
             const void *empty, std::vector<uint64_t> &words);

private:
  struct Made {
    TensorMapInputs inputs; ///< all zero: of no tensor
    CUtensorMap map;
  };
  std::vector<Made> made;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_TENSORMAPS_H
