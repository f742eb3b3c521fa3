// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Divides the ctas of a launch between the two entries that share it, so that
// both are modelled to end at once. Who gets how many depends on the batch;
// where keys of a batch-invariant plan are cut does not.
#include "runtime/Planner.h"

#include <algorithm>
#include <tuple>

using namespace saccade::rt;

namespace {

/// Divisions that are tried: the first comes from sums of costs, the next from
/// what the one before made of whole tiles.
constexpr int kTries = 3;

/// How many times as fast as its cost says a cta works when so many of all have
/// work of its kind, and the others leave them what limits it.
double paceOf(const Entry &entry, int32_t ctas, int32_t all) {
  return std::clamp(double(all) / std::max(ctas, 1), 1.0, entry.rush);
}

} // namespace

/// Ctas of the first entry, of those that two entries share.
int32_t Planner::divide(const Manifest &manifest, const Entry &first,
                        const Entry &second, const Batch &batch, int32_t ctas) {
  cutTiles(manifest, second, batch, tileRowsOf(second), tiles);
  if (tiles.empty())
    return ctas;
  TileCosts ofSecond(second, tiles);
  cutTiles(manifest, first, batch, tileRowsOf(first), tiles);
  if (tiles.empty())
    return 0;
  TileCosts ofFirst(first, tiles);
  auto endOf = [&](const Entry &entry, const TileCosts &costs, int32_t count) {
    double even = costs.sum / count;
    if (entry.isSplittable(manifest))
      even += mergeCost(manifest, entry);
    else
      even = std::max(even, costs.heaviest);
    return even / paceOf(entry, count, ctas);
  };
  // By what the first entry was seen to take more than even loads.
  double uneven = 1;
  auto best = [&] {
    std::tuple<double, double, int32_t> best;
    for (int32_t count = 1; count < ctas; ++count) {
      double a = endOf(first, ofFirst, count) * uneven;
      double b = endOf(second, ofSecond, ctas - count);
      std::tuple tried(std::max(a, b), a + b, count);
      best = count == 1 ? tried : std::min(best, tried);
    }
    return std::get<int32_t>(best);
  };
  int32_t count = best(), taken = count;
  if (static_cast<int64_t>(tiles.size()) * first.kvHeads > kFewItems)
    return taken;
  double least = 0;
  for (int tries = 0; tries < kTries; ++tries) {
    int64_t rows = chooseRows(manifest, first, batch, count, false);
    cutTiles(manifest, first, batch, rows, tiles);
    dealTiles(manifest, first, batch, count, false, trial);
    double even = endOf(first, ofFirst, count);
    double real = std::ranges::max(trial.load) / paceOf(first, count, ctas);
    double end = std::max(real, endOf(second, ofSecond, ctas - count));
    if (tries == 0 || end < least) {
      least = end;
      taken = count;
    }
    uneven = even > 0 ? real / even : 1;
    int32_t next = best();
    if (next == count)
      break;
    count = next;
  }
  return taken;
}

void Planner::planShared(const Manifest &manifest, const Entry &first,
                         const Entry &second, const Batch &batch, int32_t ctas,
                         bool fixedGrid, EntryWork &firstWork,
                         EntryWork &secondWork) {
  auto planPart = [&](const Entry &entry, int32_t count, bool fixed,
                      EntryWork &work) {
    double pace = paceOf(entry, count, ctas);
    plan(manifest, entry, batch, count, fixed, work, pace);
    for (double &load : work.load)
      load /= pace;
  };
  int32_t count = divide(manifest, first, second, batch, ctas);
  planPart(first, count, false, firstWork);
  // What the first entry leaves, also of its own part.
  planPart(second, ctas - firstWork.ctas(), fixedGrid, secondWork);
  firstWork.grid = secondWork.grid = {firstWork.ctas(), secondWork.ctas()};
  secondWork.isSecond = true;
}

void Planner::planAll(const Manifest &manifest, const Batch &batch,
                      std::span<const int32_t> ctas, bool fixedGrid,
                      bool shared, std::vector<EntryWork> &work) {
  for (size_t e = 0; e < manifest.entries.size(); ++e) {
    const Entry &entry = manifest.entries[e];
    if (!shared || (entry.fused < 0 && entry.fusedInto < 0))
      plan(manifest, entry, batch, ctas[e], fixedGrid, work[e]);
    else if (entry.fused >= 0)
      planShared(manifest, entry, manifest.entries[entry.fused], batch, ctas[e],
                 fixedGrid, work[e], work[entry.fused]);
  }
}
