// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Compares the results of a run with the reference evaluator, on as many rows
// as are worth the time.

#ifndef SACCADE_TOOLS_CHECK_H
#define SACCADE_TOOLS_CHECK_H

#include "tools/saccade/Command.h"
#include "tools/saccade/Workload.h"

namespace saccade::cli {

struct ResultError {
  std::string name;
  double error =
      0; ///< tensors: |got - want| / |want|; LSE: largest |got - want|
  double tolerance = 0; ///< what the element type allows
  bool good() const { return error <= tolerance; } // NaN is not
};

struct CheckReport {
  int64_t rows = 0;
  std::vector<ResultError> results;
  std::string wrong; ///< what no tolerance excuses, "" if there is nothing

  bool good() const;
};

/// Results have been downloaded. At most about `rows` rows are compared.
CheckReport checkResults(Workload &workload, const std::string &spec,
                         const std::string &kernel, int64_t rows,
                         uint64_t seed);

} // namespace saccade::cli

#endif // SACCADE_TOOLS_CHECK_H
