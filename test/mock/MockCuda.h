// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The controls of a make-believe CUDA driver, so that the launcher's logic is
// tested where there is no GPU. Its device memory is host memory, its streams
// run at once, and its kernels are C++ functions of the test.
#ifndef SACCADE_TEST_MOCK_MOCKCUDA_H
#define SACCADE_TEST_MOCK_MOCKCUDA_H

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

struct MockCuda {
  /// Calls that change something, as text: "cuModuleLoadDataEx", ...
  std::vector<std::string> calls;
  /// Results to give instead of doing the call: function -> CUresult.
  std::map<std::string, int> failures;
  /// What each cta of a kernel does, by name.
  std::map<std::string, std::function<void(const uint64_t *words, int cta)>>
      kernels;

  int capability = 90;
  int driver = 12080;
  int blocksPerProcessor = 2;
  bool capturing = false;
  std::string jitErrors, jitInfo;

  struct Launch {
    std::string kernel;
    unsigned grid, threads, shared;
    void *stream;
    bool early = false; ///< may begin before the kernel before has ended
  };
  std::vector<Launch> launches;
  /// What cuTensorMapEncodeTiled was given. Map number i begins with the bytes
  /// of uint64_t(i + 1).
  struct TensorMap {
    int type;
    void *address;
    std::vector<uint64_t> sizes, strides;
    std::vector<uint32_t> box, elementStrides;
    int interleave, swizzle, promotion, fill;
  };
  std::vector<TensorMap> tensorMaps;
  int64_t allocated = 0; ///< device allocations that are alive
  int64_t pinned = 0;
  int64_t modules = 0;
  int64_t events = 0;
  int64_t contextDepth = 0;
  /// Copies wait here, as on a busy stream, while this is set.
  bool stalled = false;
  std::vector<std::function<void()>> pending;

  void drain() {
    for (auto &copy : pending)
      copy();
    pending.clear();
  }
  int count(const std::string &call) const {
    int found = 0;
    for (const std::string &made : calls)
      found += made == call;
    return found;
  }
};

/// Exported by the library as a C function under this name.
constexpr const char *kMockCudaSymbol = "saccade_mock_cuda";

#endif // SACCADE_TEST_MOCK_MOCKCUDA_H
