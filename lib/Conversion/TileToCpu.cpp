// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Entries become functions, tiles become buffers. One walk in program order
// gives every tile a buffer, its operand's own where that dies, and emits the
// loops; then control flow is rebuilt without tiles.

#include "lib/Conversion/AttendEmitter.h"
#include "lib/Conversion/BufferReuse.h"
#include "lib/Conversion/CpuEmitter.h"
#include "lib/Conversion/LiveRows.h"
#include "lib/Conversion/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace saccade {
#define GEN_PASS_DEF_CONVERTTILETOCPUPASS
#include "lib/Conversion/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;

static bool isTile(Value value) { return isa<tile::TileType>(value.getType()); }

namespace {
class EntryLowering {
public:
  EntryLowering(Block &body, int64_t lanes)
      : body(body), e(body, lanes), live(body), ahead(body) {}

  LogicalResult run();

private:
  LogicalResult lower(Block &block);
  LogicalResult lower(Operation *op);
  LogicalResult lowerFor(scf::ForOp op);
  LogicalResult lowerIf(scf::IfOp op);
  LogicalResult lowerMap(tile::MapOp op);
  LogicalResult lowerDot(tile::DotOp op);

  Value rowsOf(Value tile, Operation *at) {
    Value rows = live.get(tile, at);
    auto type = cast<tile::TileType>(tile.getType());
    return rows ? rows : e.i64(type.getRows()).value;
  }
  Value rowsOf(Operation *op) { return rowsOf(op->getResult(0), op); }
  /// The buffer of an operand that the operation may overwrite, or a new one.
  Buffer target(Operation *op, ArrayRef<Value> candidates);
  void finish(Operation *op, const Buffer &buffer) {
    buffers[op->getResult(0)] = buffer;
    done.push_back(op);
  }
  void copyAtYield(Operation *yield, ArrayRef<Value> values,
                   ArrayRef<Buffer> to);
  void removeTiles();

  Block &body;
  CpuEmitter e;
  LiveRows live;
  LoadAhead ahead;
  DenseMap<Value, Buffer> buffers;
  SmallVector<Operation *> done; ///< lowered tile operations, in order
  SmallVector<Operation *> flow; ///< control flow that carries tiles
};
} // namespace

LogicalResult EntryLowering::run() {
  if (failed(lower(body)))
    return failure();
  removeTiles();
  return success();
}

LogicalResult EntryLowering::lower(Block &block) {
  for (Operation &op : llvm::make_early_inc_range(block)) {
    e.b.setInsertionPoint(&op);
    e.b.setLoc(op.getLoc());
    if (failed(lower(&op)))
      return failure();
  }
  return success();
}

LogicalResult EntryLowering::lower(Operation *op) {
  return TypeSwitch<Operation *, LogicalResult>(op)
      .Case([&](scf::ForOp loop) { return lowerFor(loop); })
      .Case([&](scf::IfOp branch) { return lowerIf(branch); })
      .Case([&](tile::MapOp map) { return lowerMap(map); })
      .Case([&](tile::FillOp fill) {
        Buffer to = e.allocate(fill.getType());
        e.fill(to, fill.getValue(), rowsOf(op));
        finish(op, to);
        return success();
      })
      .Case([&](tile::LoadOp load) {
        tile::TileType type = load.getType();
        bool transposed = llvm::all_of(op->getUsers(), [&](Operation *user) {
          auto dot = dyn_cast<tile::DotOp>(user);
          return dot && dot.getTransposed() &&
                 dot.getLhs() != load.getResult() &&
                 dot.getAccumulator() != load.getResult();
        });
        Buffer to =
            transposed ? e.allocateTransposed(type.getRows(), type.getColumns())
                       : e.allocate(type);
        e.loadTile(load, to, rowsOf(op));
        finish(op, to);
        return success();
      })
      .Case([&](tile::StoreOp store) {
        e.storeTile(store, buffers.lookup(store.getTile()),
                    rowsOf(store.getTile(), op));
        done.push_back(op);
        return success();
      })
      .Case([&](tile::MapRowsOp map) {
        Buffer from = buffers.lookup(map.getInput());
        Buffer to = target(op, {map.getInput()});
        e.mapRows(map, from, to, rowsOf(op));
        finish(op, to);
        return success();
      })
      .Case([&](tile::ReduceOp reduce) {
        Buffer to = e.allocate(reduce.getType());
        e.reduce(reduce.getKind(), buffers.lookup(reduce.getInput()), to,
                 rowsOf(op));
        finish(op, to);
        return success();
      })
      .Case([&](tile::DotOp dot) { return lowerDot(dot); })
      .Case([&](tile::ConvertOp convert) {
        Buffer from = buffers.lookup(convert.getInput());
        Buffer to = target(op, {convert.getInput()});
        if (to.pointer != from.pointer)
          e.copy(from, to, rowsOf(op));
        finish(op, to);
        return success();
      })
      .Case([&](tile::ArriveOp arrive) {
        arrive.getLast().replaceAllUsesWith(e.arrive(arrive));
        done.push_back(op);
        return success();
      })
      .Default([&](Operation *other) -> LogicalResult {
        if (isa<tile::LookupOp, scf::YieldOp>(other) ||
            (llvm::none_of(other->getOperands(), isTile) &&
             llvm::none_of(other->getResults(), isTile) &&
             !isa<tile::TileDialect>(other->getDialect())))
          return success();
        return other->emitOpError("expects an operation on tiles that the CPU "
                                  "has a lowering for");
      });
}

