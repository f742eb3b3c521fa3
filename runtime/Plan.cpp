// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Plans: capacity in, workspace made; batch in, work sent; values in, kernel
// launched. A new batch is built beside the old one and takes its place only
// when nothing can fail any more.
#include "runtime/Plan.h"

#include "runtime/Binding.h"
#include "runtime/CpuPool.h"
#include "runtime/Tensor.h"

#include <algorithm>
#include <cstdlib>

using namespace saccade::rt;

namespace {

constexpr int32_t kMostCtas = 1 << 20;
/// When the caller leaves the number to us: above any device's need.
constexpr int32_t kDefaultMostCtas = 1 << 14;
/// The same for entries whose tiles are cut: each cta then needs memory for two
/// partial states. Above 16 blocks on each of 128 processors.
constexpr int32_t kDefaultMostRanges = 1 << 11;
/// Finer than one cta per thread: the last ctas then end closer together.
constexpr int32_t kCtasPerThread = 4;

/// Entries that begin early wait for tiles that the kernel before may write;
/// what they look up, such as an LSE that is resumed, they read at once.
Status checkWaits(const Manifest &manifest) {
  std::string subject = join("@", manifest.kernel, ": expects ");
  for (const Entry &entry : manifest.entries)
    if (!entry.waits)
      return invalid(subject,
                     "kernels that wait for the one before, as those for sm_90 "
                     "and later do, for dependent launches, but '",
                     entry.name, "' for ", manifest.target, " does not");
  for (const Slot &slot : manifest.arguments)
    if (slot.kind == SlotKind::Lse)
      return invalid(subject,
                     "no output to be resumed for dependent launches, "
                     "but got '",
                     slot.name, "'");
  return SACCADE_OK;
}

Status readCapacity(const Manifest &manifest, const SaccadeCapacity &capacity,
                    Limits &limits) {
  std::string subject = join("@", manifest.kernel, ": expects a capacity of ");
  struct {
    std::string_view name;
    int64_t value;
  } numbers[] = {{"requests", capacity.requests},
                 {"query tokens", capacity.query_tokens},
                 {"indices", capacity.indices},
                 {"row blocks", capacity.row_blocks},
                 {"keys", capacity.keys}};
  for (auto [name, value] : numbers)
    if (value < 0 || value >= SACCADE_MAX_POSITION)
      return invalid(subject, "0..2^30-1 ", name, ", but got ", value);
  if (capacity.ctas < 0 || capacity.ctas > kMostCtas)
    return invalid(subject, "0..", kMostCtas, " ctas, but got ", capacity.ctas);
  constexpr uint32_t known = SACCADE_PLAN_FIXED_GRID | SACCADE_PLAN_HOST_ONLY |
                             SACCADE_PLAN_BATCH_INVARIANT |
                             SACCADE_PLAN_ON_DEVICE | SACCADE_PLAN_CHECKED |
                             SACCADE_PLAN_DEPENDENT_LAUNCH;
  constexpr uint32_t needsDevice =
      SACCADE_PLAN_ON_DEVICE | SACCADE_PLAN_CHECKED;
  if (capacity.flags & ~known || capacity.reserved)
    return invalid(subject, "known flags and reserved 0, but got ",
                   capacity.flags, " and ", capacity.reserved);
  if (capacity.flags & needsDevice &&
      (manifest.isCpu() || capacity.flags & SACCADE_PLAN_HOST_ONLY))
    return invalid(subject, "a CUDA device to plan or check on");
  if (capacity.flags & SACCADE_PLAN_ON_DEVICE &&
      capacity.flags & SACCADE_PLAN_BATCH_INVARIANT)
    return invalid(subject, "either batch-invariant plans or plans made on "
                            "the device, not both");
  if (capacity.flags & SACCADE_PLAN_DEPENDENT_LAUNCH)
    SACCADE_TRY(checkWaits(manifest));
  if (capacity.flags & SACCADE_PLAN_HOST_ONLY && capacity.ctas == 0)
    return invalid(subject, "1 cta or more for a plan without a device");
  limits = {capacity.requests, capacity.query_tokens, capacity.indices,
            capacity.row_blocks};
  if (capacity.flags & SACCADE_PLAN_BATCH_INVARIANT) {
    limits.keys = capacity.keys;
    for (const Entry &entry : manifest.entries)
      if (entry.isSplittable(manifest) && capacity.keys < 1)
        return invalid(subject, "1 key or more for a batch-invariant plan");
  }
  return SACCADE_OK;
}

/// Ctas that an entry uses at most, of the `wanted` ones; of any number where
/// that is 0.
int32_t capCtas(const Manifest &manifest, const Entry &entry,
                const Limits &limits, int32_t wanted, bool byCaller,
                bool batchInvariant) {
  bool splittable = entry.isSplittable(manifest);
  if (!byCaller)
    wanted = std::min(wanted, splittable && !batchInvariant ? kDefaultMostRanges
                                                            : kDefaultMostCtas);
  if (splittable && !batchInvariant)
    return wanted; // keys may be cut for all of them
  WorkSize most = mostWork(manifest, entry, limits, wanted, batchInvariant);
  return static_cast<int32_t>(std::clamp<int64_t>(most.items, 1, wanted));
}

/// Gives two entries of one launch as many ctas as they take together: one at
/// least for each.
void shareCtas(const Manifest &manifest, int32_t wanted,
               std::vector<int32_t> &ctas) {
  for (size_t e = 0; e < manifest.entries.size(); ++e)
    if (int32_t other = manifest.entries[e].fused; other >= 0)
      ctas[e] = ctas[other] = static_cast<int32_t>(std::clamp<int64_t>(
          int64_t(ctas[e]) + ctas[other], 2, std::max(wanted, 2)));
}

} // namespace

