// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The lengths of a batch, as a person gives them: a file, a line, or a draw
// from a distribution like that of a chat service.

#ifndef SACCADE_TOOLS_LENGTHS_H
#define SACCADE_TOOLS_LENGTHS_H

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace saccade::cli {

/// Query tokens, and tokens of the whole sequence, of each request.
struct Lengths {
  std::vector<int32_t> query, sequence;

  int32_t requests() const { return static_cast<int32_t>(query.size()); }
  int64_t queryTokens() const;
  int64_t sequenceTokens() const;
};

struct LengthOptions {
  std::string file, line, draw;
  uint64_t seed = 1;

  void addTo(CLI::App &command);
  Lengths read() const;
};

} // namespace saccade::cli

#endif // SACCADE_TOOLS_LENGTHS_H