Buffer EntryLowering::target(Operation *op, ArrayRef<Value> candidates) {
  Buffer fresh; // only its shape, so far
  auto type = cast<tile::TileType>(op->getResult(0).getType());
  fresh.rows = type.getRows();
  fresh.columns = type.getColumns();
  for (Value candidate : candidates) {
    const Buffer &own = buffers.find(candidate)->second;
    if (own.sameShape(fresh) && diesAt(candidate, op))
      return own;
  }
  return e.allocate(type);
}

LogicalResult EntryLowering::lowerMap(tile::MapOp op) {
  SmallVector<Value> inputs(op.getInputs());
  SmallVector<Buffer> from;
  for (Value input : inputs)
    from.push_back(buffers.lookup(input));
  Buffer to = target(op, inputs);
  if (failed(e.map(op, from, to, rowsOf(op))))
    return failure();
  finish(op, to);
  return success();
}

LogicalResult EntryLowering::lowerDot(tile::DotOp op) {
  if (op.getType().isColumn())
    return op.emitOpError("expects a product of at least 2 columns on the CPU");
  Value rows = rowsOf(op);
  Buffer rhs = buffers.lookup(op.getRhs());
  if (op.getTransposed() && !rhs.transposed)
    rhs = e.transpose(rhs);
  Value accumulator = op.getAccumulator();
  Buffer to;
  if (accumulator && accumulator != op.getLhs() && accumulator != op.getRhs()) {
    to = target(op, {accumulator});
  } else {
    to = e.allocate(op.getType());
  }
  if (accumulator && to.pointer != buffers.lookup(accumulator).pointer)
    e.copy(buffers.lookup(accumulator), to, rows);
  e.dot(buffers.lookup(op.getLhs()), rhs, to, bool(accumulator), rows,
        ahead.at(op, e.b));
  finish(op, to);
  return success();
}

//===----------------------------------------------------------------------===//
// Control flow
//===----------------------------------------------------------------------===//

/// Moves yielded tiles to where they are expected. All are read before any is
/// overwritten: a loop may exchange two of its tiles.
void EntryLowering::copyAtYield(Operation *yield, ArrayRef<Value> values,
                                ArrayRef<Buffer> to) {
  e.b.setInsertionPoint(yield);
  SmallVector<Buffer> from;
  for (auto [value, target] : llvm::zip_equal(values, to)) {
    Buffer source = buffers.lookup(value);
    bool overwritten = llvm::any_of(to, [&](const Buffer &other) {
      return other.pointer == source.pointer && other.pointer != target.pointer;
    });
    if (overwritten) {
      Buffer saved = e.allocate(source.rows, source.columns);
      e.copy(source, saved, rowsOf(value, yield));
      source = saved;
    }
    from.push_back(source);
  }
  for (auto [value, source, target] : llvm::zip_equal(values, from, to))
    if (source.pointer != target.pointer)
      e.copy(source, target, rowsOf(value, yield));
}

