// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Tensors, scalars and results of a workload; caches and tables are in
// WorkloadTables.cpp.

#include "tools/saccade/Workload.h"

#include "tools/saccade/Command.h"

#include <algorithm>
#include <cmath>

using namespace saccade::cli;
using nlohmann::json;

Workload::Workload(const json &manifest, const Lengths &lengths, uint64_t seed,
                   const std::map<std::string, double> &parameters)
    : manifest(manifest), lengths(lengths), random(seed) {
  const json &arguments = manifest["arguments"];
  tensors.resize(arguments.size());
  for (size_t i = 0; i < arguments.size(); ++i)
    if (arguments[i]["kind"] == "cache") {
      cacheAt[i] = caches.size();
      caches.emplace_back();
    }
  for (size_t i = 0; i < arguments.size(); ++i) {
    const json &argument = arguments[i];
    std::string kind = argument["kind"];
    if (kind == "tensor")
      makeTensor(argument, i);
    else if (kind == "cache")
      makeCache(argument, i);
    else if (kind == "scalar")
      makeScalar(argument, i, parameters);
    else if (kind == "lse")
      makeLse(argument, i);
    else
      makeTable(argument, i);
  }
  for (const auto &[name, value] : parameters)
    if (!used.count(name))
      throw Failure("expects a scalar argument named '" + name +
                    "' in kernel '" + manifest["kernel"].get<std::string>() +
                    "'");
  makeResults();

  for (CacheInput &cache : caches)
    cacheBatches.push_back(cache.batch);
  theBatch.requests = lengths.requests();
  theBatch.num_caches = static_cast<int32_t>(caches.size());
  theBatch.q_len = lengths.query.data();
  theBatch.caches = cacheBatches.data();
}

SaccadeCapacity Workload::capacity() const {
  SaccadeCapacity capacity = {};
  capacity.requests = lengths.requests();
  capacity.query_tokens = lengths.queryTokens();
  capacity.keys = std::max<int64_t>(lengths.sequenceTokens(), 1);
  for (const CacheInput &cache : caches) {
    capacity.indices +=
        cache.indices.shape.empty() ? 0 : cache.indices.elements();
    capacity.row_blocks +=
        cache.blockRows.shape.empty() ? 0 : cache.blockRows.elements();
  }
  return capacity;
}

bool Workload::isAppended(size_t index) const {
  for (const json &entry : manifest["entries"])
    if (entry["kind"] == "append")
      for (const json &cache : entry["caches"])
        if (cache.get<size_t>() == index)
          return true;
  return false;
}

/// Normal enough: four uniform 16-bit numbers, mean 0, variance 1.
static double normal(uint64_t bits) {
  double sum = 0;
  for (int i = 0; i < 4; ++i, bits >>= 16)
    sum += static_cast<double>(bits & 0xffff) / 65535.0;
  return (sum - 2) * std::sqrt(3.0);
}

void Workload::fillRow(Tensor &tensor, int64_t offset, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    tensor.set(offset + i, normal(random()));
}

/// The shape of a tensor of tokens: [batch,] tokens and heads in their order,
/// dim.
static std::vector<int64_t> tokenShape(const json &layout, int64_t batch,
                                       int64_t tokens, int64_t dim) {
  int64_t heads = layout["heads"];
  std::vector<int64_t> shape;
  if (layout["layout"] == "dense")
    shape.push_back(batch);
  bool headsFirst = layout.value("order", "NHD") == "HND";
  shape.push_back(headsFirst ? heads : tokens);
  shape.push_back(headsFirst ? tokens : heads);
  shape.push_back(dim);
  return shape;
}

static int32_t longest(const std::vector<int32_t> &lengths) {
  return lengths.empty() ? 0
                         : *std::max_element(lengths.begin(), lengths.end());
}

void Workload::makeTensor(const json &argument, size_t index) {
  bool dense = argument["layout"] == "dense";
  int64_t tokens = dense ? longest(lengths.query) : lengths.queryTokens();
  int64_t dim = argument["dim"], heads = argument["heads"];
  Tensor &tensor = tensors[index];
  tensor = Tensor(dtypeNamed(argument["dtype"]),
                  tokenShape(argument, lengths.requests(), tokens, dim));
  tensor.poison();
  bool headsFirst = argument.value("order", "NHD") == "HND";
  int64_t row = 0;
  for (int32_t r = 0; r < lengths.requests(); ++r)
    for (int32_t t = 0; t < lengths.query[r]; ++t, ++row)
      for (int64_t h = 0; h < heads; ++h) {
        int64_t token = dense ? t : row;
        int64_t at = headsFirst ? h * tokens + token : token * heads + h;
        fillRow(tensor, (dense ? r * tokens * heads + at : at) * dim, dim);
      }
  double bytes = double(lengths.queryTokens() * heads * dim) *
                 double(bytesOf(tensor.dtype));
  traffic += bytes;
}

