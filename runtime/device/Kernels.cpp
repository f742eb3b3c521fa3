// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The runtime's own kernels. They are C++ like the rest of the runtime, and are
// compiled to PTX when it is built: on a user's machine the driver is enough.
#include "runtime/DeviceKernels.h"
#include "runtime/device/Block.h"

using namespace saccade::rt;

namespace {

void report(uint64_t *error, const TableError &fault) {
  if (error)
    __nvvm_atom_min_gen_ull(reinterpret_cast<unsigned long long *>(error),
                            fault.encode());
}

/// Lengths beyond the page table, or of queries beyond the capacity, are cut
/// to what fits, so that no kernel follows them out of bounds.
void readRequests(const Block &block, const PlanOnDevice &p) {
  block.scan(p.shape.requests, p.scratch.cost, [&](int32_t r) {
    int32_t length = p.lengths[r];
    return length < 0 ? 0 : length < p.mostKeys ? length : p.mostKeys;
  });
  block.each(p.shape.requests, [&](int32_t r) {
    auto keys = static_cast<int32_t>(p.scratch.cost[r + 1] - p.scratch.cost[r]);
    if (keys != p.lengths[r])
      report(p.error, {r, 0, TableError::Length, 0});
    int64_t begin = p.qIndptr ? p.qIndptr[r] : int64_t(r) * p.qLen;
    int64_t end = p.qIndptr ? p.qIndptr[r + 1] : begin + p.qLen;
    if (begin < 0 || end < begin || end > p.mostTokens) {
      report(p.error, {r, 0, TableError::QueryLength, 0});
      begin = end = 0;
    }
    p.requests[r] = {p.scratch.cost[r],
                     /*bits_offset=*/0,
                     p.dense ? 0 : static_cast<int32_t>(begin),
                     static_cast<int32_t>(end - begin),
                     keys,
                     /*reserved=*/0};
    p.segments[r] = {r * p.tableRow, /*blocks=*/0, keys, /*start=*/0};
  });
}

} // namespace

extern "C" [[clang::nvptx_kernel]] void
saccade_plan_on_device(PlanOnDevice parameters) {
  Block block;
  readRequests(block, parameters);
  RangePlanner planner(block, parameters.shape, parameters.requests,
                       parameters.scratch, parameters.out);
  planner.plan();
}

extern "C" [[clang::nvptx_kernel]] void saccade_check_pages(CheckPages p) {
  int32_t r = __nvvm_read_ptx_sreg_ctaid_x();
  Block block;
  const SaccadeSegment &segment = p.segments[r];
  int32_t pages = (segment.len + p.page - 1) / p.page;
  block.each(pages, [&](int32_t i) {
    int32_t id = p.indices[segment.base + i];
    if (id < 0 || id >= p.limit)
      report(p.error, {r, p.cache, TableError::Page, i});
  });
}
