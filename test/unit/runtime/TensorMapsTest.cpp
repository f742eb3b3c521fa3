// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensor maps: what the driver is told of tensors in every layout, that it is
// told only when they change, and what is refused before it is asked. The
// driver here is a function that writes down its arguments.
#include "runtime/TensorMaps.h"
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {

struct Told {
  void *address;
  std::vector<uint64_t> sizes, strides;
  std::vector<uint32_t> box;
  CUtensorMapDataType type;
};
std::vector<Told> told;
CUresult answer = CUDA_SUCCESS;

CUresult encode(CUtensorMap *map, CUtensorMapDataType type, uint32_t rank,
                void *address, const uint64_t *sizes, const uint64_t *strides,
                const uint32_t *box, const uint32_t *steps,
                CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                CUtensorMapL2promotion promotion,
                CUtensorMapFloatOOBfill fill) {
  CHECK(reinterpret_cast<uintptr_t>(map) % 64 == 0);
  REQUIRE(rank == 4);
  CHECK(std::vector(steps, steps + 4) == std::vector<uint32_t>{1, 1, 1, 1});
  CHECK(interleave == CU_TENSOR_MAP_INTERLEAVE_NONE);
  CHECK(swizzle == CU_TENSOR_MAP_SWIZZLE_128B);
  CHECK(promotion == CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
  CHECK(fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (answer != CUDA_SUCCESS)
    return answer;
  told.push_back({address,
                  {sizes, sizes + 4},
                  {strides, strides + 3},
                  {box, box + 4},
                  type});
  for (uint64_t &word : map->opaque)
    word = told.size();
  return CUDA_SUCCESS;
}

/// One entry with a map of the sample's keys (word 12) and one of its query
/// (word 8), and bound tensors of 16-bit elements with 8 columns.
struct Call {
  Manifest sample = [] {
    json object = gpuManifest();
    object["entries"][0]["tensor_maps"] = {
        {"first_word", 40},
        {"maps",
         {{{"word", 12}, {"heads", 1}, {"tokens", 80}},
          {{"word", 8}, {"heads", 2}, {"tokens", 32}}}}};
    return parsed(object);
  }();
  std::vector<uint64_t> words = std::vector<uint64_t>(sample.words);
  std::vector<TensorExtent> extents = {{8, 4, 100, 1}, {12, 2, 16, 50}};
  CudaDriver driver = {};
  TensorMaps maps;
  alignas(16) char empty[16];

  Call() {
    told.clear();
    answer = CUDA_SUCCESS;
    driver.cuTensorMapEncodeTiled = encode;
    driver.cuGetErrorName = [](CUresult, const char **name) -> CUresult {
      *name = "CUDA_ERROR_INVALID_VALUE";
      return CUDA_SUCCESS;
    };
    driver.cuGetErrorString = [](CUresult, const char **text) -> CUresult {
      *text = "invalid argument";
      return CUDA_SUCCESS;
    };
    // data, strides of batch, token and head in elements
    set(8, {0x1000, 0, 32, 8});
    set(12, {0x2000, 512, 16, 8});
  }
  void set(int word, std::initializer_list<int64_t> values) {
    std::ranges::copy(values, words.begin() + word);
  }
  Status put() {
    words.resize(sample.words);
    return maps.put(driver, sample, sample.entries[0], extents, empty, words);
  }
  bool refuses(const std::string &message) {
    return failed(put(), SACCADE_INVALID_ARGUMENT,
                  "@sample: expects " + message);
  }
};

using Numbers = std::vector<uint64_t>;

} // namespace

TEST_CASE("tensor maps: say what a tensor is, behind the words") {
  Call call;
  REQUIRE(call.put() == SACCADE_OK);
  REQUIRE(told.size() == 2);
  CHECK(told[0].address == reinterpret_cast<void *>(0x2000));
  CHECK(told[0].sizes == Numbers{8, 2, 16, 50});
  CHECK(told[0].strides == Numbers{16, 32, 1024});
  CHECK(told[0].box == std::vector<uint32_t>{64, 1, 80, 1});
  CHECK(told[0].type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  // A ragged tensor has one batch entry; its stride is beyond the tokens.
  CHECK(told[1].sizes == Numbers{8, 4, 100, 1});
  CHECK(told[1].strides == Numbers{16, 64, 6400});
  REQUIRE(call.words.size() == 40 + 2 * 16);
  for (int i = 0; i < 16; ++i) {
    CHECK(call.words[40 + i] == 1);
    CHECK(call.words[56 + i] == 2);
  }
}

TEST_CASE("tensor maps: are made again only for other tensors") {
  Call call;
  REQUIRE(call.put() == SACCADE_OK);
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told.size() == 2);
  CHECK(call.words[40] == 1);
  call.words[12] = 0x3000; // another address
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told.size() == 3);
  call.extents[0].tokens = 90; // a longer query
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told.size() == 4);
  call.words[12 + SACCADE_TENSOR_STRIDE_TOKEN] = 24; // another stride
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told.size() == 5);
  CHECK(call.words[40] == 5);
  CHECK(call.words[56] == 4);
  // One that failed is not taken for made.
  call.words[12] = 0x4000;
  answer = 1;
  CHECK(call.put() == SACCADE_DRIVER_ERROR);
  CHECK(call.put() == SACCADE_DRIVER_ERROR);
  answer = CUDA_SUCCESS;
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told.size() == 6);
}

