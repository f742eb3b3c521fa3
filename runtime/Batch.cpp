// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads a batch: query lengths, and for each cache its lengths and page table.
// Every number is checked here, so that planner and kernels may trust them all,
// except tables that lie on the device, which kernels clamp.
#include "runtime/Batch.h"

#include "runtime/Tensor.h"

#include <algorithm>
#include <optional>

using namespace saccade::rt;

namespace {

constexpr int64_t kMost = SACCADE_MAX_POSITION;

int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// How messages begin, and how they name a cache; made when there is one.
struct Subject {
  std::string_view kernel;
};
void appendTo(std::string &out, Subject subject) {
  out += join("@", subject.kernel, ": expects ");
}
struct Named {
  std::string_view cache;
};
void appendTo(std::string &out, Named named) {
  out += join("'", named.cache, "' ");
}

/// Reads one cache of the batch; a member function per layout.
class CacheReader {
public:
  CacheReader(const Manifest &manifest, const Slot &slot,
              const SaccadeCacheBatch &source, DLDevice device,
              const Limits &limits, Batch &batch, CachePart &part)
      : slot(slot), source(source), device(device), limits(limits),
        batch(batch), part(part), subject{manifest.kernel}, named{slot.name} {}

  Status read() {
    SACCADE_TRY(checkArrays());
    part.segments.resize(requests());
    switch (slot.layout) {
    case Layout::Dense:
      SACCADE_TRY(readDense());
      break;
    case Layout::Ragged:
      SACCADE_TRY(readRagged());
      break;
    case Layout::Paged:
      SACCADE_TRY(readPaged());
      break;
    case Layout::BlockSparse:
      SACCADE_TRY(readRagged());
      break;
    }
    for (size_t r = 0; r < requests(); ++r) {
      SaccadeSegment &segment = part.segments[r];
      SaccadeRequest &request = batch.requests[r];
      segment.start = request.kv_len;
      if (request.kv_len + int64_t(segment.len) >= kMost)
        return wrong("request ", r, " to have fewer than 2^30 keys, but got ",
                     request.kv_len + int64_t(segment.len));
      request.kv_len += segment.len;
      part.longest = std::max(part.longest, segment.len);
    }
    // Blocks are checked against the lengths, so they come after them.
    if (slot.layout == Layout::BlockSparse)
      return readBlocks();
    return SACCADE_OK;
  }

private:
  size_t requests() const { return batch.requests.size(); }

  template <typename... Parts> Status wrong(const Parts &...parts) const {
    return invalid(subject, parts...);
  }

  Status readTable(const DLTensor &tensor, int maxRank, std::string_view what,
                   Table &table) const {
    Status status = table.read(tensor, device, maxRank, "");
    if (status != SACCADE_OK)
      setError(join(subject, what, " of ", named, saccade_last_error()));
    return status;
  }

  /// Arrays that the layout needs, and none that it would ignore.
  Status checkArrays() const {
    bool paged = slot.layout == Layout::Paged;
    bool sparse = slot.layout == Layout::BlockSparse;
    if (!source.indices != !(paged || sparse))
      return wrong(named,
                   paged || sparse ? "to have indices" : "to have no indices",
                   " as a ", nameOf(slot.layout), " cache");
    if (!source.block_rows != !sparse)
      return wrong(named,
                   sparse ? "to have block_rows" : "to have no block_rows",
                   " as a ", nameOf(slot.layout), " cache");
    if (source.last_page_len && !paged)
      return wrong(named, "to have no last_page_len as a ", nameOf(slot.layout),
                   " cache");
    if (source.indptr && slot.layout == Layout::Dense)
      return wrong(named, "to have no indptr as a dense cache");
    if (!source.lengths && !source.indptr && requests() > 0)
      return wrong(named, "to have lengths",
                   slot.layout == Layout::Dense ? "" : " or indptr");
    for (const void *reserved : source.reserved)
      if (reserved)
        return wrong(named, "to have null reserved fields");
    for (size_t r = 0; source.lengths && r < requests(); ++r)
      if (source.lengths[r] < 0 || source.lengths[r] >= kMost)
        return wrong(named, "to have lengths in 0..2^30-1, but got ",
                     source.lengths[r], " for request ", r);
    if (source.indptr)
      for (size_t r = 0; r <= requests(); ++r)
        if (int32_t least = r ? source.indptr[r - 1] : 0;
            source.indptr[r] < least)
          return wrong(named, "to have an indptr that never falls, but got ",
                       source.indptr[r], " after ", least, " at ", r);
    return SACCADE_OK;
  }