Status SaccadePlan::bytes(const SaccadeModule &module,
                          const SaccadeCapacity &capacity, size_t &bytes) {
  const Manifest &manifest = module.manifest();
  Limits limits;
  SACCADE_TRY(readCapacity(manifest, capacity, limits));
  bool batchInvariant = capacity.flags & SACCADE_PLAN_BATCH_INVARIANT;
  std::vector<int32_t> ctas;
  for (const Entry &entry : manifest.entries)
    ctas.push_back(capCtas(manifest, entry, limits,
                           capacity.ctas ? capacity.ctas : kMostCtas,
                           capacity.ctas, batchInvariant));
  bool shared = !(capacity.flags & SACCADE_PLAN_ON_DEVICE);
  if (shared)
    shareCtas(manifest, capacity.ctas ? capacity.ctas : kMostCtas, ctas);
  PlanMemory memory;
  SACCADE_TRY(PlanMemory::layOut(manifest, limits, ctas, memory, batchInvariant,
                                 shared));
  if (capacity.flags & (SACCADE_PLAN_ON_DEVICE | SACCADE_PLAN_CHECKED))
    memory.addScratch(limits.requests, std::ranges::max(ctas));
  bytes = memory.bytes;
  return SACCADE_OK;
}

Status SaccadePlan::create(SaccadeModule &module, DLDevice device,
                           const SaccadeCapacity &capacity,
                           std::unique_ptr<SaccadePlan> &result) {
  const Manifest &manifest = module.manifest();
  std::unique_ptr<SaccadePlan> plan(
      new SaccadePlan(module, device, capacity.flags));
  SACCADE_TRY(readCapacity(manifest, capacity, plan->limits));
  bool hostOnly = plan->flags & SACCADE_PLAN_HOST_ONLY;
  bool batchInvariant = plan->flags & SACCADE_PLAN_BATCH_INVARIANT;
  if (!hostOnly) {
    SACCADE_TRY(module.prepare(device));
    if (manifest.isCpu())
      SACCADE_TRY(module.cpuCode(plan->cpu));
    else
      SACCADE_TRY(module.cudaCode(device.device_id, plan->cuda));
    if (plan->flags & SACCADE_PLAN_DEPENDENT_LAUNCH)
      SACCADE_TRY(plan->checkDependentLaunch());
  }
  int32_t most = 0;
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    int32_t wanted = capacity.ctas;
    if (!wanted && plan->cpu)
      wanted = kCtasPerThread * cpuThreads();
    else if (!wanted)
      wanted = plan->cuda->device().info().processors *
               plan->cuda->function(e).info.blocks_per_processor;
    plan->ctas.push_back(capCtas(manifest, manifest.entries[e], plan->limits,
                                 wanted, capacity.ctas, batchInvariant));
    if (manifest.entries[e].fused >= 0)
      most = wanted;
  }
  if (plan->sharesLaunches())
    shareCtas(manifest, most, plan->ctas);
  SACCADE_TRY(PlanMemory::layOut(manifest, plan->limits, plan->ctas,
                                 plan->memory, batchInvariant,
                                 plan->sharesLaunches()));
  bool needsKernels =
      plan->flags & (SACCADE_PLAN_ON_DEVICE | SACCADE_PLAN_CHECKED);
  if (needsKernels)
    plan->memory.addScratch(plan->limits.requests,
                            std::ranges::max(plan->ctas));
  if (!hostOnly)
    SACCADE_TRY(plan->allocate(capacity));
  if (!hostOnly)
    SACCADE_TRY(plan->clearCounters());
  if (needsKernels)
    SACCADE_TRY(plan->prepareDevice());
  plan->maps.resize(manifest.entries.size());
  plan->reserve();
  result = std::move(plan);
  return SACCADE_OK;
}

