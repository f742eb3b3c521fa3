// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What each warp has of the same rows, combined through shared memory: once an
// item, so it has to be quick, and bytes are cheaper than meetings.

#include "lib/Conversion/TileToNvvm.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

namespace {
struct LowerCombine : TilePattern<CombineOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(CombineOp combine, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    TileType from = combine.getInput().getType(), to = combine.getType();
    auto memory = combine->getAttrOfType<IntegerAttr>(kExchangeAttr);
    if (!facts.hasRoles || !memory)
      return combine.emitOpError("expects warps that have roles, and memory to "
                                 "meet in");
    if (!isPrivate(from) || !isDealt(to, from))
      return combine.emitOpError("expects transposed tiles of f32 that each "
                                 "warp has for itself, to be the same or "
                                 "dealt evenly, but got ")
             << from << " and " << to;
    ImplicitLocOpBuilder b(combine.getLoc(), rewriter);
    Exchange exchange(b, combine, facts.warps, memory.getInt());
    auto meet = [&] { facts.meet(b); };
    if (facts.waitsForReaders.contains(combine))
      meet();
    Value result = from.isColumn() ? exchange.column(adaptor.getInput(), meet)
                                   : exchange.tile(adaptor.getInput(), meet);
    rewriter.replaceOp(combine, result);
    return success();
  }

private:
  static bool isPrivate(TileType type) {
    return isa_and_present<AccumulatorAttr, RowsOfAttr>(type.getLayout()) &&
           FragmentLayout::isTransposed(type.getLayout()) &&
           FragmentLayout(type).getWarps() == 1 &&
           type.getElementType().isF32();
  }

  static bool isDealt(TileType to, TileType from) {
    if (from.isColumn())
      return to == from;
    auto layout = dyn_cast_if_present<AccumulatorAttr>(to.getLayout());
    return layout && layout.getTransposed() && !layout.getInterleaved() &&
           ExchangeLayout(from, 1).atoms() % layout.getWarps() == 0;
  }

  /// Writes what the warp has, and reads what all have in the order of warps.
  class Exchange {
  public:
    Exchange(ImplicitLocOpBuilder &b, CombineOp combine, int64_t warps,
             int64_t begin)
        : b(b), combine(combine), warps(warps), begin(begin),
          memory(combine.getInput().getType(), warps),
          from(combine.getInput().getType()), to(combine.getType()),
          thread(Thread::local(b)) {}

    Value column(Value input, function_ref<void()> meet) {
      Scalar firstRow = from.ofLane(thread.lane).row;
      auto pair = VectorType::get(2, b.getF32Type());
      {
        // The first of the lanes that share a row writes it.
        OpBuilder::InsertionGuard guard(b);
        Value isFirst = from.ofLane(thread.lane).column.less(1);
        auto branch = scf::IfOp::create(b, isFirst, false);
        b.setInsertionPointToStart(branch.thenBlock());
        for (int64_t slot = 0; slot < from.rowSlots(); slot += 2)
          store(fragmentPair(b, combine.getInput().getType(), input, slot),
                memory.byteOfRow(thread.warp, firstRow + from.rowOfSlot(slot)));
      }
      meet();
      SmallVector<Value> rows;
      for (int64_t slot = 0; slot < from.rowSlots(); slot += 2)
        append(rows, overWarps(pair, [&](int64_t warp) {
                 return memory.byteOfRow(i32(b, warp),
                                         firstRow + from.rowOfSlot(slot));
               }));
      return vectorOf(b, rows);
    }

    /// Eight rows at a time: the memory holds no more.
    Value tile(Value input, function_ref<void()> meet) {
      auto pair = VectorType::get(2, b.getF32Type());
      auto quad = VectorType::get(4, b.getF32Type());
      bool isInterleaved = FragmentLayout::isInterleaved(
          combine.getInput().getType().getLayout());
      SmallVector<Value> elements(to.registers());
      for (int64_t row = 0; row < from.getRowAtoms(); ++row) {
        if (row > 0)
          meet();
        for (int64_t atom = 0; atom < memory.atoms(); ++atom) {
          SmallVector<Value> four;
          for (int64_t i = 0; i < 4; ++i)
            four.push_back(
                element(b, input, from.registerOf(2 * row, 2 * atom) + i));
          store(vectorOf(b, four),
                memory.byteOfAtom(thread.warp, i32(b, atom), thread.lane));
        }
        meet();
        for (int64_t atom = 0; atom < to.getColumnAtoms() / 2; ++atom) {
          // The atoms that this warp holds of the result.
          Scalar of = i32(b, atom * to.getWarps());
          if (to.getWarps() > 1)
            of = of + thread.warp % to.getWarps();
          SmallVector<Value> four;
          if (isInterleaved)
            for (int64_t half : {0, 1})
              append(four, overWarps(pair, [&](int64_t warp) {
                       return memory.byteOfHalf(i32(b, warp), of, thread.lane,
                                                half);
                     }));
          else
            append(four, overWarps(quad, [&](int64_t warp) {
                     return memory.byteOfAtom(i32(b, warp), of, thread.lane);
                   }));
          llvm::copy(four, elements.begin() + to.registerOf(2 * row, 2 * atom));
        }
      }
      return vectorOf(b, elements);
    }

  private:
    ImplicitLocOpBuilder &b;
    CombineOp combine;
    int64_t warps, begin;
    ExchangeLayout memory;
    FragmentLayout from, to;
    Thread thread;

    void store(Value vector, Scalar byte) {
      LLVM::StoreOp::create(b, vector, sharedPointer(b, byte + begin),
                            bytesOf(vector.getType()));
    }

    /// All is read before anything is added, so that reads run beside each
    /// other.
    Value overWarps(VectorType type, function_ref<Scalar(int64_t)> byteOf) {
      SmallVector<Value> parts;
      for (int64_t warp = 0; warp < warps; ++warp)
        parts.push_back(LLVM::LoadOp::create(
            b, type, sharedPointer(b, byteOf(warp) + begin), bytesOf(type)));
      Value all = parts.front();
      for (Value part : ArrayRef(parts).drop_front())
        all = combine.getKind() == ReduceKind::max
                  ? Value(arith::MaxNumFOp::create(b, all, part))
                  : Value(arith::AddFOp::create(b, all, part));
      return all;
    }

    void append(SmallVector<Value> &values, Value vector) {
      for (int64_t i : llvm::seq(int64_t(bytesOf(vector.getType()) / 4)))
        values.push_back(element(b, vector, i));
    }

    static unsigned bytesOf(Type vector) {
      return cast<VectorType>(vector).getNumElements() * 4;
    }
  };
};
} // namespace

void saccade::populateCombinePatterns(const TypeConverter &converter,
                                      RewritePatternSet &patterns,
                                      const EntryFacts &facts) {
  patterns.add<LowerCombine>(converter, patterns.getContext(), facts);
}