LogicalResult EntryLowering::lowerFor(scf::ForOp op) {
  SmallVector<Buffer> carried;
  SmallVector<Value> yielded;
  for (auto [init, argument, result, value] :
       llvm::zip_equal(op.getInitArgs(), op.getRegionIterArgs(),
                       op.getResults(), op.getYieldedValues())) {
    if (!isTile(init))
      continue;
    Buffer own = buffers.lookup(init);
    bool taken = llvm::any_of(carried, [&](const Buffer &other) {
      return other.pointer == own.pointer;
    });
    if (taken || own.transposed || !diesAt(init, op)) {
      Buffer fresh = e.allocate(cast<tile::TileType>(init.getType()));
      e.copy(own, fresh, rowsOf(init, op));
      own = fresh;
    }
    carried.push_back(own);
    yielded.push_back(value);
    buffers[argument] = buffers[result] = own;
  }
  if (failed(lower(*op.getBody())))
    return failure();
  copyAtYield(op.getBody()->getTerminator(), yielded, carried);
  if (!carried.empty())
    flow.push_back(op);
  return success();
}

LogicalResult EntryLowering::lowerIf(scf::IfOp op) {
  for (Region &region : op->getRegions())
    if (!region.empty() && failed(lower(region.front())))
      return failure();
  if (llvm::none_of(op.getResults(), isTile))
    return success();

  SmallVector<Buffer> results;
  SmallVector<Value> thenValues, elseValues;
  for (auto [index, result] : llvm::enumerate(op.getResults())) {
    if (!isTile(result))
      continue;
    // The result lies where a branch leaves it, if that is free from then on.
    Buffer to;
    for (scf::YieldOp yield : {op.elseYield(), op.thenYield()}) {
      Value value = yield.getOperand(index);
      Buffer own = buffers.lookup(value);
      if (!to.pointer && !own.transposed && diesAt(value, yield) &&
          llvm::none_of(results, [&](const Buffer &other) {
            return other.pointer == own.pointer;
          }))
        to = own;
    }
    if (!to.pointer)
      to = e.allocate(cast<tile::TileType>(result.getType()));
    results.push_back(to);
    thenValues.push_back(op.thenYield().getOperand(index));
    elseValues.push_back(op.elseYield().getOperand(index));
    buffers[result] = to;
  }
  copyAtYield(op.thenYield(), thenValues, results);
  copyAtYield(op.elseYield(), elseValues, results);
  flow.push_back(op);
  return success();
}

/// Drops tile operations, and tiles from the signatures of loops and branches.
void EntryLowering::removeTiles() {
  for (Operation *op : done)
    op->dropAllReferences();
  for (Operation *op : flow) {
    for (Region &region : op->getRegions()) {
      Operation *yield = region.front().getTerminator();
      SmallVector<Value> kept;
      llvm::copy_if(yield->getOperands(), std::back_inserter(kept),
                    [](Value value) { return !isTile(value); });
      yield->setOperands(kept);
    }
  }
  // Inner ones come first in the list; their outer ones are rebuilt after them.
  for (Operation *op : flow) {
    e.b.setInsertionPoint(op);
    e.b.setLoc(op->getLoc());
    Operation *fresh;
    if (auto loop = dyn_cast<scf::ForOp>(op)) {
      SmallVector<Value> inits;
      llvm::copy_if(loop.getInitArgs(), std::back_inserter(inits),
                    [](Value value) { return !isTile(value); });
      auto next =
          scf::ForOp::create(e.b, loop.getLowerBound(), loop.getUpperBound(),
                             loop.getStep(), inits);
      next.getRegion().takeBody(loop.getRegion());
      Block *block = next.getBody();
      block->eraseArguments([](BlockArgument a) { return isTile(a); });
      fresh = next;
    } else {
      auto branch = cast<scf::IfOp>(op);
      SmallVector<Type> types;
      llvm::copy_if(op->getResultTypes(), std::back_inserter(types),
                    [](Type type) { return !isa<tile::TileType>(type); });
      auto next = scf::IfOp::create(e.b, types, branch.getCondition(),
                                    /*addThenBlock=*/false,
                                    /*addElseBlock=*/false);
      next.getThenRegion().takeBody(branch.getThenRegion());
      next.getElseRegion().takeBody(branch.getElseRegion());
      fresh = next;
    }
    unsigned index = 0;
    for (Value result : op->getResults())
      if (!isTile(result))
        result.replaceAllUsesWith(fresh->getResult(index++));
    op->dropAllReferences();
  }
  for (Operation *op : flow) {
    op->dropAllUses();
    op->erase();
  }
  for (Operation *op : llvm::reverse(done)) {
    op->dropAllUses();
    op->erase();
  }
}

