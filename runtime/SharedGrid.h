// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The ctas of a launch that two entries share. The two kinds alternate, so that
// both begin at once and lie evenly over the processors: where those of one
// kind lie together, they wait for the same part of the network to memory.
#ifndef SACCADE_RUNTIME_SHAREDGRID_H
#define SACCADE_RUNTIME_SHAREDGRID_H

#include <cstdint>

namespace saccade::rt {

struct SharedGrid {
  int32_t first = 0, second = 0; ///< ctas of each entry

  int32_t ctas() const { return first + second; }

  /// A cta of the launch as one of an entry's own.
  struct Place {
    bool isSecond;
    int32_t own;
  };
  Place at(int32_t cta) const {
    int32_t before = firstBefore(cta);
    if (firstBefore(cta + 1) > before)
      return {false, before};
    return {true, cta - before};
  }

  /// The way back.
  int32_t cta(Place place) const {
    int64_t all = ctas();
    return static_cast<int32_t>(
        place.isSecond ? ((place.own + 1) * all + second - 1) / second - 1
                       : place.own * all / first);
  }

private:
  /// Those of the first entry among so many of the launch.
  int32_t firstBefore(int64_t count) const {
    return static_cast<int32_t>((count * first + ctas() - 1) / ctas());
  }
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_SHAREDGRID_H