/// Makes room for any batch within the capacity, and plans the empty one.
void SaccadePlan::reserve() {
  const Manifest &manifest = module.manifest();
  bool batchInvariant = flags & SACCADE_PLAN_BATCH_INVARIANT;
  batch.reserve(manifest, limits);
  spareBatch.reserve(manifest, limits);
  work.resize(manifest.entries.size());
  spareWork.resize(manifest.entries.size());
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    const Entry &entry = manifest.entries[e];
    planner.reserve(manifest, entry, limits, ctas[e]);
    WorkSize most = mostWork(manifest, entry, limits, ctas[e], batchInvariant);
    work[e].reserve(most, ctas[e]);
    spareWork[e].reserve(most, ctas[e]);
  }
  std::vector<int32_t> none(ctas.size(), 0);
  planner.planAll(manifest, batch, none, false, sharesLaunches(), work);
  uploaded.reserve(memory.mostRanges());
}

/// Kernels leave counters as they find them.
Status SaccadePlan::clearCounters() {
  if (memory.counterBytes == 0)
    return SACCADE_OK;
  char *counters = workspace + memory.counters;
  if (!cuda) {
    std::fill_n(counters, memory.counterBytes, 0);
    return SACCADE_OK;
  }
  return cuda->device().fill(counters, 0, memory.counterBytes,
                             "a plan's counters");
}

Status SaccadePlan::allocate(const SaccadeCapacity &capacity) {
  std::string subject =
      join("@", module.manifest().kernel, ": expects a workspace ");
  if (cuda)
    ring.emplace(cuda->device(), memory.imageBytes);
  if (capacity.workspace) {
    if (capacity.workspace_bytes < memory.bytes)
      return fail(SACCADE_OUT_OF_CAPACITY, subject, "of ", memory.bytes,
                  " bytes, but got ", capacity.workspace_bytes);
    workspace = static_cast<char *>(capacity.workspace);
    if (reinterpret_cast<uintptr_t>(workspace) % 16 != 0)
      return invalid(subject, "aligned to 16 bytes");
    return SACCADE_OK;
  }
  void *fresh = nullptr;
  if (cuda)
    SACCADE_TRY(cuda->device().allocate(memory.bytes, &fresh));
  else
    fresh = aligned_alloc(64, (memory.bytes + 63) & ~size_t(63));
  if (!fresh)
    return fail(SACCADE_OUT_OF_MEMORY, subject, "of ", memory.bytes, " bytes");
  workspace = static_cast<char *>(fresh);
  ownsWorkspace = true;
  return SACCADE_OK;
}

SaccadePlan::~SaccadePlan() {
  ring.reset();
  if (!ownsWorkspace)
    return;
  // The message of an earlier failure is worth more than one of this.
  if (cuda)
    (void)cuda->device().free(workspace);
  else
    ::free(workspace);
}

Status SaccadePlan::update(const SaccadeBatch &source, void *stream) {
  const Manifest &manifest = module.manifest();
  if (cuda)
    SACCADE_TRY(cuda->device().driver().checkProcess());
  SACCADE_TRY(readBatch(manifest, source, device, limits, spareBatch));
  planner.planAll(manifest, spareBatch, ctas,
                  flags & (SACCADE_PLAN_FIXED_GRID | SACCADE_PLAN_ON_DEVICE),
                  sharesLaunches(), spareWork);
  if (!(flags & SACCADE_PLAN_HOST_ONLY))
    SACCADE_TRY(upload(stream));
  std::swap(batch, spareBatch);
  work.swap(spareWork);
  isOnDevice = isFresh = false;
  text.clear();
  svg.clear();
  return SACCADE_OK;
}

