// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Batches: lengths and page tables in all their forms give the same segments,
// and whatever contradicts itself is refused with numbers.
#include "runtime/Planner.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

using Ints = std::vector<int32_t>;

/// A batch of one cache over vectors that the test may change.
struct Source {
  Ints qLen = {}, qIndptr = {}, lengths = {}, indptr = {}, lastPageLen = {};
  const DLTensor *indices = nullptr, *blockRows = nullptr;
  int32_t requests = -1;
  rt::Limits limits = kRoomy;
  DLDevice device = kHost;

  Status read(const char *layout, Batch &batch) {
    auto pointer = [](const Ints &v) { return v.empty() ? nullptr : v.data(); };
    SaccadeCacheBatch caches[1] = {};
    caches[0].lengths = pointer(lengths);
    caches[0].indptr = pointer(indptr);
    caches[0].last_page_len = pointer(lastPageLen);
    caches[0].indices = indices;
    caches[0].block_rows = blockRows;
    SaccadeBatch source = {};
    source.requests =
        requests >= 0 ? requests
                      : static_cast<int32_t>(qLen.empty() ? qIndptr.size() - 1
                                                          : qLen.size());
    source.num_caches = 1;
    source.q_len = pointer(qLen);
    source.q_indptr = pointer(qIndptr);
    source.caches = caches;
    return readBatch(parsed(manifest(layout)), source, device, limits, batch);
  }
  bool refuses(const char *layout, const std::string &message,
               SaccadeStatus code = SACCADE_INVALID_ARGUMENT) {
    Batch batch;
    return failed(read(layout, batch), code, "@sample: expects " + message);
  }
};

Ints lengthsOf(const Batch &batch) {
  Ints lengths;
  for (const SaccadeRequest &request : batch.requests)
    lengths.push_back(request.kv_len);
  return lengths;
}

/// The page ids of request r as a kernel finds them.
Ints pagesOf(const Batch &batch, size_t r) {
  const SaccadeSegment &segment = batch.caches[0].segments[r];
  auto first = batch.indices.begin() + segment.base;
  return Ints(first, first + (segment.len + 3) / 4);
}

} // namespace

TEST_CASE("batch: a page table in CSR form") {
  Ids ids{7, 3, 5, 1, 2};
  Source source{
      .qLen = {1, 2, 0}, .indptr = {0, 2, 2, 5}, .lastPageLen = {1, 0, 4}};
  source.indices = ids;
  Batch batch;
  REQUIRE(source.read("paged", batch) == SACCADE_OK);
  CHECK(lengthsOf(batch) == Ints{5, 0, 12});
  CHECK(pagesOf(batch, 0) == Ints{7, 3});
  CHECK(pagesOf(batch, 2) == Ints{5, 1, 2});
  CHECK(batch.requests[1].q_begin == 1);
  CHECK(batch.requests[2].kv_offset == 5);
  CHECK(batch.caches[0].largestId == 7);
  CHECK(batch.tokens == 3);
  CHECK(batch.keys == 17);
  // With lengths in place of the fill of the last page.
  source.lengths = {5, 0, 12};
  CHECK(source.read("paged", batch) == SACCADE_OK);
  source.lastPageLen.clear();
  CHECK(source.read("paged", batch) == SACCADE_OK);
  CHECK(lengthsOf(batch) == Ints{5, 0, 12});
}

TEST_CASE("batch: a padded block table") {
  Tensor<int32_t> table({2, 3});
  table.strides[0] = 4;
  table.data = {7, 3, -1, 9, 5, 1, 2, 9};
  table.view.data = table.data.data();
  Source source{.qIndptr = {0, 1, 3}, .lengths = {5, 12}};
  source.indices = table;
  Batch batch;
  REQUIRE(source.read("paged", batch) == SACCADE_OK);
  CHECK(pagesOf(batch, 0) == Ints{7, 3});
  CHECK(pagesOf(batch, 1) == Ints{5, 1, 2});
  source.lengths = {5, 13};
  CHECK(source.refuses("paged",
                       "the 13 tokens of request 1 in 'kv' to fit in 3 "
                       "pages of 4"));
}