TEST_CASE("tensor maps: heads before tokens, f16, dimensions of size 1") {
  Call call;
  call.sample.entries[0].maps[0].dtype = DType::F16;
  call.set(12, {0x2000, 4096, 8, 2048}); // HND
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told[0].type == CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
  CHECK(told[0].strides == Numbers{4096, 16, 8192});
  // A page of one token, one KV head: binding leaves their strides at 0.
  call.extents[1] = {12, 1, 1, 50};
  call.set(12, {0x2000, 64, 0, 0});
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told[2].sizes == Numbers{8, 1, 1, 50});
  CHECK(told[2].strides == Numbers{16, 16, 128});
}

TEST_CASE("tensor maps: boxes of 8-bit elements are as wide in bytes") {
  Call call;
  call.sample.entries[0].maps[0].dtype = DType::F8E4M3;
  call.set(12, {0x2000, 1024, 32, 16});
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told[0].type == CU_TENSOR_MAP_DATA_TYPE_UINT8);
  CHECK(told[0].sizes == Numbers{8, 2, 16, 50});
  CHECK(told[0].strides == Numbers{16, 32, 1024});
  CHECK(told[0].box == std::vector<uint32_t>{128, 1, 80, 1});
  CHECK(told[1].box[0] == 64);
}

TEST_CASE("tensor maps: of empty tensors lie where nothing is read") {
  Call call;
  call.extents[1] = {12, 2, 16, 0};
  call.set(12, {0, 0, 0, 0});
  call.words[12] = 0;
  REQUIRE(call.put() == SACCADE_OK);
  CHECK(told[0].address == call.empty);
  CHECK(told[0].sizes == Numbers{8, 2, 16, 1});
}

TEST_CASE("tensor maps: refuse what they cannot express") {
  {
    Call call;
    call.words[12] = 0x2008;
    CHECK(call.refuses("'kv' (keys) to have an address that is a multiple of "
                       "16 bytes for its tensor map, but it is 8 past that"));
  }
  {
    Call call;
    call.words[12 + SACCADE_TENSOR_STRIDE_TOKEN] = 12;
    CHECK(call.refuses("'kv' (keys) to have a token stride of a multiple of 16 "
                       "bytes below 2^40 for its tensor map, but got 24"));
  }
  {
    Call call;
    call.words[12 + SACCADE_TENSOR_STRIDE_HEAD] = -8;
    CHECK(call.refuses("'kv' (keys) to have a head stride of a multiple of 16 "
                       "bytes below 2^40 for its tensor map, but got -16"));
  }
  {
    Call call;
    call.words[12 + SACCADE_TENSOR_STRIDE_BATCH] = int64_t(1) << 39;
    CHECK(call.refuses("'kv' (keys) to have a batch stride of a multiple of 16 "
                       "bytes below 2^40 for its tensor map, but got "
                       "1099511627776"));
  }
  {
    Call call;
    call.extents[0].tokens = (int64_t(1) << 32) + 1;
    CHECK(call.refuses("'q' to have at most 2^32 entries of its token axis for "
                       "its tensor map, but got 4294967297"));
  }
  {
    Call call;
    answer = 1;
    CHECK(failed(call.put(), SACCADE_DRIVER_ERROR,
                 "cuda: @sample: cuTensorMapEncodeTiled of 'kv' (keys) with "
                 "sizes [8, 2, 16, 50], strides of [16, 32, 1024] bytes and "
                 "box [64, 1, 80, 1]: CUDA_ERROR_INVALID_VALUE (1): invalid "
                 "argument"));
  }
  {
    Call call;
    call.driver.cuTensorMapEncodeTiled = nullptr;
    CHECK(failed(call.put(), SACCADE_NO_DEVICE,
                 "@sample: expects a driver with cuTensorMapEncodeTiled (CUDA "
                 "12.0 or later)"));
  }
}
