// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A plan as text, for people and for FileCheck. One line per item: a plan that
// looks wrong should be arguable with a finger on a line.
#include "runtime/Planner.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

using namespace saccade::rt;

namespace {

/// Up to six significant digits, no trailing zeros: 12, 0.5, 1.25e+07.
std::string number(double value) {
  char text[32];
  snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string range(int64_t begin, int64_t end) {
  return join("[", begin, ", ", end, ")");
}

void describeEntry(const Manifest &manifest, const Entry &entry,
                   const Batch &batch, const EntryWork &work,
                   std::string &out) {
  out += join("entry @", entry.name, " ", nameOf(entry.kind), ": ",
              work.items.size(), " items on ", work.ctas(), " ctas, ",
              entry.rowsPerItem, " rows at most");
  if (!work.partials.empty())
    out +=
        join(", ", work.counters, " tiles in ", work.partials.size(), " parts");
  if (entry.leastRows > 1)
    out += join(", requests of ", entry.leastRows, " rows or more");
  if (entry.mostRows < SACCADE_MAX_POSITION)
    out += join(", requests of ", entry.mostRows, " rows or less");
  if (entry.rowBlock)
    out += join(" within blocks of ", entry.rowBlock);
  if (entry.kind == EntryKind::Attend)
    out += join(", tiles of ", entry.kvTile, " keys");
  if (work.grid.ctas())
    out += join(", in a launch of ", work.grid.ctas(), " ctas");
  out += join(", group ", entry.group, ", ", entry.kvHeads, " KV heads\n");
  if (!work.items.empty()) {
    auto [least, most] = std::ranges::minmax(work.load);
    double mean =
        std::accumulate(work.load.begin(), work.load.end(), 0.0) / work.ctas();
    out += join("  load: least ", number(least), ", mean ", number(mean),
                ", most ", number(most), ", imbalance ",
                number(mean > 0 ? most / mean : 1), "\n");
  }
  KeyLine keys;
  for (int32_t cta = 0; cta < work.ctas(); ++cta) {
    out += join("  cta ", work.launched(cta), ": load ", number(work.load[cta]),
                "\n");
    for (int32_t i = work.ctaBegin[cta]; i < work.ctaBegin[cta + 1]; ++i) {
      const SaccadeWorkItem &item = work.items[i];
      out += join("    request ", item.request, " head ", item.kv_head,
                  " rows ", range(item.row_begin, item.row_end), " keys ",
                  range(item.kv_begin, item.kv_end));
      if (item.partial >= 0) {
        const SaccadePartial &partial = work.partials[item.partial];
        keys.read(manifest, entry, batch, item.request, item.row_begin,
                  item.row_end);
        out +=
            join(" in ", keys.before(item.kv_end) - keys.before(item.kv_begin),
                 " tiles, part ", item.partial - partial.first + 1, " of ",
                 partial.count, " in slot ", item.partial);
      } else if (entry.kind == EntryKind::Attend) {
        out += join(" in ",
                    visitedTiles(manifest, entry, batch, item.request,
                                 item.row_begin, item.row_end),
                    " tiles");
      }
      out += "\n";
    }
  }
}

} // namespace

std::string saccade::rt::describe(const Manifest &manifest, const Batch &batch,
                                  const std::vector<EntryWork> &work) {
  std::string out = join("plan @", manifest.kernel, ": ", batch.requests.size(),
                         " requests, ", batch.tokens, " query tokens, ",
                         batch.keys, " keys\n");
  for (size_t e = 0; e < work.size(); ++e)
    describeEntry(manifest, manifest.entries[e], batch, work[e], out);
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    const SaccadeRequest &request = batch.requests[r];
    out +=
        join("request ", r, ": q ",
             range(request.q_begin, int64_t(request.q_begin) + request.q_len),
             " keys ", request.kv_len, "\n");
    for (size_t c = 0; c < batch.caches.size(); ++c) {
      const Slot &slot = manifest.arguments[manifest.caches[c]];
      const SaccadeSegment &segment = batch.caches[c].segments[r];
      out += join("  ", nameOf(slot.layout), " '", slot.name, "': keys ",
                  range(segment.start, int64_t(segment.start) + segment.len),
                  " base ", segment.base);
      if (slot.layout == Layout::BlockSparse)
        out += join(" row blocks from ", segment.blocks);
      out += "\n";
    }
  }
  return out;
}