TEST_CASE("batch: a page table on the device is used in place") {
  Tensor<int32_t> table(std::vector<int64_t>{2, 3});
  table.view.device = kCuda;
  table.view.data = reinterpret_cast<void *>(0x1000);
  Source source{.qLen = {1, 1}, .lengths = {5, 12}};
  source.indices = table;
  source.device = kCuda;
  Batch batch;
  REQUIRE(source.read("paged", batch) == SACCADE_OK);
  CHECK(batch.indices.empty());
  CHECK(batch.caches[0].segments[1].base == 3);
  CHECK(batch.caches[0].deviceIndices == reinterpret_cast<int32_t *>(0x1000));
  source.device = kHost;
  CHECK(source.refuses(
      "paged", "indices of 'kv' to be on cpu or the host, but got cuda:0"));
}

TEST_CASE("batch: refuses page tables that contradict the lengths") {
  Ids ids{7, 3, 5};
  auto good = [&] {
    Source source{.qLen = {1, 1}, .indptr = {0, 2, 3}, .lastPageLen = {1, 4}};
    source.indices = ids;
    return source;
  };
  Source source = good();
  source.lastPageLen = {5, 4};
  CHECK(source.refuses("paged", "'kv' to have last_page_len in 1..4, but got 5 "
                                "for request 0"));
  source.lastPageLen = {0, 4};
  CHECK(source.refuses("paged", "'kv' to have last_page_len in 1..4, but got 0 "
                                "for request 0"));
  source = good();
  source.lengths = {6, 4};
  CHECK(source.refuses("paged", "'kv' to have length 5 for request 0 as its "
                                "last_page_len says, but got 6"));
  source.lastPageLen.clear();
  source.lengths = {9, 4};
  CHECK(source.refuses("paged", "the 9 tokens of request 0 in 'kv' to take 3 "
                                "pages of 4, but got 2"));
  source.lengths = {-1, 4};
  CHECK(source.refuses("paged", "'kv' to have lengths in 0..2^30-1, but got -1 "
                                "for request 0"));
  source = good();
  source.indptr = {0, 2, 4};
  CHECK(source.refuses("paged", "indices of 'kv' to have 4 entries as indptr "
                                "says, but got 3"));
  source.indptr = {0, 3, 2};
  CHECK(source.refuses("paged", "'kv' to have an indptr that never falls, but "
                                "got 2 after 3 at 2"));
  source.indptr = {-1, 2, 3};
  CHECK(source.refuses("paged", "'kv' to have an indptr that never falls, but "
                                "got -1 after 0 at 0"));
  source = good();
  ids.data[1] = -3;
  CHECK(source.refuses("paged", "page ids of 'kv' in 0..2^30-1, but got -3 as "
                                "page 1 of request 0"));
}

TEST_CASE("batch: refuses missing and surplus arrays") {
  Ids ids{7, 3, 5};
  Source source{.qLen = {1, 1}, .lengths = {1, 1}};
  CHECK(source.refuses("paged", "'kv' to have indices as a paged cache"));
  source.indices = ids;
  CHECK(source.refuses("paged", "'kv' to have indptr beside 1-D indices"));
  CHECK(source.refuses("ragged", "'kv' to have no indices as a ragged cache"));
  CHECK(source.refuses("block_sparse",
                       "'kv' to have block_rows as a block_sparse cache"));
  source.indices = nullptr;
  source.indptr = {0, 1, 2};
  CHECK(source.refuses("dense", "'kv' to have no indptr as a dense cache"));
  source.indptr.clear();
  source.lengths.clear();
  CHECK(source.refuses("dense", "'kv' to have lengths"));
  CHECK(source.refuses("ragged", "'kv' to have lengths or indptr"));
  Tensor<float> wrong({3});
  source.indptr = {0, 1, 2};
  source.lastPageLen = {1, 1};
  source.indices = wrong;
  CHECK(source.refuses("paged", "indices of 'kv' to be i32, but got f32"));
  ids.strides[0] = 2;
  source.indices = ids;
  CHECK(source.refuses("paged",
                       "indices of 'kv' to have unit last stride, but got 2"));
}

