// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Gives each tile in shared memory its bytes: first fit over live ranges, since
// an entry holds a handful of buffers. Offsets go into types, so nothing is
// computed at run time.

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/Passes.h"

#include "llvm/Support/MathExtras.h"

namespace saccade {
#define GEN_PASS_DEF_ALLOCATESHAREDPASS
#include "lib/Transforms/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade::tile;

namespace {
/// 128 bytes keep the rows of every tile in the banks that swizzles assume.
constexpr int64_t kAlignment = 128;
constexpr int64_t kPanelAlignment = 1024; // where its swizzle repeats

/// A buffer: the values that live in it one after the other, and when.
struct Buffer {
  SmallVector<Value, 2> values;
  int64_t begin, end; // places in program order, both included
  int64_t bytes, offset = 0;
};

bool inShared(Value value) {
  auto type = dyn_cast<TileType>(value.getType());
  return type && isa_and_present<SharedAttr>(type.getLayout());
}

class SharedAllocator {
public:
  explicit SharedAllocator(EntryOp entry)
      : warps(entry.getSchedule().getWarps()) {
    number(entry);
    entry.walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (auto pipe = dyn_cast<PipeOp>(op))
        pipes.push_back(pipe);
      else if (auto combine = dyn_cast<CombineOp>(op))
        combines.push_back(combine);
      else if (!isa<GetOp, OverwriteOp>(op)) // live in their pipe
        for (Value result : op->getResults())
          if (inShared(result))
            addValue(result);
    });
  }

  /// Lays the buffers out, writes the offsets into types, and returns the
  /// total.
  int64_t allocate() {
    int64_t total = allocatePipes();
    firstFree = total;
    for (Buffer &buffer : buffers) {
      buffer.offset = firstFit(buffer);
      total = std::max(total, buffer.offset + buffer.bytes);
      placed.push_back(&buffer);
      for (Value value : buffer.values) {
        auto type = cast<TileType>(value.getType());
        auto shared = cast<SharedAttr>(type.getLayout());
        value.setType(type.withLayout(
            SharedAttr::get(type.getContext(), shared.getPitch(),
                            shared.getSwizzle(), buffer.offset)));
      }
    }
    return combines.empty() ? total : allocateExchanges(total);
  }

private:
  int64_t warps;
  DenseMap<Operation *, std::pair<int64_t, int64_t>>
      span; // of op and its regions
  DenseMap<Value, size_t> bufferOf;
  std::vector<Buffer> buffers;
  SmallVector<Buffer *> placed;
  SmallVector<PipeOp> pipes;
  SmallVector<CombineOp> combines;
  int64_t clock = 0, firstFree = 0;

  /// What takes the place of a tile lives where that does.
  static void place(GetOp get, TileType tile) {
    get.getResult().setType(tile);
    for (Operation *user : get->getUsers())
      if (auto overwrite = dyn_cast<OverwriteOp>(user))
        overwrite.getResult().setType(
            overwrite.getResult().getType().withLayout(tile.getLayout()));
  }

  /// Stages one after another, then barriers; pipes live as long as the entry.
  int64_t allocatePipes() {
    int64_t end = 0;
    for (PipeOp pipe : pipes) {
      PipeType type = pipe.getType();
      TileType tile = type.getTile();
      auto shared = cast<SharedAttr>(tile.getLayout());
      int64_t begin = llvm::alignTo(end, kPanelAlignment);
      end = begin + type.getStages() * SharedLayout(tile).bytes();
      tile = tile.withLayout(SharedAttr::get(
          tile.getContext(), shared.getPitch(), shared.getSwizzle(), begin));
      pipe.getResult().setType(
          PipeType::get(tile.getContext(), tile, type.getStages()));
      for (Operation *user : pipe->getUsers())
        if (auto get = dyn_cast<GetOp>(user))
          place(get, tile);
    }
    for (PipeOp pipe : pipes) {
      pipe.setBarriers(end);
      end += pipe.getType().getStages() * kStageBarrierBytes;
    }
    return pipes.empty() ? 0 : llvm::alignTo(end, kAlignment);
  }

