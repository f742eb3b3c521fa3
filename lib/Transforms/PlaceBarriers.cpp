// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Places barriers and waits by following, in program order, which bytes of
// shared memory were read and written since warps last met, and which copies
// are still in flight. The only place where threads are made to wait for each
// other.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace saccade {
#define GEN_PASS_DEF_PLACEBARRIERSPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade::tile;

namespace {
struct Bytes {
  int64_t begin, end;
  bool overlaps(Bytes other) const {
    return begin < other.end && other.begin < end;
  }
};

std::optional<Bytes> bytesOf(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  if (!type || !isa_and_present<SharedAttr>(type.getLayout()))
    return std::nullopt;
  SharedLayout layout(type);
  return Bytes{layout.getOffset(), layout.getOffset() + layout.bytes()};
}

using ByteSet = SmallVector<Bytes>;

bool overlaps(const ByteSet &set, Bytes bytes) {
  return llvm::any_of(set, [&](Bytes b) { return b.overlaps(bytes); });
}

/// What an operation does to shared memory.
struct Access {
  ByteSet reads, writes;
  std::optional<Bytes> copy; // filled asynchronously

  explicit Access(Operation *op) {
    for (Value operand : op->getOperands())
      if (auto bytes = bytesOf(operand))
        reads.push_back(*bytes);
    for (Value result : op->getResults())
      if (auto bytes = bytesOf(result)) {
        if (isa<LoadOp>(op))
          copy = bytes;
        else
          writes.push_back(*bytes);
      }
  }
};

struct Copy {
  Operation *load;
  Bytes bytes;
};

/// Since the last barrier: bytes that some warp may read or write; and copies
/// issued by a thread and not waited for, oldest first.
struct State {
  ByteSet reads, writes;
  SmallVector<Copy> pending;

  void merge(const State &other) {
    llvm::append_range(reads, other.reads);
    llvm::append_range(writes, other.writes);
  }
};

class BarrierPlacer {
public:
  void placeBlock(Block &block, State &state) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      if (auto loop = dyn_cast<scf::ForOp>(op))
        placeLoop(loop, state);
      else if (auto branch = dyn_cast<scf::IfOp>(op))
        placeBranch(branch, state);
      else if (isa<TileDialect>(op.getDialect()))
        place(&op, state);
    }
  }

private:
  void place(Operation *op, State &state) {
    Access access(op);
    ByteSet written = access.writes;
    if (access.copy)
      written.push_back(*access.copy);
    for (size_t i = state.pending.size(); i-- > 0;) {
      Bytes copied = state.pending[i].bytes;
      if (overlaps(access.reads, copied) || overlaps(written, copied)) {
        wait(op, state, i);
        break;
      }
    }
    // What this operation itself reads and writes is no conflict: a map of rows
    // reads and replaces each row in one thread.
    bool meet = false;
    for (Bytes bytes : access.reads)
      meet |= overlaps(state.writes, bytes);
    for (Bytes bytes : written)
      meet |= overlaps(state.writes, bytes) || overlaps(state.reads, bytes);
    if (meet) {
      OpBuilder builder(op);
      NVVM::BarrierOp::create(builder, op->getLoc());
      state.reads.clear();
      state.writes.clear();
    }
    llvm::append_range(state.reads, access.reads);
    llvm::append_range(state.writes, access.writes);
    if (access.copy)
      state.pending.push_back({op, *access.copy});
  }

  /// Waits until the copy at `index`, and so all older ones, have arrived.
  /// Their bytes count as written by this thread: others see them after a
  /// barrier.
  void wait(Operation *at, State &state, size_t index) {
    OpBuilder builder(at);
    NVVM::CpAsyncWaitGroupOp::create(builder, at->getLoc(),
                                     state.pending.size() - 1 - index);
    for (const Copy &copy : ArrayRef(state.pending).take_front(index + 1))
      state.writes.push_back(copy.bytes);
    state.pending.erase(state.pending.begin(),
                        state.pending.begin() + index + 1);
  }

  /// What an earlier trip did may still be under way in another warp when a
  /// trip begins, so all of it counts as done since the last barrier. Copies of
  /// a trip are waited for within it: then the count of copies in flight is the
  /// same on every way to a place.
  void placeLoop(scf::ForOp loop, State &state) {
    State body = state;
    loop.getBody()->walk([&](Operation *op) {
      if (!isa<TileDialect>(op->getDialect()))
        return;
      Access access(op);
      llvm::append_range(body.reads, access.reads);
      llvm::append_range(body.writes, access.writes);
      if (access.copy)
        body.writes.push_back(*access.copy);
    });
    placeRegion(loop.getBody(), body);
    state.merge(body);
  }

  void placeBranch(scf::IfOp branch, State &state) {
    State before = state;
    for (Region *region : branch.getRegions()) {
      if (region->empty())
        continue;
      State inside = before;
      placeRegion(&region->front(), inside);
      state.merge(inside);
    }
  }

  /// Leaves no copy in flight that the region issued. Older copies stay pending
  /// for the caller, since on the way around the region they are.
  void placeRegion(Block *block, State &state) {
    placeBlock(*block, state);
    if (!state.pending.empty() &&
        block->getParentOp()->isProperAncestor(state.pending.back().load))
      wait(block->getTerminator(), state, state.pending.size() - 1);
  }
};

struct PlaceBarriersPass
    : saccade::impl::PlaceBarriersPassBase<PlaceBarriersPass> {
  void runOnOperation() override {
    if (getOperation().getSchedule().getPipeline())
      return; // pipes wait for copies, and know who reads them
    Block &body = getOperation().getBody().front();
    State state;
    BarrierPlacer placer;
    placer.placeBlock(body, state);
    if (!state.pending.empty()) {
      OpBuilder builder = OpBuilder::atBlockEnd(&body);
      NVVM::CpAsyncWaitGroupOp::create(builder, getOperation().getLoc(), 0);
    }
  }
};
} // namespace
