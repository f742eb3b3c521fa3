// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Caches with their page tables and blocks, and the tables that variants read.

#include "tools/saccade/Workload.h"

#include "tools/saccade/Command.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace saccade::cli;
using nlohmann::json;

/// Tokens of each request in one of the caches. Several caches share a sequence
/// evenly; the last takes what is left, the newest tokens among it.
static std::vector<int32_t> partLengths(const Lengths &lengths, size_t cache,
                                        size_t caches) {
  std::vector<int32_t> parts;
  for (int32_t r = 0; r < lengths.requests(); ++r) {
    auto count = static_cast<int32_t>(caches);
    int32_t older = std::max(0, lengths.sequence[r] - lengths.query[r]);
    int32_t part = older / count;
    parts.push_back(
        cache + 1 == caches ? lengths.sequence[r] - part * (count - 1) : part);
  }
  return parts;
}

static Tensor listOf(const std::vector<int32_t> &values) {
  Tensor tensor(DType::i32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.as<int32_t>());
  return tensor;
}

void Workload::makeCache(const json &argument, size_t index) {
  size_t number = cacheAt[index];
  CacheInput &cache = caches[number];
  cache.lengths = partLengths(lengths, number, caches.size());
  int64_t heads = argument["heads"], keyDim = argument["key_dim"],
          valueDim = argument["value_dim"];
  DType dtype = dtypeNamed(argument["dtype"]);
  std::string layout = argument["layout"];
  bool paged = layout == "paged", dense = layout == "dense";

  int64_t tokens = 0; // of a page, a batch entry, or all of them
  if (paged) {
    // A first cache of several is a prefix that requests have in common.
    makePages(argument, cache, number + 1 < caches.size());
    tokens = argument["page"];
  } else if (dense) {
    tokens = cache.lengths.empty() ? 0
                                   : *std::max_element(cache.lengths.begin(),
                                                       cache.lengths.end());
  } else {
    cache.indptr.push_back(0);
    for (int32_t length : cache.lengths)
      cache.indptr.push_back(cache.indptr.back() + length);
    tokens = cache.indptr.back();
  }
  if (layout == "block_sparse")
    makeBlocks(argument, cache);

  bool headsFirst = argument.value("order", "NHD") == "HND";
  int64_t batches = dense ? lengths.requests() : 1;
  if (paged) // some pages that no table names
    batches = cache.indices.elements() + 3;
  auto shape = [&](int64_t dim) {
    std::vector<int64_t> shape;
    if (paged || dense)
      shape.push_back(batches);
    shape.push_back(headsFirst ? heads : tokens);
    shape.push_back(headsFirst ? tokens : heads);
    shape.push_back(dim);
    return shape;
  };
  cache.keys = Tensor(dtype, shape(keyDim));
  cache.values = Tensor(dtype, shape(valueDim));
  cache.keys.poison();
  cache.values.poison();

  bool appended = isAppended(index);
  for (int32_t r = 0; r < lengths.requests(); ++r) {
    // What an append will write is not there yet.
    int32_t filled = cache.lengths[r] - (appended ? lengths.query[r] : 0);
    for (int32_t t = 0; t < filled; ++t) {
      int64_t batch = dense ? r : 0, token = dense ? t : 0;
      if (paged) {
        auto page = static_cast<int32_t>(tokens);
        batch = cache.indices.as<int32_t>()[cache.indptr[r] + t / page];
        token = t % page;
      } else if (!dense) {
        token = cache.indptr[r] + t;
      }
      for (int64_t h = 0; h < heads; ++h) {
        int64_t row = headsFirst ? h * tokens + token : token * heads + h;
        row += batch * tokens * heads;
        fillRow(cache.keys, row * keyDim, keyDim);
        fillRow(cache.values, row * valueDim, valueDim);
      }
    }
    traffic += double(cache.lengths[r]) * double(heads) *
               double(keyDim + valueDim) * double(bytesOf(dtype));
    int64_t query = manifest["query"];
    if (query >= 0)
      work += 2.0 * double(lengths.query[r]) * double(cache.lengths[r]) *
              double(keyDim + valueDim) *
              manifest["arguments"][query]["heads"].get<double>();
  }

  cache.batch.lengths = cache.lengths.data();
  if (!cache.indptr.empty())
    cache.batch.indptr = cache.indptr.data();
  if (!cache.indices.shape.empty())
    cache.batch.indices = cache.indices.onHost();
  if (!cache.blockRows.shape.empty())
    cache.batch.block_rows = cache.blockRows.onHost();
}

