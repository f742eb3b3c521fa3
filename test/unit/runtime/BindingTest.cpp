// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Values of a call: words come out as KernelABI.h says for every layout, and
// each way to hand over a wrong tensor has its message.
#include "runtime/Binding.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

/// The sample kernel over two requests of 1 and 2 query tokens and 5 and 6
/// keys.
struct Call {
  json object;
  Tensor<float> q{{3, 4, 8}}, o{{3, 4, 8}}, lse{{3, 4}};
  Tensor<float> k{{4, 4, 2, 8}}, v{{4, 4, 2, 8}};
  std::vector<SaccadeArgument> values;
  std::vector<uint64_t> words;
  std::vector<TensorExtent> extents;
  DLDevice device = kHost;

  explicit Call(json object = manifest()) : object(std::move(object)) {
    values = {asTensor(q), asCache(k, v), asReal(0.5), asTensor(o),
              asTensor(lse)};
  }

  Status bind() {
    Manifest sample = parsed(object);
    Ids ids{0, 3, 1, 2};
    int32_t qLen[] = {1, 2}, lengths[] = {5, 6}, indptr[] = {0, 2, 4};
    std::vector<SaccadeCacheBatch> caches(sample.caches.size());
    for (size_t c = 0; c < caches.size(); ++c) {
      caches[c].lengths = lengths;
      if (sample.arguments[sample.caches[c]].layout == Layout::Paged) {
        caches[c].indptr = indptr;
        caches[c].indices = ids;
      }
    }
    SaccadeBatch source = {};
    source.requests = 2;
    source.num_caches = static_cast<int32_t>(caches.size());
    source.q_len = qLen;
    source.caches = caches.data();
    Batch batch;
    REQUIRE(readBatch(sample, source, kHost, kRoomy, batch) == SACCADE_OK);
    return bindArguments(sample, batch, device, values, words, extents);
  }
  bool refuses(const std::string &message) {
    return failed(bind(), SACCADE_INVALID_ARGUMENT,
                  "@sample: expects " + message);
  }
};

uint64_t address(const void *pointer) {
  return reinterpret_cast<uintptr_t>(pointer);
}

} // namespace

TEST_CASE("binding: words of a paged kernel") {
  Call call;
  REQUIRE(call.bind() == SACCADE_OK);
  CHECK(call.words[8] == address(call.q.data.data()));
  CHECK(call.words[9] == 0); // no batch axis
  CHECK(call.words[10] == 32);
  CHECK(call.words[11] == 8);
  CHECK(call.words[12] == address(call.k.data.data()));
  CHECK(call.words[13] == 64);
  CHECK(call.words[14] == 16);
  CHECK(call.words[15] == 8);
  CHECK(call.words[16] == address(call.v.data.data()));
  CHECK(call.words[12 + SACCADE_CACHE_LIMIT] == 4);
  CHECK(call.words[24] == 0x3f000000); // 0.5f
  CHECK(call.words[29 + SACCADE_TENSOR_STRIDE_TOKEN] == 4);
  CHECK(call.words[29 + SACCADE_TENSOR_STRIDE_HEAD] == 1);
}

TEST_CASE("binding: heads first, offsets, and keys and values in one tensor") {
  Call call;
  call.object["arguments"][0]["order"] = "HND";
  call.object["arguments"][1]["order"] = "HND";
  call.q.shape = {4, 3, 8};
  call.q.strides = {24, 8, 1};
  call.q.view.byte_offset = 16;
  Tensor<float> both({4, 2, 2, 4, 8});
  call.values[0] = asTensor(call.q);
  call.values[1] = asCache(both, nullptr);
  REQUIRE(call.bind() == SACCADE_OK);
  CHECK(call.words[8] == address(call.q.data.data()) + 16);
  CHECK(call.words[10] == 8);
  CHECK(call.words[11] == 24);
  CHECK(call.words[12] == address(both.data.data()));
  CHECK(call.words[16] == address(both.data.data()) + 64 * 4);
  CHECK(call.words[17] == 128);
  CHECK(call.words[18] == 8);
  CHECK(call.words[19] == 32);
}

