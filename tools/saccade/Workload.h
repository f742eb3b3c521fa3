// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Inputs for any kernel, made from its manifest: random tensors, caches in
// shuffled pages, tables that look like those of models. Whatever a kernel must
// not read is NaN, so that reading it shows.

#ifndef SACCADE_TOOLS_WORKLOAD_H
#define SACCADE_TOOLS_WORKLOAD_H

#include "tools/saccade/Lengths.h"
#include "tools/saccade/Tensor.h"

#include <map>
#include <nlohmann/json.hpp>
#include <random>

namespace saccade::cli {

/// A cache of the batch: where its tokens lie, as Runtime.h wants to hear it.
struct CacheInput {
  Tensor keys, values, indices, blockRows;
  std::vector<int32_t> lengths, indptr;
  SaccadeCacheBatch batch = {};
};

class Workload {
public:
  /// `parameters`: values of scalar arguments by name; the others get defaults.
  Workload(const nlohmann::json &manifest, const Lengths &lengths,
           uint64_t seed, const std::map<std::string, double> &parameters);
  Workload(const Workload &) = delete; // batch points into it

  const SaccadeBatch &batch() const { return theBatch; }
  SaccadeCapacity capacity() const;

  void upload(DLDevice device);
  /// Fills results with NaN, on the host and on the device.
  void poisonResults(DLDevice device);
  void downloadResults();

  /// The arguments of saccade_run; without results, those of the reference.
  std::vector<SaccadeArgument> arguments(bool onDevice, bool withResults);

  /// Bytes that a run reads or writes at least: caches once, queries, results.
  double bytes() const { return traffic; }
  /// Floating-point operations of both products over all keys of each request,
  /// those that the mask hides included.
  double flops() const { return work; }
  /// The values of the scalar arguments, for the report.
  const std::map<std::string, double> &scalars() const { return used; }

  const nlohmann::json &manifest;
  const Lengths &lengths;
  std::vector<Tensor> results; ///< in order, without caches

private:
  void makeTensor(const nlohmann::json &argument, size_t index);
  void makeLse(const nlohmann::json &argument, size_t index);
  void makeCache(const nlohmann::json &argument, size_t index);
  void makePages(const nlohmann::json &argument, CacheInput &cache,
                 bool shared);
  void makeBlocks(const nlohmann::json &argument, CacheInput &cache);
  void makeScalar(const nlohmann::json &argument, size_t index,
                  const std::map<std::string, double> &parameters);
  void makeTable(const nlohmann::json &argument, size_t index);
  void makeBits(Tensor &table);
  void makeStrided(Tensor &table, DType dtype, int64_t rank);
  void makeResults();
  void fillRow(Tensor &tensor, int64_t offset, int64_t count);
  bool isAppended(size_t index) const;
  double uniform() { return std::uniform_real_distribution<double>()(random); }

  std::mt19937_64 random;
  std::vector<Tensor> tensors;      ///< by argument; tensors and tables
  std::map<size_t, size_t> cacheAt; ///< argument -> cache
  std::vector<CacheInput> caches;   ///< in signature order
  std::vector<SaccadeCacheBatch> cacheBatches;
  std::map<size_t, double> scalarAt; ///< argument -> value
  std::map<std::string, double> used;
  SaccadeBatch theBatch = {};
  double traffic = 0, work = 0;
};

} // namespace saccade::cli

#endif // SACCADE_TOOLS_WORKLOAD_H
