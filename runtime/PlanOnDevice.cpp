// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans whose lengths lie on the device, and what its kernels find wrong there.
#include "runtime/Plan.h"
#include "runtime/Tensor.h"
#include "runtime/TileCutter.h"

#include <algorithm>
#include <cmath>

using namespace saccade::rt;

namespace {

/// A tile of all keys: what is not split.
constexpr int32_t kAllKeys = SACCADE_MAX_POSITION;
/// KV tiles that one cta folds at a time where keys are dealt to its warps: a
/// part of fewer would leave warps without work.
constexpr int32_t kLeastTiles = 8;

CUdeviceptr address(const void *pointer) {
  return static_cast<CUdeviceptr>(reinterpret_cast<uintptr_t>(pointer));
}

RangeShape shapeOf(const Manifest &manifest, const Entry &entry,
                   int32_t requests, int32_t ctas) {
  RangeShape shape = {};
  shape.requests = requests;
  shape.ctas = Divisor(ctas);
  shape.kvHeads = entry.kvHeads;
  shape.group = entry.group;
  shape.tileRows = Divisor(static_cast<int32_t>(tileRowsOf(entry)));
  shape.leastRows = entry.leastRows;
  shape.mostRows = entry.mostRows;
  bool splits = entry.kind == EntryKind::Attend && entry.isSplittable(manifest);
  shape.kvTile = Divisor(splits ? entry.kvTile : kAllKeys);
  shape.least = splits ? kLeastTiles : 1;
  double each = entry.beta * entry.kvTile;
  double fixed = costOf(entry, shape.tileRows.value(), 0);
  shape.overhead = std::max<int32_t>(
      1, splits && each > 0
             ? static_cast<int32_t>(std::min(std::round(fixed / each), 1e6))
             : 1);
  return shape;
}

} // namespace

/// Loads what runs inside captures later, and clears what it reports to.
Status SaccadePlan::prepareDevice() {
  SACCADE_TRY(RuntimeKernels::get(cuda->device(), kernels));
  return cuda->device().fill(errorWord(), ~0u, sizeof(uint64_t),
                             "a plan's error word");
}

Status SaccadePlan::checkDeviceBatch(const SaccadeDeviceBatch &source) const {
  const Manifest &manifest = module.manifest();
  std::string subject = join("@", manifest.kernel, ": expects ");
  if (!(flags & SACCADE_PLAN_ON_DEVICE))
    return invalid(subject, "a plan made with SACCADE_PLAN_ON_DEVICE");
  bool paged = manifest.caches.size() == 1 &&
               manifest.arguments[manifest.caches[0]].layout == Layout::Paged;
  if (!paged)
    return invalid(subject, "a kernel of one paged cache, to be planned on the "
                            "device");
  for (TableKind kind : {TableKind::Bits, TableKind::PerToken})
    if (manifest.hasTable(kind))
      return invalid(subject, "a kernel without packed masks and tables per "
                              "token, to be planned on the device");
  for (const void *reserved : source.reserved)
    if (reserved)
      return invalid(subject, "null reserved fields in the batch");
  if (source.requests < 0)
    return invalid(subject, "0 requests or more, but got ", source.requests);
  if (source.requests > limits.requests)
    return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ", limits.requests,
                " requests as its capacity says, but got ", source.requests);
  if (source.q_indptr ? source.q_len != 0 : source.q_len < 0)
    return invalid(subject, "q_len of 0 or more, or q_indptr and 0, but got ",
                   source.q_len);
  int64_t tokens = int64_t(source.q_len) * source.requests;
  if (tokens > limits.queryTokens)
    return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ",
                limits.queryTokens,
                " query tokens as its capacity says, but got ", tokens);
  return SACCADE_OK;
}