void Workload::makePages(const json &argument, CacheInput &cache, bool shared) {
  int32_t page = argument["page"];
  std::vector<int32_t> counts;
  for (int32_t length : cache.lengths)
    counts.push_back((length + page - 1) / page);
  cache.indptr.push_back(0);
  for (int32_t count : counts)
    cache.indptr.push_back(cache.indptr.back() + count);
  std::vector<int32_t> pool(cache.indptr.back() + 3), list;
  std::iota(pool.begin(), pool.end(), 0);
  std::shuffle(pool.begin(), pool.end(), random);
  for (size_t r = 0; r < counts.size(); ++r)
    for (int32_t i = 0; i < counts[r]; ++i)
      list.push_back(pool[shared ? i : cache.indptr[r] + i]);
  cache.indices = listOf(list);
}

/// Each row block sees its own place, the start, and half of what lies between.
void Workload::makeBlocks(const json &argument, CacheInput &cache) {
  int32_t blockRows = argument["block"][0], blockKeys = argument["block"][1];
  std::vector<int32_t> rows = {0}, list;
  for (int32_t r = 0; r < lengths.requests(); ++r) {
    int32_t keyBlocks = (cache.lengths[r] + blockKeys - 1) / blockKeys;
    int32_t first = lengths.sequence[r] - lengths.query[r];
    for (int32_t row = 0; row < lengths.query[r]; row += blockRows) {
      int32_t last = first + std::min(row + blockRows, lengths.query[r]) - 1;
      for (int32_t block = 0; block < keyBlocks; ++block)
        if (block == 0 || block == last / blockKeys || uniform() < 0.5)
          list.push_back(block);
      rows.push_back(static_cast<int32_t>(list.size()));
    }
  }
  cache.indices = listOf(list);
  cache.blockRows = listOf(rows);
}

void Workload::makeTable(const json &argument, size_t index) {
  std::string kind = argument["table"];
  DType dtype = dtypeNamed(argument["dtype"]);
  Tensor &table = tensors[index];
  if (kind == "bits")
    return makeBits(table);
  if (kind == "strided")
    return makeStrided(table, dtype, argument["rank"]);
  bool real = dtype == DType::f32;
  if (kind == "per_head") {
    int64_t heads = argument.value("heads", 1);
    table = Tensor(dtype, {heads});
    // Slopes as ALiBi has them; integers count the heads.
    for (int64_t h = 0; h < heads; ++h)
      table.set(h, real ? std::exp2(-8.0 * double(h + 1) / double(heads))
                        : double(h));
  } else if (kind == "per_request") {
    table = Tensor(dtype, {lengths.requests()});
    for (int32_t r = 0; r < lengths.requests(); ++r)
      table.set(r, real ? uniform()
                        : std::floor(uniform() * (lengths.sequence[r] + 1)));
  } else {
    table = Tensor(dtype, {lengths.sequenceTokens()});
    int64_t token = 0;
    for (int32_t length : lengths.sequence) {
      // Numbers of documents that end at random.
      double document = 0;
      for (int32_t t = 0; t < length; ++t) {
        document += uniform() < 0.02;
        table.set(token++, real ? uniform() : document);
      }
    }
  }
}

/// Entry [i, j, ...] is number i + j + ... of a list: large extents in little
/// memory.
void Workload::makeStrided(Tensor &table, DType dtype, int64_t rank) {
  int64_t extent = 1;
  for (int32_t length : lengths.sequence)
    extent = std::max<int64_t>(extent, length);
  int64_t size = rank * (extent - 1) + 1;
  table = Tensor(dtype, {size});
  bool real =
      dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
  double document = 0;
  for (int64_t i = 0; i < size; ++i) {
    document += uniform() < 0.02;
    table.set(i, real                      ? uniform()
                 : dtype == DType::boolean ? uniform() < 0.7
                                           : std::fmod(document, 100));
  }
  table.shape.assign(rank, extent);
  table.strides.assign(rank, 1);
}

/// The newest q_len tokens form a random tree below all that came before.
void Workload::makeBits(Tensor &table) {
  int64_t bytes = 0;
  for (int32_t r = 0; r < lengths.requests(); ++r)
    bytes += (int64_t(lengths.query[r]) * lengths.sequence[r] + 7) / 8;
  table = Tensor(DType::u8, {bytes});
  int64_t begin = 0;
  for (int32_t r = 0; r < lengths.requests(); ++r) {
    int32_t query = lengths.query[r], sequence = lengths.sequence[r];
    int32_t first = sequence - query;
    std::vector<int32_t> parent(query);
    for (int32_t i = 0; i < query; ++i)
      parent[i] = static_cast<int32_t>(uniform() * (i + 1)) - 1;
    for (int32_t i = 0; i < query; ++i) {
      auto see = [&](int64_t key) {
        if (key < 0 || key >= sequence)
          return;
        int64_t bit = int64_t(i) * sequence + key;
        table.as<uint8_t>()[begin + bit / 8] |= uint8_t(1 << bit % 8);
      };
      for (int32_t key = 0; key < first; ++key)
        see(key);
      for (int32_t node = i; node >= 0; node = parent[node])
        see(int64_t(first) + node);
    }
    begin += (int64_t(query) * sequence + 7) / 8;
  }
}