/// Of outputs that are resumed.
void Workload::makeLse(const json &argument, size_t index) {
  std::vector<int64_t> shape = {lengths.queryTokens(), argument["heads"]};
  if (argument["layout"] == "dense")
    shape = {lengths.requests(), longest(lengths.query), argument["heads"]};
  tensors[index] = Tensor(DType::f32, shape);
  fillRow(tensors[index], 0, tensors[index].elements());
}

void Workload::makeScalar(const json &argument, size_t index,
                          const std::map<std::string, double> &parameters) {
  std::string name = argument["name"];
  bool integer = argument["dtype"] == "i32";
  double longestSequence = longest(lengths.sequence);
  double value = integer ? 16 : 1;
  if (auto given = parameters.find(name); given != parameters.end())
    value = given->second;
  else if (name.find("scale") != std::string::npos) {
    int64_t query = manifest["query"];
    if (query >= 0)
      value = 1 / std::sqrt(manifest["arguments"][query]["dim"].get<double>());
  } else if (name.find("cap") != std::string::npos)
    value = integer ? 50 : 50;
  else if (name.find("theta") != std::string::npos)
    value = 10000;
  else if (name.find("bias") != std::string::npos)
    value = -std::log(std::max(1.0, longestSequence));
  else if (name.find("window") != std::string::npos ||
           name.find("chunk") != std::string::npos)
    value = std::max(1.0, std::floor(longestSequence / 3));
  else if (name.find("sink") != std::string::npos)
    value = 4;
  if (integer && (value != std::floor(value) || std::fabs(value) > 0x7fffffff))
    throw Failure("expects an i32 for '" + name + "', but got " +
                  std::to_string(value));
  scalarAt[index] = used[name] = value;
}

void Workload::makeResults() {
  for (const json &result : manifest["results"]) {
    if (result["kind"] == "cache")
      continue;
    bool dense = result["layout"] == "dense", lse = result["kind"] == "lse";
    // Rows of no request follow, to see that they are left alone.
    int64_t tokens =
        (dense ? longest(lengths.query) : lengths.queryTokens()) + 2;
    std::vector<int64_t> shape = tokenShape(result, lengths.requests(), tokens,
                                            lse ? 1 : int64_t(result["dim"]));
    if (lse)
      shape.pop_back();
    results.emplace_back(dtypeNamed(lse ? "f32" : result["dtype"]), shape);
    int64_t width = lse ? 1 : int64_t(result["dim"]);
    traffic += double(lengths.queryTokens() * int64_t(result["heads"]) * width *
                      bytesOf(results.back().dtype));
  }
}

void Workload::upload(DLDevice device) {
  for (Tensor &tensor : tensors)
    tensor.upload(device);
  for (CacheInput &cache : caches) {
    cache.keys.upload(device);
    cache.values.upload(device);
  }
}

void Workload::poisonResults(DLDevice device) {
  for (Tensor &result : results) {
    result.poison();
    result.upload(device);
  }
}

void Workload::downloadResults() {
  for (Tensor &result : results)
    result.download();
}

std::vector<SaccadeArgument> Workload::arguments(bool onDevice,
                                                 bool withResults) {
  auto view = [&](Tensor &tensor) {
    return onDevice ? tensor.onDevice() : tensor.onHost();
  };
  std::vector<SaccadeArgument> list;
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::string kind = manifest["arguments"][i]["kind"];
    SaccadeArgument argument = {};
    if (kind == "cache") {
      CacheInput &cache = caches[cacheAt[i]];
      argument.kind = SACCADE_ARG_CACHE;
      argument.tensor = view(cache.keys);
      argument.values = view(cache.values);
    } else if (kind == "scalar") {
      argument.kind = SACCADE_ARG_SCALAR;
      argument.real = scalarAt[i];
      argument.integer = static_cast<int64_t>(scalarAt[i]);
    } else {
      argument.kind = kind == "table" ? SACCADE_ARG_TABLE : SACCADE_ARG_TENSOR;
      argument.tensor = view(tensors[i]);
    }
    list.push_back(argument);
  }
  for (Tensor &result : results) {
    if (!withResults)
      break;
    SaccadeArgument argument = {};
    argument.kind = SACCADE_ARG_TENSOR;
    argument.tensor = view(result);
    list.push_back(argument);
  }
  return list;
}
