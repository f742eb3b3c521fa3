// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Chooses tile shapes: one typed attribute on the kernel, so that every later
// pass reads its sizes from there and none hides a constant.

#include "lib/Transforms/Passes.h"

#include "llvm/ADT/StringRef.h"

namespace saccade {
#define GEN_PASS_DEF_CHOOSESCHEDULEPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
/// The largest shapes among the kernel's attends and appends.
struct Shape {
  int64_t headDim = 0, valueDim = 0;
  Type element;
};

struct ChooseSchedule : saccade::impl::ChooseSchedulePassBase<ChooseSchedule> {
  using ChooseSchedulePassBase::ChooseSchedulePassBase;

  void runOnOperation() override {
    attn::KernelOp kernel = getOperation();
    if (kernel.getScheduleAttr())
      return;
    Shape shape;
    for (BlockArgument cache : kernel.getCaches()) {
      auto layout = cast<attn::LayoutType>(cache.getType());
      shape.headDim = std::max(shape.headDim, layout.getHeadDim());
      shape.valueDim = std::max(shape.valueDim, layout.getValueDim());
      shape.element = layout.getElementType();
    }
    tile::ScheduleAttr schedule =
        target == "cpu" ? forCpu(shape) : forGpu(shape);
    kernel.setScheduleAttr(schedule);
  }

  /// A query tile and a KV tile lie in the second-level cache together; softmax
  /// weights stay f32, as products are f32 anyway.
  tile::ScheduleAttr forCpu(const Shape &shape) {
    int64_t keys = shape.headDim + shape.valueDim <= 384 ? 128 : 64;
    return tile::ScheduleAttr::get(&getContext(), /*rows=*/64, keys,
                                   /*warps=*/1,
                                   Float32Type::get(&getContext()));
  }

  /// One warp for each 16 rows. Q, K and V tiles share the 99 KB of the
  /// smallest target where they can; beyond that the KV tile shrinks.
  tile::ScheduleAttr forGpu(const Shape &shape) {
    int64_t rows = 64, keys = 64;
    auto bytes = [&] {
      return 2 *
             (rows * shape.headDim + keys * (shape.headDim + shape.valueDim));
    };
    while (bytes() > 99 * 1024 && keys > 16)
      keys /= 2;
    return tile::ScheduleAttr::get(&getContext(), rows, keys, rows / 16,
                                   shape.element);
  }
};
} // namespace