TEST_CASE("batch: refuses wrong query lengths") {
  Source source{.qLen = {1, -2}, .lengths = {1, 1}};
  CHECK(source.refuses("ragged",
                       "q_len in 0..536870911, but got -2 for request 1"));
  source.qLen.clear();
  source.qIndptr = {0, 3, 2};
  CHECK(source.refuses("ragged",
                       "q_indptr that never falls, but got 2 after 3 at 2"));
  source.qIndptr = {-1, 3, 4};
  CHECK(
      source.refuses("ragged", "q_indptr to start at 0 or above, but got -1"));
  source.qIndptr = {0, 3, 4};
  source.qLen = {3, 2};
  CHECK(source.refuses("ragged", "q_len 1 for request 1 as q_indptr says, but "
                                 "got 2"));
  source.qIndptr.clear();
  source.qLen = {1 << 29, 0};
  CHECK(source.refuses("ragged", "q_len in 0..536870911, but got 536870912 for "
                                 "request 0"));
  Source none{.lengths = {1}, .requests = 1};
  CHECK(none.refuses("ragged", "q_len or q_indptr"));
}

TEST_CASE("batch: refuses lengths of 2^30 and more") {
  Source source{.qLen = {1}, .lengths = {1 << 30}};
  CHECK(source.refuses("dense", "'kv' to have lengths in 0..2^30-1, but got "
                                "1073741824 for request 0"));
  source.lengths.clear();
  source.indptr = {0, 0x7fffffff};
  CHECK(source.refuses("ragged", "request 0 to have fewer than 2^30 keys, but "
                                 "got 2147483647"));
}

TEST_CASE("batch: refuses more than the capacity") {
  Ids ids{7, 3, 5};
  Source source{.qLen = {1, 3}, .indptr = {0, 2, 3}, .lastPageLen = {1, 4}};
  source.indices = ids;
  source.limits = {1, 4, 3, 0};
  CHECK(source.refuses("paged",
                       "at most 1 requests as its capacity says, but got 2",
                       SACCADE_OUT_OF_CAPACITY));
  source.limits = {2, 3, 3, 0};
  CHECK(source.refuses("paged",
                       "at most 3 query tokens as its capacity says, but got 4 "
                       "up to request 1",
                       SACCADE_OUT_OF_CAPACITY));
  source.limits = {2, 4, 2, 0};
  CHECK(source.refuses(
      "paged",
      "at most 2 indices as its capacity says, but got 3 up to request 1",
      SACCADE_OUT_OF_CAPACITY));
  source.limits = {2, 4, 3, 0, 8};
  CHECK(source.refuses("paged",
                       "at most 8 keys as its capacity says, but got 9 up "
                       "to request 1",
                       SACCADE_OUT_OF_CAPACITY));
  source.limits = {2, 4, 3, 0, 0};
  Batch batch;
  CHECK(source.read("paged", batch) == SACCADE_OK);
}

TEST_CASE("batch: ragged caches, with and without gaps") {
  Source source{.qLen = {1, 1, 1}, .lengths = {3, 0, 2}};
  Batch batch;
  REQUIRE(source.read("ragged", batch) == SACCADE_OK);
  CHECK(batch.caches[0].segments[2].base == 3);
  CHECK(batch.caches[0].rows == 5);
  source.indptr = {0, 8, 8, 10};
  REQUIRE(source.read("ragged", batch) == SACCADE_OK);
  CHECK(batch.caches[0].segments[2].base == 8);
  CHECK(batch.caches[0].rows == 10);
  source.lengths = {3, 1, 2};
  CHECK(source.refuses("ragged",
                       "'kv' to have at most the 0 rows of request 1, "
                       "but got length 1"));
}