  Status readDense() {
    for (size_t r = 0; r < requests(); ++r)
      part.segments[r] = {0, 0, source.lengths[r], 0};
    return SACCADE_OK;
  }

  Status readRagged() {
    int64_t next = 0;
    for (size_t r = 0; r < requests(); ++r) {
      int64_t base = source.indptr ? source.indptr[r] : next;
      int64_t rows =
          source.indptr ? source.indptr[r + 1] - base : source.lengths[r];
      int64_t length = source.lengths ? source.lengths[r] : rows;
      if (length > rows)
        return wrong(named, "to have at most the ", rows, " rows of request ",
                     r, ", but got length ", length);
      next = base + rows;
      part.segments[r] = {base, 0, static_cast<int32_t>(length), 0};
      part.rows = std::max(part.rows, base + length);
    }
    return SACCADE_OK;
  }

  Status readPaged() {
    Table table;
    SACCADE_TRY(readTable(*source.indices, 2, "indices", table));
    bool padded = table.rank == 2;
    if (padded && (source.indptr || source.last_page_len))
      return wrong(named, "to have either indptr or 2-D indices, not both");
    if (padded && !source.lengths && requests() > 0)
      return wrong(named, "to have lengths beside 2-D indices");
    if (!padded && !source.indptr && requests() > 0)
      return wrong(named, "to have indptr beside 1-D indices");
    if (!padded && !source.lengths && !source.last_page_len && requests() > 0)
      return wrong(named, "to have last_page_len or lengths");
    if (padded && table.shape[0] < int64_t(requests()))
      return wrong("indices of ", named, "to have ", requests(),
                   " rows, but got ", table.shape[0]);
    if (!padded && requests() > 0 && source.indptr[requests()] > table.shape[0])
      return wrong("indices of ", named, "to have ", source.indptr[requests()],
                   " entries as indptr says, but got ", table.shape[0]);
    for (size_t r = 0; r < requests(); ++r) {
      int64_t pages, length;
      SACCADE_TRY(
          pagesOf(r, padded, padded ? table.shape[1] : 0, pages, length));
      int64_t first = padded ? int64_t(r) * table.rowStride : source.indptr[r];
      part.segments[r] = {first, 0, static_cast<int32_t>(length), 0};
      if (table.onHost)
        SACCADE_TRY(copyPages(r, table.data + first, pages));
    }
    if (!table.onHost)
      part.deviceIndices = table.data;
    return SACCADE_OK;
  }

  /// Pages and tokens of request r, from whichever arrays say so.
  Status pagesOf(size_t r, bool padded, int64_t maxPages, int64_t &pages,
                 int64_t &length) const {
    int64_t page = slot.page;
    if (padded) {
      length = source.lengths[r];
      pages = ceilDiv(length, page);
      if (pages > maxPages)
        return wrong("the ", length, " tokens of request ", r, " in ", named,
                     "to fit in ", maxPages, " pages of ", page);
      return SACCADE_OK;
    }
    pages = source.indptr[r + 1] - source.indptr[r];
    std::optional<int64_t> fromPages;
    if (source.last_page_len) {
      int64_t last = source.last_page_len[r];
      if (last < (pages ? 1 : 0) || last > page)
        return wrong(named, "to have last_page_len in ", pages ? 1 : 0, "..",
                     page, ", but got ", last, " for request ", r);
      fromPages = pages ? (pages - 1) * page + last : 0;
    }
    length = source.lengths ? source.lengths[r] : *fromPages;
    if (fromPages && length != *fromPages)
      return wrong(named, "to have length ", *fromPages, " for request ", r,
                   " as its last_page_len says, but got ", length);
    if (ceilDiv(length, page) != pages)
      return wrong("the ", length, " tokens of request ", r, " in ", named,
                   "to take ", ceilDiv(length, page), " pages of ", page,
                   ", but got ", pages);
    if (length >= kMost)
      return wrong("request ", r, " to have fewer than 2^30 keys, but got ",
                   length);
    return SACCADE_OK;
  }