Status SaccadePlan::updateOnDevice(const SaccadeDeviceBatch &source,
                                   void *stream) {
  const Manifest &manifest = module.manifest();
  SACCADE_TRY(checkDeviceBatch(source));
  SACCADE_TRY(cuda->device().driver().checkProcess());
  std::string subject = join("@", manifest.kernel, ": expects ");
  auto read = [&](const DLTensor *tensor, int rank, std::string_view name,
                  int64_t entries, Table &table) -> Status {
    std::string what = join(subject, "'", name, "' ");
    if (!tensor)
      return invalid(what, "on the device");
    SACCADE_TRY(table.read(*tensor, device, rank, what));
    if (table.onHost)
      return invalid(what, "on the device, but it is on the host");
    if (table.shape[0] < entries)
      return invalid(what, "to have ", entries, " entries, but got ",
                     table.shape[0]);
    return SACCADE_OK;
  };
  Table lengths, pages, indptr;
  SACCADE_TRY(read(source.lengths, 1, "lengths", source.requests, lengths));
  SACCADE_TRY(read(source.indices, 2, "indices", source.requests, pages));
  if (source.q_indptr)
    SACCADE_TRY(
        read(source.q_indptr, 1, "q_indptr", source.requests + 1, indptr));

  const Slot &cache = manifest.arguments[manifest.caches[0]];
  const Slot &query = manifest.arguments[manifest.query];
  PlanOnDevice parameters = {};
  parameters.requests =
      reinterpret_cast<SaccadeRequest *>(workspace + memory.requests);
  parameters.segments =
      reinterpret_cast<SaccadeSegment *>(workspace + memory.segments[0]);
  parameters.qIndptr = source.q_indptr ? indptr.data : nullptr;
  parameters.lengths = lengths.data;
  parameters.qLen = source.q_len;
  parameters.dense = query.layout == Layout::Dense;
  parameters.tableRow = pages.rowStride;
  parameters.mostTokens = limits.queryTokens;
  parameters.mostKeys = static_cast<int32_t>(
      std::min<int64_t>(pages.shape[1] * cache.page, SACCADE_MAX_POSITION - 1));
  parameters.error = errorWord();
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    const PlanMemory::EntryOffsets &at = memory.entries[e];
    parameters.shape =
        shapeOf(manifest, manifest.entries[e], source.requests, ctas[e]);
    parameters.scratch = workspace + memory.scratch;
    parameters.out = {
        reinterpret_cast<SaccadeWorkItem *>(workspace + at.items),
        reinterpret_cast<int32_t *>(workspace + at.ctaBegin),
        reinterpret_cast<SaccadePartial *>(workspace + at.partials)};
    Limits most = {source.requests,
                   source.q_indptr ? limits.queryTokens
                                   : int64_t(source.q_len) * source.requests};
    WorkSize size = mostWork(manifest, manifest.entries[e], most, ctas[e],
                             /*batchInvariant=*/false);
    SACCADE_TRY(kernels->launch(parameters, size.items + size.slots,
                                static_cast<CUstream>(stream)));
  }

  // What the host knows of the batch: where things are, not how long.
  batch.clear(/*numCaches=*/1);
  batch.requests.resize(source.requests);
  batch.tokens = batch.queryRows = int64_t(source.q_len) * source.requests;
  batch.longestQuery = source.q_len;
  batch.caches.resize(1);
  batch.caches[0].segments.resize(source.requests);
  batch.caches[0].deviceIndices = pages.data;
  isOnDevice = isFresh = true;
  text.clear();
  return SACCADE_OK;
}

/// Tests the page ids of all paged caches whose table lies on the device; those
/// on the host were tested when they came.
Status SaccadePlan::launchChecks(void *stream) {
  const Manifest &manifest = module.manifest();
  auto requests = static_cast<int32_t>(batch.requests.size());
  for (size_t c = 0; c < manifest.caches.size(); ++c) {
    const Slot &slot = manifest.arguments[manifest.caches[c]];
    if (slot.layout != Layout::Paged || !batch.caches[c].deviceIndices)
      continue;
    CheckPages parameters = {};
    parameters.segments =
        reinterpret_cast<SaccadeSegment *>(workspace + memory.segments[c]);
    parameters.indices = batch.caches[c].deviceIndices;
    parameters.limit =
        static_cast<int64_t>(words[slot.word + SACCADE_CACHE_LIMIT]);
    parameters.page = slot.page;
    parameters.cache = static_cast<int32_t>(c);
    parameters.error = errorWord();
    SACCADE_TRY(
        kernels->launch(parameters, requests, static_cast<CUstream>(stream)));
  }
  return SACCADE_OK;
}

Status SaccadePlan::check(void *stream) {
  const Manifest &manifest = module.manifest();
  std::string subject = join("@", manifest.kernel, ": expects ");
  if (!kernels)
    return invalid(subject, "a plan made with SACCADE_PLAN_ON_DEVICE or "
                            "SACCADE_PLAN_CHECKED to be checked");
  CudaScope scope(cuda->device());
  const CudaDriver &driver = cuda->device().driver();
  auto cudaStream = static_cast<CUstream>(stream);
  uint64_t code = TableError::kNone;
  auto copy = [&](const void *to, const void *from) {
    return driver.check(driver.cuMemcpyAsync(address(to), address(from),
                                             sizeof(code), cudaStream),
                        "cuMemcpyAsync of a plan's error word");
  };
  SACCADE_TRY(copy(&code, errorWord()));
  SACCADE_TRY(driver.check(driver.cuStreamSynchronize(cudaStream),
                           "cuStreamSynchronize"));
  if (code == TableError::kNone)
    return SACCADE_OK;
  uint64_t none = TableError::kNone;
  SACCADE_TRY(copy(errorWord(), &none));
  SACCADE_TRY(driver.check(driver.cuStreamSynchronize(cudaStream),
                           "cuStreamSynchronize"));
  TableError found = TableError::decode(code);
  switch (found.kind) {
  case TableError::Length:
    return invalid(subject,
                   "lengths of 0 or more that fit in the page table, "
                   "but that of request ",
                   found.request, " does not");
  case TableError::QueryLength:
    return invalid(subject, "a q_indptr that never falls and stays below ",
                   limits.queryTokens + 1, ", but that of request ",
                   found.request, " does not");
  case TableError::Page:
    break;
  }
  return invalid(subject, "page ids of '",
                 manifest.arguments[manifest.caches[found.cache]].name,
                 "' in the cache, but page ", found.place, " of request ",
                 found.request, " is not");
}