TEST_CASE("batch: block-sparse rows and key blocks") {
  // Request 0: 3 query tokens, so 2 row blocks, on 9 keys, so 3 key blocks.
  // Request 1: 1 row block on 1 key block.
  Ids rows{0, 2, 3, 4}, ids{0, 2, 1, 0};
  Source source{.qLen = {3, 1}, .lengths = {9, 4}};
  source.indices = ids;
  source.blockRows = rows;
  Batch batch;
  REQUIRE(source.read("block_sparse", batch) == SACCADE_OK);
  CHECK(batch.caches[0].segments[1].blocks == 2);
  CHECK(batch.blockRows == Ints{0, 2, 3, 4});
  Manifest sample = parsed(manifest("block_sparse"));
  // Rows of 2 heads a token: tokens 0 and 1 see two blocks, token 2 one.
  CHECK(visitedTiles(sample, sample.entries[0], batch, 0, 0, 4) == 2);
  CHECK(visitedTiles(sample, sample.entries[0], batch, 0, 4, 6) == 1);
  source.limits.rowBlocks = 2;
  CHECK(source.refuses("block_sparse",
                       "at most 2 row blocks as its capacity says, but got 3 "
                       "up to request 1",
                       SACCADE_OUT_OF_CAPACITY));
  source.limits = kRoomy;
  ids.data = {0, 3, 1, 0};
  CHECK(source.refuses("block_sparse",
                       "key blocks of 'kv' to ascend within 0..2, but got 3 in "
                       "row block 0 of request 0"));
  ids.data = {2, 2, 1, 0};
  CHECK(source.refuses("block_sparse",
                       "key blocks of 'kv' to ascend within 0..2, but got 2 in "
                       "row block 0 of request 0"));
  ids.data = {0, 2, 1, 0};
  rows.data = {0, 2, 1, 4};
  CHECK(source.refuses("block_sparse",
                       "block_rows of 'kv' in 2..4, but got 1 at 2"));
  rows.data = {0, 2, 3, 5};
  CHECK(source.refuses("block_sparse",
                       "block_rows of 'kv' in 3..4, but got 5 at 3"));
  Ids few{0, 2, 3};
  source.blockRows = few;
  CHECK(source.refuses("block_sparse",
                       "block_rows of 'kv' to have 4 entries, but got 3"));
}

TEST_CASE("batch: zero requests") {
  Tensor<int32_t> ids(std::vector<int64_t>{0});
  Source source{.requests = 0};
  source.indices = ids;
  Batch batch;
  CHECK(source.read("paged", batch) == SACCADE_OK);
  source.indices = nullptr;
  CHECK(source.read("dense", batch) == SACCADE_OK);
  CHECK(source.read("ragged", batch) == SACCADE_OK);
}

TEST_CASE("batch: several caches make one sequence") {
  json object = manifest("ragged");
  object["arguments"].push_back(cache("dense"));
  object["arguments"][3]["name"] = "suffix";
  object["entries"][0]["caches"] = {1, 3};
  int32_t qLen[] = {1, 1}, first[] = {3, 5}, second[] = {2, 0};
  SaccadeCacheBatch caches[2] = {};
  caches[0].lengths = first;
  caches[1].lengths = second;
  SaccadeBatch source = {};
  source.requests = 2;
  source.num_caches = 2;
  source.q_len = qLen;
  source.caches = caches;
  Batch batch;
  REQUIRE(readBatch(parsed(object), source, kHost, kRoomy, batch) ==
          SACCADE_OK);
  CHECK(lengthsOf(batch) == Ints{5, 5});
  CHECK(batch.caches[1].segments[0].start == 3);
  CHECK(batch.caches[1].segments[1].start == 5);
  source.num_caches = 1;
  CHECK(failed(readBatch(parsed(object), source, kHost, kRoomy, batch),
               SACCADE_INVALID_ARGUMENT,
               "@sample: expects 2 caches in the batch, but got 1"));
}

TEST_CASE("batch: an append needs room for its tokens") {
  json object = manifest("ragged");
  json append = attend();
  append["kind"] = "append";
  append["group"] = 1;
  object["entries"] = {append, attend()};
  int32_t qLen[] = {3}, lengths[] = {2};
  SaccadeCacheBatch caches[1] = {};
  caches[0].lengths = lengths;
  SaccadeBatch source = {};
  source.requests = source.num_caches = 1;
  source.q_len = qLen;
  source.caches = caches;
  Batch batch;
  CHECK(
      failed(readBatch(parsed(object), source, kHost, kRoomy, batch),
             SACCADE_INVALID_ARGUMENT,
             "@sample: expects 'kv' to hold the 3 new tokens of request 0, but "
             "got length 2"));
}
