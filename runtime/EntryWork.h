// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a planner makes of one entry: items in the order of ctas, and the slots
// of those that fold keys in part.
#ifndef SACCADE_RUNTIME_ENTRYWORK_H
#define SACCADE_RUNTIME_ENTRYWORK_H

#include "runtime/SharedGrid.h"
#include "saccade/KernelABI.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace saccade::rt {

/// Sizes of an entry's work.
struct WorkSize {
  int64_t items = 0;
  int64_t slots = 0;    ///< partial states
  int64_t counters = 0; ///< tiles that were cut
};

/// The work of one entry.
struct EntryWork {
  std::vector<SaccadeWorkItem> items;
  std::vector<int32_t> ctaBegin;        ///< [ctas + 1] into items
  std::vector<double> load;             ///< cost per cta, over pace
  std::vector<SaccadePartial> partials; ///< per slot
  int32_t counters = 0;                 ///< that partials count on
  /// How many times as fast its ctas work as costs say, where others leave them
  /// more of what limits them.
  double pace = 1;
  /// Of the launch, where another entry shares it; else of no ctas.
  SharedGrid grid;
  bool isSecond = false; ///< which of the two it is

  /// A cta's number in the launch.
  int32_t launched(int32_t cta) const {
    return grid.ctas() ? grid.cta({isSecond, cta}) : cta;
  }
  int32_t ctas() const { return static_cast<int32_t>(ctaBegin.size()) - 1; }
  void reserve(const WorkSize &most, int32_t ctas);
};

inline void EntryWork::reserve(const WorkSize &most, int32_t ctas) {
  items.reserve(most.items);
  ctaBegin.reserve(static_cast<size_t>(ctas) + 1);
  load.reserve(ctas);
  partials.reserve(most.slots);
}

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_ENTRYWORK_H
