// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns kernels into tile entries. This file only says which operation becomes
// what; the emitters beside it hold the arithmetic.

#include "lib/Conversion/AppendEmitter.h"
#include "lib/Conversion/AttendEmitter.h"
#include "lib/Conversion/Passes.h"
#include "lib/Transforms/DecodeModel.h"

#include "llvm/ADT/TypeSwitch.h"

namespace saccade {
#define GEN_PASS_DEF_CONVERTATTNTOTILEPASS
#include "lib/Conversion/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

namespace {
/// Starts an entry; leaves the builder in the body of its item loop.
struct EntryBody {
  Value words;
  ValueRange item;
};
} // namespace

static EntryBody startEntry(ImplicitLocOpBuilder &b, StringRef name,
                            tile::EntryKind kind, tile::ItemsAttr items,
                            tile::ScheduleAttr schedule) {
  auto entry = tile::EntryOp::create(b, name, kind, items, schedule);
  Block *body =
      b.createBlock(&entry.getBody(), {},
                    {tile::WordsType::get(b.getContext())}, {b.getLoc()});
  auto loop = tile::ForEachItemOp::create(b, body->getArgument(0));
  SmallVector<Type> fields(7, b.getI32Type());
  SmallVector<Location> locations(fields.size(), b.getLoc());
  Block *block = b.createBlock(&loop.getBody(), {}, fields, locations);
  return {body->getArgument(0), block->getArguments()};
}

/// For rows that are only moved: no roles are needed, and nothing is split.
static tile::ScheduleAttr withoutRoles(tile::ScheduleAttr schedule) {
  bool roles = bool(schedule.getPipeline());
  return tile::ScheduleAttr::get(
      schedule.getContext(), roles ? 64 : schedule.getRows(),
      roles ? 64 : schedule.getKeys(), roles ? 4 : schedule.getWarps(),
      schedule.getWeights());
}

static void convertAppend(ImplicitLocOpBuilder &b, StringRef name,
                          attn::AppendOp append, const KernelWords &kernelWords,
                          tile::ScheduleAttr schedule) {
  OpBuilder::InsertionGuard guard(b);
  attn::LayoutType cache = append.getCache().getType();
  schedule = withoutRoles(schedule);
  auto items =
      tile::ItemsAttr::get(b.getContext(), schedule.getRows(), /*group=*/1,
                           cache.getHeads(), schedule.getKeys(),
                           /*row_block=*/0);
  EntryBody body =
      startEntry(b, name, tile::EntryKind::append, items, schedule);
  ItemScope item(b, body.words, body.item, /*group=*/1, cache.getHeads());
  emitAppend(b, item, kernelWords, schedule.getRows(), append);
}

/// Rows that no item may straddle: the row blocks of the block-sparse caches.
static int64_t rowBlock(attn::KernelOp kernel, int64_t group) {
  int64_t block = 0;
  for (BlockArgument cache : kernel.getCaches())
    if (auto sparse = dyn_cast<attn::BlockSparseType>(cache.getType()))
      block = std::gcd(block, sparse.getBlockRows() * group);
  return block;
}

/// Finishes the states of an item that may hold a part of the keys: with all of
/// them, and at the item that has them all.
static void finishParts(
    ImplicitLocOpBuilder &b, AttendEmitter &emitter,
    ArrayRef<attn::FinishOp> finishes, const DenseMap<Value, TileState> &states,
    llvm::function_ref<void(attn::FinishOp, const TileState &)> finish) {
  llvm::SmallSetVector<Value, 2> finished;
  for (attn::FinishOp op : finishes)
    finished.insert(op.getState());
  SmallVector<TileState> own;
  for (Value state : finished)
    own.push_back(states.lookup(state));
  auto [whole, isWhole] = emitter.joinParts(b, own);
  b.getInsertionBlock()
      ->getParentOp()
      ->getParentOfType<tile::EntryOp>()
      ->setAttr(tile::kPartialFloatsAttr,
                b.getI64IntegerAttr(AttendEmitter::partialFloats(own)));
  auto branch = scf::IfOp::create(b, isWhole, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  for (attn::FinishOp op : finishes) {
    auto place = llvm::find(finished, op.getState()) - finished.begin();
    finish(op, whole[place]);
  }
}

/// Of a query tile: boxes of tensor maps hold whole tokens.
static int64_t rowsOfItem(tile::ScheduleAttr schedule, int64_t group) {
  int64_t rows = schedule.getRows();
  return schedule.getPipeline() ? rows / group * group : rows;
}

/// What a kernel computes with rows, in the body of an entry.
static void convertRows(ImplicitLocOpBuilder &b, attn::KernelOp kernel,
                        const KernelWords &kernelWords, AttendEmitter &emitter,
                        bool splits) {
  // The word of a computed value: where attn.return hands it out.
  auto resultWord = [&](Value value) -> std::optional<int64_t> {
    for (auto [index, operand] :
         llvm::enumerate(kernel.getReturn()->getOperands()))
      if (operand == value)
        return kernelWords.ofResult(index);
    return std::nullopt;
  };

  auto finish = [&](attn::FinishOp finish, const TileState &state) {
    b.setLoc(finish.getLoc());
    emitter.finish(b, finish, state, resultWord(finish.getOutput()),
                   finish.getLse() ? resultWord(finish.getLse())
                                   : std::nullopt);
  };

  DenseMap<Value, TileState> states;
  // States are used once. Resumed ones are read where that is: before, they
  // would wait in registers while caches are folded.
  auto stateOf = [&](Value value) {
    if (auto resume = value.getDefiningOp<attn::ResumeOp>())
      return emitter.resume(b, resume);
    return states.lookup(value);
  };
  SmallVector<attn::FinishOp> finishes;
  for (Operation &op : kernel.getBody().front()) {
    b.setLoc(op.getLoc());
    llvm::TypeSwitch<Operation *>(&op)
        .Case([&](attn::AttendOp attend) {
          states[attend.getState()] = emitter.fold(b, attend);
        })
        .Case([&](attn::MergeOp merge) {
          TileState lhs = stateOf(merge.getLhs());
          TileState rhs = stateOf(merge.getRhs());
          states[merge.getResult()] = emitter.merge(b, lhs, rhs);
        })
        .Case([&](attn::FinishOp op) {
          TileState state = stateOf(op.getState());
          if (!splits)
            return finish(op, state);
          states[op.getState()] = state;
          finishes.push_back(op);
        })
        .Case([&](attn::MapRowsOp map) {
          emitter.mapRows(b, map, *resultWord(map.getOutput()));
        });
  }
  if (!finishes.empty())
    finishParts(b, emitter, finishes, states, finish);
}

/// Converts all attends of a kernel, and what goes with them, to one entry.
static tile::EntryOp convertAttends(ImplicitLocOpBuilder &b, StringRef name,
                                    attn::KernelOp kernel,
                                    const KernelWords &kernelWords,
                                    tile::ScheduleAttr schedule) {
  auto attends = kernel.getBody().getOps<attn::AttendOp>();
  OpBuilder::InsertionGuard guard(b);
  attn::AttendOp first = *attends.begin();
  int64_t queryHeads = first.getQuery().getType().getHeads();
  int64_t heads = first.getCache().getType().getHeads();
  int64_t group = first.getGroup();
  auto items =
      tile::ItemsAttr::get(b.getContext(), rowsOfItem(schedule, group), group,
                           heads, schedule.getKeys(), rowBlock(kernel, group));
  EntryBody body =
      startEntry(b, name, tile::EntryKind::attend, items, schedule);
  auto entry =
      b.getInsertionBlock()->getParentOp()->getParentOfType<tile::EntryOp>();
  entry->setAttr(tile::kWordsAttr, b.getI64IntegerAttr(kernelWords.size()));
  ItemScope item(b, body.words, body.item, group, queryHeads);
  AttendEmitter emitter(item, kernelWords, schedule, /*folds=*/true);
  if (schedule.getSplits())
    emitter.readPart(b);
  convertRows(b, kernel, kernelWords, emitter, schedule.getSplits());
  return entry;
}

/// Converts what a kernel that attends to nothing computes with rows to one
/// entry, whose items are tokens of one head.
static void convertTokens(ImplicitLocOpBuilder &b, StringRef name,
                          attn::KernelOp kernel, attn::LayoutType tokens,
                          const KernelWords &kernelWords,
                          tile::ScheduleAttr schedule) {
  OpBuilder::InsertionGuard guard(b);
  schedule = withoutRoles(schedule);
  auto items = tile::ItemsAttr::get(b.getContext(), schedule.getRows(),
                                    /*group=*/1, tokens.getHeads(),
                                    schedule.getKeys(), /*row_block=*/0);
  EntryBody body = startEntry(b, name, tile::EntryKind::rows, items, schedule);
  ItemScope item(b, body.words, body.item, /*group=*/1, tokens.getHeads());
  AttendEmitter emitter(item, kernelWords, schedule, /*folds=*/false);
  convertRows(b, kernel, kernelWords, emitter, /*splits=*/false);
}

namespace {
struct ConvertAttnToTile
    : saccade::impl::ConvertAttnToTilePassBase<ConvertAttnToTile> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (auto kernel :
         llvm::make_early_inc_range(module.getOps<attn::KernelOp>()))
      if (failed(convert(kernel)))
        return signalPassFailure();
    for (auto variant :
         llvm::make_early_inc_range(module.getOps<attn::VariantOp>()))
      variant.erase();
  }

  LogicalResult convert(attn::KernelOp kernel) {
    auto schedule =
        dyn_cast_or_null<tile::ScheduleAttr>(kernel.getScheduleAttr());
    if (!schedule)
      return kernel.emitOpError()
             << "expects a schedule; run -attn-choose-schedule first";
    KernelWords kernelWords(kernel);
    ImplicitLocOpBuilder b(kernel.getLoc(), kernel);
    int count = 0;
    for (auto append : kernel.getBody().getOps<attn::AppendOp>()) {
      std::string name = (kernel.getSymName() + "_append").str();
      if (count++)
        name += std::to_string(count);
      convertAppend(b, name, append, kernelWords, schedule);
    }
    auto attends = kernel.getBody().getOps<attn::AttendOp>();
    if (!attends.empty() &&
        failed(convertAll(b, kernel, *attends.begin(), kernelWords, schedule)))
      return failure();
    if (attends.empty())
      if (Value rows = firstRows(kernel))
        convertTokens(b, kernel.getSymName(), kernel,
                      cast<attn::LayoutType>(rows.getType()), kernelWords,
                      schedule);
    kernel.erase();
    return success();
  }

  /// What the first operation on rows computes with, null if there is none.
  static Value firstRows(attn::KernelOp kernel) {
    for (Operation &op : kernel.getBody().front())
      if (Value rows = attn::KernelOp::getRows(&op))
        return rows;
    return {};
  }

  /// One entry for all requests, or two: for those of many rows, and of few.
  LogicalResult convertAll(ImplicitLocOpBuilder &b, attn::KernelOp kernel,
                           attn::AttendOp first, const KernelWords &kernelWords,
                           tile::ScheduleAttr schedule) {
    Attribute given = kernel->getAttr(kFewRowsScheduleAttr);
    auto few = dyn_cast_or_null<tile::ScheduleAttr>(given);
    if (given && !few)
      return kernel.emitOpError("expects '")
             << kFewRowsScheduleAttr << "' to be a #tile.schedule, but got "
             << given;
    StringRef name = kernel.getSymName();
    tile::EntryOp entry =
        convertAttends(b, name, kernel, kernelWords, schedule);
    if (!few)
      return success();
    int64_t most = kMostRowTiles * rowsOfItem(few, first.getGroup());
    entry->setAttr(kLeastRowsAttr, b.getI64IntegerAttr(most + 1));
    b.setLoc(kernel.getLoc());
    entry = convertAttends(b, (name + "_few").str(), kernel, kernelWords, few);
    entry->setAttr(kMostRowsAttr, b.getI64IntegerAttr(most));
    entry->setAttr(kBesideAttr, FlatSymbolRefAttr::get(b.getContext(), name));
    return success();
  }
};
} // namespace