/// Sends the plan that is being made.
Status SaccadePlan::upload(void *stream) {
  if (!cuda) {
    memory.write(spareBatch, spareWork, workspace, uploaded);
    return SACCADE_OK;
  }
  // A captured copy would read the pinned buffer at each replay, when another
  // plan lies in it. A run can be captured: it reads whatever plan is there.
  const CudaDriver &driver = cuda->device().driver();
  CUstream cudaStream = static_cast<CUstream>(stream);
  {
    CudaScope scope(cuda->device());
    CUstreamCaptureStatus capturing = CU_STREAM_CAPTURE_STATUS_NONE;
    SACCADE_TRY(driver.check(driver.cuStreamIsCapturing(cudaStream, &capturing),
                             "cuStreamIsCapturing"));
    if (capturing != CU_STREAM_CAPTURE_STATUS_NONE)
      return invalid(
          "@", module.manifest().kernel,
          ": expects plans to be updated outside of a stream capture");
  }
  char *image;
  SACCADE_TRY(ring->acquire(image));
  memory.write(spareBatch, spareWork, image, uploaded);
  return ring->send(uploaded, workspace, cudaStream);
}

/// Fills in what the plan knows: items, requests, and the tables of caches.
void SaccadePlan::putTables(size_t entry) {
  auto address = [&](size_t offset) {
    return static_cast<uint64_t>(
        reinterpret_cast<uintptr_t>(workspace + offset));
  };
  words[SACCADE_WORD_ITEMS] = address(memory.entries[entry].items);
  words[SACCADE_WORD_CTA_BEGIN] = address(memory.entries[entry].ctaBegin);
  words[SACCADE_WORD_REQUESTS] = address(memory.requests);
  words[SACCADE_WORD_PLAN_BYTES] = isOnDevice         ? memory.blockRows
                                   : uploaded.empty() ? 0
                                                      : uploaded.back().end;
  words[SACCADE_WORD_WORKSPACE] = address(memory.entries[entry].states);
  words[SACCADE_WORD_PARTIALS] = address(memory.entries[entry].partials);
  words[SACCADE_WORD_COUNTERS] = address(memory.entries[entry].counters);
  const Manifest &manifest = module.manifest();
  // In a launch of its own, an entry's items have format 0.
  words[SACCADE_WORD_FORMAT] =
      !sharesLaunches() && manifest.entries[entry].fusedInto >= 0;
  for (size_t c = 0; c < manifest.caches.size(); ++c) {
    uint64_t *cache = &words[manifest.arguments[manifest.caches[c]].word];
    const CachePart &part = batch.caches[c];
    cache[SACCADE_CACHE_SEGMENTS] = address(memory.segments[c]);
    cache[SACCADE_CACHE_INDICES] =
        part.deviceIndices ? reinterpret_cast<uintptr_t>(part.deviceIndices)
                           : address(memory.indices);
    cache[SACCADE_CACHE_BLOCK_ROWS] =
        part.deviceBlockRows ? reinterpret_cast<uintptr_t>(part.deviceBlockRows)
                             : address(memory.blockRows);
  }
}

Status SaccadePlan::run(std::span<const SaccadeArgument> values, void *stream) {
  const Manifest &manifest = module.manifest();
  if (flags & SACCADE_PLAN_HOST_ONLY)
    return invalid("@", manifest.kernel,
                   ": expects a plan for a device, but got a host-only one");
  if (cuda)
    SACCADE_TRY(cuda->device().driver().checkProcess());
  SACCADE_TRY(bindArguments(manifest, batch, device, values, words, extents));
  if (flags & SACCADE_PLAN_CHECKED)
    SACCADE_TRY(launchChecks(stream));
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    int32_t grid = gridOf(e);
    if (grid == 0 || memory.leaders[e] >= 0)
      continue;
    putTables(e);
    if (cpu) {
      runOnCpu((*cpu)[e], words.data(), grid);
      continue;
    }
    SACCADE_TRY(launch(e, grid, stream));
  }
  return SACCADE_OK;
}

const std::string &SaccadePlan::describe() {
  if (isOnDevice)
    text = join("plan @", module.manifest().kernel, ": ", batch.requests.size(),
                " requests, planned on the device\n");
  if (text.empty())
    text = saccade::rt::describe(module.manifest(), batch, work);
  return text;
}

const std::string &SaccadePlan::picture() {
  if (isOnDevice)
    svg = saccade::rt::picture(module.manifest(), batch, {});
  else if (svg.empty())
    svg = saccade::rt::picture(module.manifest(), batch, work);
  return svg;
}