TEST_CASE("binding: sizes of a dense kernel") {
  json object = manifest("dense");
  for (json *slot :
       {&object["arguments"][0], &object["results"][0], &object["results"][1]})
    (*slot)["layout"] = "dense";
  Call call(object);
  call.q.shape = call.o.shape = {2, 2, 4, 8};
  call.q.strides = call.o.strides = {64, 32, 8, 1};
  call.lse.shape = {2, 2, 4};
  call.lse.strides = {8, 4, 1};
  call.k.shape = call.v.shape = {2, 6, 2, 8};
  call.k.strides = call.v.strides = {96, 16, 8, 1};
  call.values = {asTensor(call.q), asCache(call.k, call.v), asReal(1),
                 asTensor(call.o), asTensor(call.lse)};
  REQUIRE(call.bind() == SACCADE_OK);
  CHECK(call.words[9] == 64);
  CHECK(call.words[13] == 96);
  call.k.shape[1] = 5;
  call.k.refresh();
  CHECK(call.refuses("'kv' (keys) to have 6 tokens or more as the batch says, "
                     "but got 5 in shape [2, 5, 2, 8]"));
  call.q.shape[0] = 1;
  call.q.refresh();
  CHECK(call.refuses("'q' to have 2 batch entries or more, but got 1 in shape "
                     "[1, 2, 4, 8]"));
}

TEST_CASE("binding: refuses wrong shapes, types and devices") {
  Call call;
  call.values.pop_back();
  CHECK(call.refuses("3 arguments and 2 results, but got 4 values"));
  call.values.push_back(asTensor(nullptr));
  CHECK(call.refuses("'lse' to be a tensor, but got a null pointer"));
  call.values[4] = asReal(1);
  CHECK(call.refuses("'lse' to be a tensor, but got a scalar"));
  call.values[4].kind = 17;
  CHECK(call.refuses("'lse' to be a tensor, but got kind 17"));

  Call shape;
  shape.q.shape[1] = 5;
  shape.q.refresh();
  CHECK(shape.refuses("'q' to have 4 heads, but got 5 in shape [3, 5, 8]"));
  shape.q.shape = {3, 4, 16};
  shape.q.refresh();
  CHECK(
      shape.refuses("'q' to have head dim 8, but got 16 in shape [3, 4, 16]"));
  shape.q.shape = {2, 4, 8};
  shape.q.refresh();
  CHECK(
      shape.refuses("'q' to have 3 tokens or more as the batch says, but got 2 "
                    "in shape [2, 4, 8]"));
  shape.q.shape = {3, 32};
  shape.q.strides = {32, 1};
  shape.q.refresh();
  CHECK(shape.refuses("'q' to have 3 dimensions, but got shape [3, 32]"));
  shape.q.shape = {3, -4, 8};
  shape.q.refresh();
  CHECK(shape.refuses("'q' to have sizes of 0 or more, but got [3, -4, 8]"));
  shape.q.shape = {int64_t(1) << 40, int64_t(1) << 40, 8};
  shape.q.refresh();
  CHECK(shape.refuses("'q' to have fewer than 2^59 elements, but got shape "
                      "[1099511627776, 1099511627776, 8]"));
  shape.q.view.ndim = 9;
  CHECK(shape.refuses("'q' to have 0..8 dimensions, but got 9"));
  shape.q.view.shape = nullptr;
  shape.q.view.ndim = 3;
  CHECK(shape.refuses("'q' to have a shape, but got a null pointer"));

  Call type;
  type.q.view.dtype = {kDLBfloat, 16, 1};
  CHECK(type.refuses("'q' to be f32, but got bf16"));
  type.q.view.dtype = {kDLFloat, 32, 4};
  CHECK(type.refuses("'q' to be f32, but got f32x4"));
  type.q.view.dtype = {kDLFloat, 32, 1};
  type.q.view.device = kCuda;
  CHECK(type.refuses("'q' to be on cpu, but got cuda:0"));
  type.q.view.device = kHost;
  type.q.view.data = nullptr;
  CHECK(type.refuses("'q' to have data, but got a null pointer"));
}

