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

/// Tokens of queries; none where they lie beyond the capacity.
struct Tokens {
  int32_t begin, count;
  bool fit;

  Tokens(const PlanOnDevice &p, int32_t r) {
    int64_t first = p.qIndptr ? p.qIndptr[r] : int64_t(r) * p.qLen;
    int64_t end = p.qIndptr ? p.qIndptr[r + 1] : first + p.qLen;
    fit = first >= 0 && end >= first && end <= p.mostTokens;
    begin = static_cast<int32_t>(fit ? first : 0);
    count = static_cast<int32_t>(fit ? end - first : 0);
  }
};

/// Lengths beyond the page table, or of queries beyond the capacity, are cut
/// to what fits, so that no kernel follows them out of bounds.
RangeRequest readRequest(const PlanOnDevice &p, int32_t r, bool reports) {
  int32_t length = p.lengths[r];
  Tokens tokens(p, r);
  int32_t keys = length < 0 ? 0 : length < p.mostKeys ? length : p.mostKeys;
  if (reports && keys != length)
    report(p.error, {r, 0, TableError::Length, 0});
  if (reports && !tokens.fit)
    report(p.error, {r, 0, TableError::QueryLength, 0});
  return {tokens.count * p.shape.group, keys};
}

/// Writes what kernels read of a request.
void writeRequest(const PlanOnDevice &p, int32_t r, int32_t keys,
                  int64_t keysBefore) {
  Tokens tokens(p, r);
  int32_t begin = p.dense ? 0 : tokens.begin;
  auto *requests = aligned(p.requests);
  auto *segments = aligned(p.segments);
  requests[r] = {keysBefore, /*bits_offset=*/0, begin, tokens.count,
                 keys,       /*reserved=*/0};
  segments[r] = {r * p.tableRow, /*blocks=*/0, keys, /*start=*/0};
}

} // namespace

extern "C" {
/// The scratch of a plan, where the launch gives memory for it.
alignas(16) extern SACCADE_SHARED char saccade_scratch[];

[[clang::nvptx_kernel]] void saccade_plan_on_device(PlanOnDevice p) {
  Block block(p.sharers);
  char *memory = p.scratch ? p.scratch : (char *)saccade_scratch;
  auto scratch =
      RangeScratch::at(memory, p.shape.requests, p.shape.ctas.value());
  RangePlanner planner(block, p.shape, scratch, p.out);
  planner.plan([&](int32_t r) { return readRequest(p, r, block.owns(r)); },
               [&](int32_t r, int64_t keysBefore) {
                 writeRequest(p, r, scratch.requests[r].keys, keysBefore);
               });
}

[[clang::nvptx_kernel]] void saccade_check_pages(CheckPages p) {
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
}