//===----------------------------------------------------------------------===//
// Entries
//===----------------------------------------------------------------------===//

/// Argument words are constant while a kernel runs: each is read once, first of
/// all, so that addresses may be computed anywhere.
static void lowerWords(Block &body, Value words, Value cta) {
  auto pointer = LLVM::LLVMPointerType::get(words.getContext());
  auto b = ImplicitLocOpBuilder::atBlockBegin(words.getLoc(), &body);
  DenseMap<std::pair<int64_t, Type>, Value> known;
  body.walk([&](Operation *op) {
    if (isa<tile::CtaOp>(op)) {
      op->getResult(0).replaceAllUsesWith(cta);
      op->erase();
    } else if (auto word = dyn_cast<tile::WordOp>(op)) {
      Type type = word.getResult().getType();
      if (isa<tile::AddressType>(type))
        type = pointer;
      Value &value = known[{word.getIndex(), type}];
      if (!value) {
        // Each time anew: the operation that came first may be gone.
        b.setInsertionPointToStart(&body);
        Value address = LLVM::GEPOp::create(
            b, pointer, b.getI64Type(), words,
            LLVM::GEPArg(static_cast<int32_t>(word.getIndex())));
        value = LLVM::LoadOp::create(b, type, address, /*alignment=*/8,
                                     /*isVolatile=*/false,
                                     /*isNonTemporal=*/false,
                                     /*isInvariant=*/true);
      }
      op->getResult(0).replaceAllUsesWith(value);
      op->erase();
    }
  });
}

static void lowerLookups(Block &body) {
  body.walk([&](tile::LookupOp op) {
    ImplicitLocOpBuilder b(op.getLoc(), op);
    Type type = op.getResult().getType();
    Value address =
        LLVM::GEPOp::create(b, LLVM::LLVMPointerType::get(b.getContext()), type,
                            op->getOperand(0), ValueRange{op->getOperand(1)});
    Value value = LLVM::LoadOp::create(
        b, type, address, std::max(1u, type.getIntOrFloatBitWidth() / 8),
        /*isVolatile=*/false, /*isNonTemporal=*/false, /*isInvariant=*/true);
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  });
}

/// On the CPU it does not pay to know that most factors are 1.
static void expandScales(tile::EntryOp entry) {
  entry.walk([](tile::ScaleRowsOp scale) {
    ImplicitLocOpBuilder b(scale.getLoc(), scale);
    Value map = emitMap(
        b, scale.getType(), {scale.getInput(), scale.getFactors()},
        [](ImplicitLocOpBuilder &b, ValueRange x, Scalar, Scalar) -> Value {
          return arith::MulFOp::create(b, x[0], x[1]);
        });
    scale.replaceAllUsesWith(map);
    scale.erase();
  });
}

static LogicalResult lowerEntry(tile::EntryOp entry, int64_t lanes) {
  expandScales(entry);
  OpBuilder builder(entry);
  auto pointer = LLVM::LLVMPointerType::get(entry.getContext());
  auto type = builder.getFunctionType({pointer, builder.getI32Type()}, {});
  auto function =
      func::FuncOp::create(builder, entry.getLoc(), entry.getSymName(), type);
  function.getBody().takeBody(entry.getBody());
  Block &body = function.getBody().front();
  Value words = body.addArgument(pointer, entry.getLoc());
  Value cta = body.addArgument(builder.getI32Type(), entry.getLoc());
  builder.setInsertionPointToEnd(&body);
  func::ReturnOp::create(builder, entry.getLoc());
  entry.erase();

  lowerWords(body, words, cta);
  body.eraseArgument(0);
  EntryLowering lowering(body, lanes);
  if (failed(lowering.run()))
    return failure();
  lowerLookups(body);
  return success();
}

namespace {
struct ConvertTileToCpu
    : saccade::impl::ConvertTileToCpuPassBase<ConvertTileToCpu> {
  using ConvertTileToCpuPassBase::ConvertTileToCpuPassBase;

  void runOnOperation() override {
    if (lanes != 4 && lanes != 8 && lanes != 16) {
      getOperation().emitError("expects lanes to be 4, 8 or 16, but got ")
          << lanes;
      return signalPassFailure();
    }
    for (tile::EntryOp entry :
         llvm::make_early_inc_range(getOperation().getOps<tile::EntryOp>()))
      if (failed(lowerEntry(entry, lanes)))
        return signalPassFailure();
  }
};
} // namespace