  /// Combinations of columns have memory of their own, so that warps meet once
  /// in each; those of tiles, which take more, share theirs.
  int64_t allocateExchanges(int64_t end) {
    int64_t tiles = 0;
    end = llvm::alignTo(end, kAlignment);
    for (CombineOp combine : combines) {
      int64_t bytes =
          ExchangeLayout(combine.getInput().getType(), warps).bytes();
      if (!combine.getType().isColumn()) {
        tiles = std::max(tiles, bytes);
        continue;
      }
      setExchange(combine, end);
      end += llvm::alignTo(bytes, kAlignment);
    }
    for (CombineOp combine : combines)
      if (!combine.getType().isColumn())
        setExchange(combine, end);
    return end + tiles;
  }

  static void setExchange(CombineOp combine, int64_t begin) {
    combine->setAttr(
        kExchangeAttr,
        IntegerAttr::get(IntegerType::get(combine.getContext(), 64), begin));
  }

  void number(Operation *op) {
    int64_t begin = clock++;
    for (Region &region : op->getRegions())
      for (Block &block : region)
        for (Operation &nested : block)
          number(&nested);
    span[op] = {begin, clock++};
  }

  /// The last place where a value is used. A loop between the value and its use
  /// comes round again, so the value lives to the loop's end; the same bound is
  /// taken for branches.
  int64_t lastUse(Value value) {
    Block *home = value.getParentBlock();
    int64_t last = span[value.getDefiningOp()].second;
    for (Operation *user : value.getUsers())
      last = std::max(last, span[home->findAncestorOpInBlock(*user)].second);
    return last;
  }

  void addValue(Value value) {
    auto type = cast<TileType>(value.getType());
    Operation *op = value.getDefiningOp();
    // Each row is read and replaced by one thread, so it needs no second
    // buffer.
    if (auto map = dyn_cast<MapRowsOp>(op))
      if (map.getInput().hasOneUse() && inShared(map.getInput()) &&
          map.getInput().getType() == type &&
          map.getInput().getParentBlock() == map->getBlock()) {
        size_t index = bufferOf[map.getInput()];
        buffers[index].values.push_back(value);
        buffers[index].end = lastUse(value);
        bufferOf[value] = index;
        return;
      }
    bufferOf[value] = buffers.size();
    buffers.push_back(
        {{value}, span[op].first, lastUse(value), SharedLayout(type).bytes()});
  }

  int64_t firstFit(const Buffer &buffer) {
    SmallVector<std::pair<int64_t, int64_t>> taken; // bytes, sorted
    for (Buffer *other : placed)
      if (other->begin <= buffer.end && buffer.begin <= other->end)
        taken.push_back({other->offset, other->offset + other->bytes});
    llvm::sort(taken);
    int64_t offset = firstFree;
    for (auto [begin, end] : taken) {
      if (offset + buffer.bytes <= begin)
        break;
      offset = std::max(offset, int64_t(llvm::alignTo(end, kAlignment)));
    }
    return offset;
  }
};

struct AllocateSharedPass
    : saccade::impl::AllocateSharedPassBase<AllocateSharedPass> {
  using AllocateSharedPassBase::AllocateSharedPassBase;

  void runOnOperation() override {
    EntryOp entry = getOperation();
    int64_t total = SharedAllocator(entry).allocate();
    if (total > limit) {
      entry.emitError("expects at most ")
          << int64_t(limit) << " bytes of shared memory, but its tiles take "
          << total << ": choose fewer rows or keys in the schedule";
      return signalPassFailure();
    }
    entry->setAttr(
        kSharedBytesAttr,
        IntegerAttr::get(IntegerType::get(&getContext(), 64), total));
  }
};
} // namespace
