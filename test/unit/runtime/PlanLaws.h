// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What planner tests share: batches of given lengths, masks with the bounds
// that the compiler derives from them, and the laws that hold for every plan
// whose tiles may be cut, tested with the masks themselves.
#ifndef SACCADE_TEST_UNIT_RUNTIME_PLANLAWS_H
#define SACCADE_TEST_UNIT_RUNTIME_PLANLAWS_H

#include "runtime/Planner.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

#include <cstring>
#include <string>
#include <vector>

namespace saccade::test {

rt::Batch makeBatch(const rt::Manifest &manifest,
                    const std::vector<int32_t> &qLen,
                    const std::vector<int32_t> &kvLen);

/// A mask, and its bounds.
struct Mask {
  const char *name;
  bool (*sees)(int query, int key);
  json bounds;
};
extern const Mask kMasks[5];

/// The sample with one cache, whose attend is masked.
rt::Manifest masked(const char *layout, const json &bounds);

/// Whether two plans are the same, bit for bit.
bool same(const rt::EntryWork &a, const rt::EntryWork &b);

/// Checks that items cover each (row, KV head, key) once, in parts that begin
/// on the grid of KV tiles and see some; that each part has its slot, and
/// slots follow keys; that loads are what items cost; and that nothing exceeds
/// the sizes that the batch's own numbers promise as a capacity.
void checkParts(const rt::Manifest &manifest, const rt::Batch &batch,
                const rt::EntryWork &work, int32_t ctas, bool fixedGrid,
                bool batchInvariant);

} // namespace saccade::test
#endif // SACCADE_TEST_UNIT_RUNTIME_PLANLAWS_H