  /// Whether the plan has room for more indices of a request.
  Status reserveIndices(size_t r, int64_t count) const {
    if (int64_t all = int64_t(batch.indices.size()) + count;
        all > limits.indices)
      return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ", limits.indices,
                  " indices as its capacity says, but got ", all,
                  " up to request ", r);
    return SACCADE_OK;
  }

  Status copyPages(size_t r, const int32_t *ids, int64_t pages) {
    part.segments[r].base = static_cast<int64_t>(batch.indices.size());
    // One pass without branches: negative ids have a high bit.
    uint32_t bits = 0;
    int32_t largest = part.largestId;
    for (int64_t i = 0; i < pages; ++i) {
      bits |= static_cast<uint32_t>(ids[i]);
      largest = std::max(largest, ids[i]);
    }
    static_assert(kMost == 1 << 30);
    for (int64_t i = 0; bits >= kMost && i < pages; ++i)
      if (ids[i] < 0 || ids[i] >= kMost)
        return wrong("page ids of ", named, "in 0..2^30-1, but got ", ids[i],
                     " as page ", i, " of request ", r);
    part.largestId = largest;
    SACCADE_TRY(reserveIndices(r, pages));
    batch.indices.insert(batch.indices.end(), ids, ids + pages);
    return SACCADE_OK;
  }

  Status readBlocks() {
    Table rows, blocks;
    SACCADE_TRY(readTable(*source.block_rows, 1, "block_rows", rows));
    SACCADE_TRY(readTable(*source.indices, 1, "indices", blocks));
    if (rows.onHost != blocks.onHost)
      return wrong("block_rows and indices of ", named, "on one device");
    int64_t row =
        rows.onHost ? static_cast<int64_t>(batch.blockRows.size()) : 0;
    int64_t total = 0;
    for (size_t r = 0; r < requests(); ++r) {
      part.segments[r].blocks = row + total;
      total += ceilDiv(batch.requests[r].q_len, slot.blockRows);
      if (rows.onHost && row + total > limits.rowBlocks)
        return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ",
                    limits.rowBlocks,
                    " row blocks as its capacity says, but got ", row + total,
                    " up to request ", r);
    }
    // A batch without row blocks still has a pointer to end at.
    if (rows.shape[0] < total + 1)
      return wrong("block_rows of ", named, "to have ", total + 1,
                   " entries, but got ", rows.shape[0]);
    if (!rows.onHost) {
      part.deviceIndices = blocks.data;
      part.deviceBlockRows = rows.data;
      return SACCADE_OK;
    }
    return copyBlocks(rows, blocks);
  }

  Status copyBlocks(const Table &rows, const Table &blocks) {
    // Row pointers count from the start of the batch's indices, which hold
    // those of other caches too.
    int64_t shift = static_cast<int64_t>(batch.indices.size()) - rows.data[0];
    batch.blockRows.push_back(static_cast<int32_t>(batch.indices.size()));
    if (rows.data[0] < 0)
      return wrong("block_rows of ", named, "to start at 0 or above, but got ",
                   rows.data[0]);
    int64_t row = 0;
    for (size_t r = 0; r < requests(); ++r) {
      int64_t keyBlocks = ceilDiv(part.segments[r].len, slot.blockKeys);
      int64_t rowBlocks = ceilDiv(batch.requests[r].q_len, slot.blockRows);
      for (int64_t end = row + rowBlocks; row < end; ++row) {
        int32_t from = rows.data[row], to = rows.data[row + 1];
        if (to < from || to > blocks.shape[0])
          return wrong("block_rows of ", named, "in ", from, "..",
                       blocks.shape[0], ", but got ", to, " at ", row + 1);
        SACCADE_TRY(reserveIndices(r, to - from));
        int32_t least = 0;
        for (int32_t i = from; i < to; ++i) {
          int32_t id = blocks.data[i];
          if (id < least || id >= keyBlocks)
            return wrong("key blocks of ", named, "to ascend within 0..",
                         keyBlocks - 1, ", but got ", id, " in row block ", row,
                         " of request ", r);
          least = id + 1;
          batch.indices.push_back(id);
        }
        batch.blockRows.push_back(static_cast<int32_t>(to + shift));
      }
    }
    return SACCADE_OK;
  }

  const Slot &slot;
  const SaccadeCacheBatch &source;
  DLDevice device;
  const Limits &limits;
  Batch &batch;
  CachePart &part;
  Subject subject;
  Named named;
};