TEST_CASE("binding: caches of 8-bit floats, as such or as bytes") {
  json object = manifest();
  object["arguments"][1]["dtype"] = "f8e4m3";
  Tensor<uint8_t> k{{4, 4, 2, 8}}, v{{4, 4, 2, 8}};
  Call call(object);
  call.values[1] = asCache(k, v);
  CHECK(call.bind() == SACCADE_OK); // bytes
  CHECK(call.words[12] == address(k.data.data()));
  CHECK(call.words[13] == 64); // strides are elements
  k.view.dtype = {/*kDLFloat8_e4m3fn*/ 10, 8, 1};
  CHECK(call.bind() == SACCADE_OK);
  v.view.dtype = {/*kDLFloat8_e5m2*/ 12, 8, 1};
  CHECK(call.refuses("'kv' (values) to be f8e4m3, but got f8e5m2"));
  object["arguments"][1]["dtype"] = "f8e5m2";
  Call other(object);
  other.values[1] = asCache(k, v);
  CHECK(other.refuses("'kv' (keys) to be f8e5m2, but got f8e4m3"));
  k.view.dtype = {kDLInt, 8, 1};
  CHECK(other.refuses("'kv' (keys) to be f8e5m2, but got i8"));
}

TEST_CASE("binding: refuses wrong strides and addresses") {
  Call call;
  call.q.strides[2] = 2;
  call.q.refresh();
  CHECK(call.refuses("'q' to have unit last stride, but got 2"));
  call.q.strides[2] = 1;
  call.q.view.byte_offset = 2;
  CHECK(call.refuses("'q' to be aligned to 4 bytes, but its address is 2 past "
                     "that"));
  call.q.view.byte_offset = 0;
  call.o.strides[1] = 0;
  call.o.refresh();
  CHECK(call.refuses("'o' to have no stride 0 as it is written"));

  // A GPU loads 16 bytes at a time.
  Call gpu;
  gpu.device = kCuda;
  for (DLTensor *view :
       {&gpu.q.view, &gpu.k.view, &gpu.v.view, &gpu.o.view, &gpu.lse.view}) {
    view->device = kCuda;
    view->data = reinterpret_cast<void *>(0x10000);
  }
  CHECK(gpu.bind() == SACCADE_OK);
  gpu.q.view.data = reinterpret_cast<void *>(0x10008);
  CHECK(gpu.refuses("'q' to be aligned to 16 bytes, but its address is 8 past "
                    "that"));
  gpu.q.view.data = reinterpret_cast<void *>(0x10000);
  gpu.q.strides[0] = 34;
  CHECK(
      gpu.refuses("'q' to have strides that are multiples of 16 bytes, but got "
                  "34 elements of 4 bytes"));
}

TEST_CASE("binding: refuses caches that the page table leaves") {
  Call call;
  call.k.shape[0] = call.v.shape[0] = 3;
  call.k.refresh();
  call.v.refresh();
  CHECK(
      call.refuses("'kv' to have more than 3 pages as the page table says, but "
                   "got 3"));
  call.v.shape[0] = 4;
  call.v.refresh();
  CHECK(
      call.refuses("'kv' to have as many pages of keys as of values, but got 3 "
                   "and 4"));
  call.k.shape[1] = 2;
  call.k.refresh();
  CHECK(call.refuses("'kv' (keys) to have page size 4, but got 2 in shape "
                     "[3, 2, 2, 8]"));
  call.values[1].values = nullptr;
  CHECK(call.refuses(
      "'kv' to have values, or shape [pages, 2, ...] for both, but "
      "got [3, 2, 2, 8]"));

  Call ragged(manifest("ragged"));
  CHECK(ragged.refuses("'kv' (keys) to have 3 dimensions, but got shape "
                       "[4, 4, 2, 8]"));
  ragged.k.shape = {10, 2, 8};
  ragged.k.strides = {16, 8, 1};
  ragged.k.refresh();
  CHECK(
      ragged.refuses("'kv' (keys) to have 11 tokens or more as the batch says, "
                     "but got 10 in shape [10, 2, 8]"));
  ragged.values[1].values = nullptr;
  CHECK(ragged.refuses(
      "'kv' to have values beside keys, but got a null pointer"));
}

TEST_CASE("binding: scalars and tables") {
  json object = manifest();
  json &arguments = object["arguments"];
  arguments.push_back(
      {{"kind", "scalar"}, {"name", "window"}, {"dtype", "i32"}});
  for (auto [name, table, dtype] : {std::tuple{"slopes", "per_head", "f32"},
                                    {"docs", "per_token", "i32"},
                                    {"ids", "per_request", "i32"},
                                    {"tree", "bits", "u8"}})
    arguments.push_back({{"kind", "table"},
                         {"name", name},
                         {"table", table},
                         {"dtype", dtype}});
  Call call(object);
  Tensor<float> slopes({4});
  Tensor<int32_t> docs({11}), requests(std::vector<int64_t>{2});
  // 1 x 5 and 2 x 6 bits: 1 + 2 bytes.
  Tensor<uint8_t> tree(std::vector<int64_t>{3});
  call.values.insert(call.values.begin() + 3,
                     {asInteger(-7), asTable(slopes), asTable(docs),
                      asTable(requests), asTable(tree)});
  REQUIRE(call.bind() == SACCADE_OK);
  CHECK(call.words[25] == uint32_t(-7));
  CHECK(call.words[26] == address(slopes.data.data()));
  CHECK(call.words[29] == address(tree.data.data()));

  auto with = [&](size_t index, SaccadeArgument value,
                  const std::string &message) {
    SaccadeArgument good = call.values[index];
    call.values[index] = value;
    bool refused = call.refuses(message);
    call.values[index] = good;
    return refused;
  };
  CHECK(with(3, asInteger(1 << 30),
             "'window' to be below 2^30 in magnitude, but got 1073741824"));
  Tensor<float> five({5});
  CHECK(with(4, asTable(five), "'slopes' to have 4 heads, but got 5"));
  CHECK(with(4, asTable(docs), "'slopes' to be f32, but got i32"));
  Tensor<int32_t> ten({10}), one(std::vector<int64_t>{1}), square({4, 4});
  CHECK(with(5, asTable(ten), "'docs' to have 11 tokens or more, but got 10"));
  CHECK(with(5, asTable(square),
             "'docs' to have 1 dimension, but got shape [4, 4]"));
  CHECK(with(6, asTable(one), "'ids' to have 2 requests or more, but got 1"));
  Tensor<uint8_t> two(std::vector<int64_t>{2});
  CHECK(with(7, asTable(two), "'tree' to have 3 bytes or more, but got 2"));
  ten.strides[0] = 2;
  CHECK(with(5, asTable(ten), "'docs' to have unit stride, but got 2"));
}

TEST_CASE("binding: tables of any strides") {
  json object = manifest();
  object["arguments"].push_back({{"kind", "table"},
                                 {"name", "bias"},
                                 {"table", "strided"},
                                 {"rank", 2},
                                 {"dtype", "f32"}});
  Call call(object);
  Tensor<float> bias({3, 4});
  bias.strides = {0, -2};
  call.values.insert(call.values.begin() + 3, asTable(bias));
  REQUIRE(call.bind() == SACCADE_OK);
  CHECK(call.words[25] == address(bias.data.data()));
  CHECK(call.words[26] == 2); // the last index
  CHECK(call.words[27] == 0); // the stride
  CHECK(call.words[28] == 3);
  CHECK(call.words[29] == uint64_t(-2));

  auto with = [&](SaccadeArgument value, const std::string &message) {
    call.values[3] = value;
    return call.refuses(message);
  };
  Tensor<float> none({0, 4}), flat({4});
  CHECK(with(asTable(none),
             "'bias' to have extents of 1 or more, but got shape [0, 4]"));
  CHECK(with(asTable(flat), "'bias' to have 2 dimensions, but got shape [4]"));
  Tensor<int32_t> integers({3, 4});
  CHECK(with(asTable(integers), "'bias' to be f32, but got i32"));
}