Status readQueries(const Manifest &manifest, const SaccadeBatch &source,
                   Batch &batch) {
  Subject subject{manifest.kernel};
  bool dense = false;
  for (const Slot &slot : manifest.arguments)
    dense |= slot.kind == SlotKind::Tensor && slot.layout == Layout::Dense;
  int32_t group = 1;
  for (const Entry &entry : manifest.entries)
    group = std::max(group, entry.group);
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    int64_t begin = source.q_indptr ? source.q_indptr[r] : batch.tokens;
    int64_t length =
        source.q_indptr ? source.q_indptr[r + 1] - begin : source.q_len[r];
    if (begin < 0)
      return invalid(subject, "q_indptr to start at 0 or above, but got ",
                     begin);
    if (source.q_indptr && length < 0)
      return invalid(subject, "q_indptr that never falls, but got ",
                     source.q_indptr[r + 1], " after ", begin, " at ", r + 1);
    if (source.q_indptr && source.q_len && source.q_len[r] != length)
      return invalid(subject, "q_len ", length, " for request ", r,
                     " as q_indptr says, but got ", source.q_len[r]);
    if (length < 0 || length * group >= kMost)
      return invalid(subject, "q_len in 0..", (kMost - 1) / group, ", but got ",
                     length, " for request ", r);
    if (begin + length >= kMost)
      return invalid(subject,
                     "fewer than 2^30 query tokens in a batch, but got ",
                     begin + length);
    batch.requests[r].q_begin = dense ? 0 : static_cast<int32_t>(begin);
    batch.requests[r].q_len = static_cast<int32_t>(length);
    batch.tokens += length;
    batch.queryRows = std::max(batch.queryRows, begin + length);
    batch.longestQuery = std::max(batch.longestQuery, int32_t(length));
  }
  return SACCADE_OK;
}

/// Offsets of the tables that follow the requests, and laws between lengths.
Status finishRequests(const Manifest &manifest, Batch &batch) {
  Subject subject{manifest.kernel};
  bool masked = manifest.hasTable(TableKind::Bits);
  for (size_t r = 0; r < batch.requests.size(); ++r) {
    SaccadeRequest &request = batch.requests[r];
    request.kv_offset = batch.keys;
    batch.keys += request.kv_len;
    if (!masked)
      continue;
    request.bits_offset = batch.bitsBytes;
    batch.bitsBytes += ceilDiv(int64_t(request.q_len) * request.kv_len, 8);
    if (batch.bitsBytes >= int64_t(1) << 60)
      return invalid(subject, "packed masks below 2^60 bytes");
  }
  for (const Entry &entry : manifest.entries) {
    if (entry.kind != EntryKind::Append)
      continue;
    for (size_t c = 0; c < manifest.caches.size(); ++c) {
      if (!std::ranges::count(entry.caches, manifest.caches[c]))
        continue;
      for (size_t r = 0; r < batch.requests.size(); ++r)
        if (batch.requests[r].q_len > batch.caches[c].segments[r].len)
          return invalid(subject, "'",
                         manifest.arguments[manifest.caches[c]].name,
                         "' to hold the ", batch.requests[r].q_len,
                         " new tokens of request ", r, ", but got length ",
                         batch.caches[c].segments[r].len);
    }
  }
  return SACCADE_OK;
}

} // namespace

void Batch::clear(size_t numCaches) {
  requests.clear();
  caches.resize(numCaches);
  for (CachePart &part : caches) {
    part.segments.clear();
    part.rows = 0;
    part.longest = 0;
    part.largestId = -1;
    part.deviceIndices = part.deviceBlockRows = nullptr;
  }
  indices.clear();
  blockRows.clear();
  tokens = queryRows = keys = bitsBytes = 0;
  longestQuery = 0;
}

void Batch::reserve(const Manifest &manifest, const Limits &limits) {
  clear(manifest.caches.size());
  requests.reserve(limits.requests);
  size_t sparse = 0;
  for (size_t c = 0; c < caches.size(); ++c) {
    caches[c].segments.reserve(limits.requests);
    sparse +=
        manifest.arguments[manifest.caches[c]].layout == Layout::BlockSparse;
  }
  indices.reserve(limits.indices);
  blockRows.reserve(limits.rowBlocks + sparse);
}

Status saccade::rt::readBatch(const Manifest &manifest,
                              const SaccadeBatch &source, DLDevice device,
                              const Limits &limits, Batch &batch) {
  Subject subject{manifest.kernel};
  batch.clear(manifest.caches.size());
  if (source.requests < 0 || source.requests >= kMost)
    return invalid(subject, "0 requests or more, but got ", source.requests);
  if (source.requests > limits.requests)
    return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ", limits.requests,
                " requests as its capacity says, but got ", source.requests);
  if (source.num_caches != static_cast<int32_t>(manifest.caches.size()))
    return invalid(subject, manifest.caches.size(),
                   " caches in the batch, but got ", source.num_caches);
  if (source.requests > 0 && !source.q_len && !source.q_indptr)
    return invalid(subject, "q_len or q_indptr");
  if (source.num_caches > 0 && !source.caches)
    return invalid(subject, "the batch's caches, but got a null pointer");
  for (const void *reserved : source.reserved)
    if (reserved)
      return invalid(subject, "null reserved fields in the batch");

  batch.requests.resize(source.requests);
  SACCADE_TRY(readQueries(manifest, source, batch));
  // Whether a sum over requests is within the capacity.
  auto fits = [&](int64_t sum, int64_t limit, std::string_view what,
                  int32_t SaccadeRequest::*length) -> Status {
    if (sum <= limit)
      return SACCADE_OK;
    size_t r = 0;
    for (sum = batch.requests[0].*length; sum <= limit;)
      sum += batch.requests[++r].*length;
    return fail(SACCADE_OUT_OF_CAPACITY, subject, "at most ", limit, " ", what,
                " as its capacity says, but got ", sum, " up to request ", r);
  };
  SACCADE_TRY(fits(batch.tokens, limits.queryTokens, "query tokens",
                   &SaccadeRequest::q_len));
  for (size_t c = 0; c < batch.caches.size(); ++c)
    SACCADE_TRY(CacheReader(manifest, manifest.arguments[manifest.caches[c]],
                            source.caches[c], device, limits, batch,
                            batch.caches[c])
                    .read());
  SACCADE_TRY(finishRequests(manifest, batch));
  if (limits.keys > 0)
    return fits(batch.keys, limits.keys, "keys", &SaccadeRequest::kv_len);
  return SACCADE_OK;
}
