// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Turns entries of tiles into kernels of threads: types, scalar operations, and
// the pass itself. Patterns for memory, registers and products lie beside it.

#include "lib/Conversion/TileToNvvm.h"
#include "lib/Conversion/Passes.h"
#include "lib/Conversion/TileToNvvmRoles.h"

#include "mlir/Dialect/SCF/Transforms/Patterns.h"

namespace saccade {
#define GEN_PASS_DEF_CONVERTTILETONVVMPASS
#include "lib/Conversion/Passes.h.inc"
} // namespace saccade

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

using LLVM::LLVMPointerType;

//===----------------------------------------------------------------------===//
// What the patterns share
//===----------------------------------------------------------------------===//

static LLVMPointerType pointerTo(MLIRContext *context,
                                 NVVM::NVVMMemorySpace space) {
  return LLVMPointerType::get(context, static_cast<unsigned>(space));
}

TileTypeConverter::TileTypeConverter() {
  addConversion([](Type type) { return type; });
  addConversion([](TileType type) -> Type {
    if (isa_and_present<SharedAttr>(type.getLayout()))
      return IntegerType::get(type.getContext(), 32);
    if (!FragmentLayout::isFragment(type.getLayout()))
      return Type();
    int64_t count = FragmentLayout(type).registers();
    if (isPacked(type))
      return VectorType::get(count / 2,
                             IntegerType::get(type.getContext(), 32));
    return VectorType::get(count, type.getElementType());
  });
  addConversion(
      [this](InflightType type) { return convertType(type.getTile()); });
  addConversion(
      [](PipeType type) { return IntegerType::get(type.getContext(), 32); });
  addConversion([](AddressType type) {
    return pointerTo(type.getContext(), NVVM::NVVMMemorySpace::Global);
  });
  addConversion(
      [](WordsType type) { return LLVMPointerType::get(type.getContext()); });
}

static Scalar threadId(ImplicitLocOpBuilder &b) {
  return {&b, NVVM::ThreadIdXOp::create(b, b.getI32Type())};
}

Thread::Thread(Scalar id)
    : id(id), lane(id % kWarpSize), warp(id / kWarpSize) {}

Thread::Thread(ImplicitLocOpBuilder &b) : Thread(threadId(b)) {}

Thread Thread::local(ImplicitLocOpBuilder &b) {
  Value id =
      assembly(b, b.getI32Type(), "mov.b32 $0, $1;", "=r,r", threadId(b).value)
          .getRes();
  return Thread(Scalar{&b, id});
}

Value saccade::advance(ImplicitLocOpBuilder &b, Value pointer, Value bytes) {
  return LLVM::GEPOp::create(b, pointer.getType(), b.getI8Type(), pointer,
                             ValueRange{bytes});
}

Value saccade::sharedPointer(ImplicitLocOpBuilder &b, Value bytes) {
  Value base = LLVM::AddressOfOp::create(
      b, pointerTo(b.getContext(), NVVM::NVVMMemorySpace::Shared),
      kSharedMemory);
  return advance(b, base, bytes);
}

/// The layout of a type as if its tile lay at byte 0.
static SharedLayout layoutFromZero(TileType type) {
  auto shared = cast<SharedAttr>(type.getLayout());
  return SharedLayout(
      type.withLayout(SharedAttr::get(type.getContext(), shared.getPitch(),
                                      shared.getSwizzle(), /*offset=*/0)));
}

SharedTile::SharedTile(ImplicitLocOpBuilder &b, TileType type, Value base)
    : layout(layoutFromZero(type)),
      base(base ? Scalar{&b, base} : i32(b, SharedLayout(type).getOffset())) {}

Value saccade::element(ImplicitLocOpBuilder &b, Value vector, int64_t i) {
  return b.createOrFold<vector::ExtractOp>(vector, ArrayRef<int64_t>{i});
}

Value saccade::vectorOf(ImplicitLocOpBuilder &b, ValueRange elements) {
  auto type = VectorType::get(elements.size(), elements.front().getType());
  return b.createOrFold<vector::FromElementsOp>(type, elements);
}

Value saccade::bitcast(ImplicitLocOpBuilder &b, Type type, Value value) {
  return type == value.getType() ? value
                                 : LLVM::BitcastOp::create(b, type, value);
}

bool saccade::isPacked(TileType type) {
  return !type.isColumn() &&
         type.getElementType().getIntOrFloatBitWidth() == 16;
}

Value saccade::fragmentElement(ImplicitLocOpBuilder &b, TileType type,
                               Value fragment, int64_t reg) {
  if (!isPacked(type))
    return element(b, fragment, reg);
  Type pair = VectorType::get(2, type.getElementType());
  return element(b, bitcast(b, pair, element(b, fragment, reg / 2)), reg % 2);
}

Value saccade::fragmentPair(ImplicitLocOpBuilder &b, TileType type,
                            Value fragment, int64_t reg) {
  if (isPacked(type))
    return element(b, fragment, reg / 2);
  return vectorOf(b,
                  {element(b, fragment, reg), element(b, fragment, reg + 1)});
}

Value saccade::fragmentOf(ImplicitLocOpBuilder &b, TileType type,
                          ArrayRef<Value> elements) {
  if (!isPacked(type))
    return vectorOf(b, elements);
  SmallVector<Value> words;
  for (size_t i = 0; i < elements.size(); i += 2)
    words.push_back(
        bitcast(b, b.getI32Type(), vectorOf(b, elements.slice(i, 2))));
  return vectorOf(b, words);
}

static Value shuffle(ImplicitLocOpBuilder &b, Value value, Value lane,
                     NVVM::ShflKind kind) {
  return NVVM::ShflOp::create(b, value.getType(), i32(b, -1), value, lane,
                              i32(b, kWarpSize - 1), kind, UnitAttr());
}

Value saccade::shuffleXor(ImplicitLocOpBuilder &b, Value value, int64_t mask) {
  return shuffle(b, value, i32(b, mask), NVVM::ShflKind::bfly);
}

Value saccade::shuffleFrom(ImplicitLocOpBuilder &b, Value value, Value from) {
  return shuffle(b, value, from, NVVM::ShflKind::idx);
}

Value saccade::overRow(ImplicitLocOpBuilder &b, const FragmentLayout &layout,
                       Value part, function_ref<Value(Value, Value)> combine) {
  for (int64_t mask : layout.sharingLanes())
    part = combine(part, shuffleXor(b, part, mask));
  return part;
}

SmallVector<Value> saccade::cloneBody(ImplicitLocOpBuilder &b, Region &body,
                                      ValueRange arguments) {
  IRMapping mapping;
  mapping.map(body.front().getArguments(), arguments);
  for (Operation &op : body.front().without_terminator())
    b.clone(op, mapping);
  return llvm::map_to_vector(
      body.front().getTerminator()->getOperands(),
      [&](Value value) { return mapping.lookupOrDefault(value); });
}

//===----------------------------------------------------------------------===//
// Entries and scalars
//===----------------------------------------------------------------------===//

namespace {
struct LowerEntry : TilePattern<EntryOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(EntryOp entry, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    MLIRContext *context = getContext();
    Type pointer = LLVMPointerType::get(context);
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                            {pointer});
    auto function = LLVM::LLVMFuncOp::create(rewriter, entry.getLoc(),
                                             entry.getSymName(), type);
    function->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                      rewriter.getUnitAttr());
    function->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                      rewriter.getDenseI32ArrayAttr(int32_t(facts.threads())));
    function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                      rewriter.getI32IntegerAttr(1));
    for (NamedAttribute attribute : entry->getDiscardableAttrs())
      function->setAttr(attribute.getName(), attribute.getValue());
    addMaps(function, rewriter);
    // The words come by value, and are read where the driver put them.
    function.setArgAttr(0, LLVM::LLVMDialect::getByValAttrName(),
                        TypeAttr::get(LLVM::LLVMArrayType::get(
                            rewriter.getI64Type(), facts.parameterWords())));
    function.setArgAttr(
        0, LLVM::LLVMDialect::getAlignAttrName(),
        rewriter.getI64IntegerAttr(facts.maps.empty() ? 8 : 64));
    function.setArgAttr(0, NVVM::NVVMDialect::getGridConstantAttrName(),
                        rewriter.getUnitAttr());

    Block &body = entry.getBody().front();
    rewriter.setInsertionPointToEnd(&body);
    LLVM::ReturnOp::create(rewriter, entry.getLoc(), ValueRange());
    rewriter.inlineRegionBefore(entry.getBody(), function.getBody(),
                                function.getBody().end());
    if (failed(rewriter.convertRegionTypes(&function.getBody(),
                                           *getTypeConverter())))
      return failure();
    rewriter.eraseOp(entry);
    return success();
  }

private:
  /// What the runtime has to know to make tensor maps.
  void addMaps(LLVM::LLVMFuncOp function, OpBuilder &builder) const {
    if (facts.maps.empty())
      return;
    function->setAttr(kMapWordAttr, builder.getI64IntegerAttr(facts.mapWord));
    SmallVector<Attribute> maps;
    for (BoxAttr box : facts.maps)
      maps.push_back(builder.getDenseI64ArrayAttr(
          {box.getWord(), box.getHeads(), box.getTokens()}));
    function->setAttr(kTensorMapsAttr, builder.getArrayAttr(maps));
  }
};

struct LowerCta : TilePattern<CtaOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(CtaOp cta, OpAdaptor,
                  ConversionPatternRewriter &rewriter) const override {
    rewriter.replaceOpWithNewOp<NVVM::BlockIdXOp>(cta, rewriter.getI32Type());
    return success();
  }
};

/// Words and tables do not change while a kernel runs, which lets LLVM read
/// them once, and through the non-coherent path.
Value loadInvariant(ImplicitLocOpBuilder &b, Type type, Value pointer) {
  Type read = isa<LLVMPointerType>(type) ? b.getI64Type() : type;
  Value value = LLVM::LoadOp::create(b, read, pointer, /*alignment=*/0,
                                     /*isVolatile=*/false,
                                     /*isNonTemporal=*/false,
                                     /*isInvariant=*/true);
  return read == type ? value : LLVM::IntToPtrOp::create(b, type, value);
}

struct LowerWord : TilePattern<WordOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(WordOp word, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(word.getLoc(), rewriter);
    Value pointer = LLVM::GEPOp::create(
        b, adaptor.getWords().getType(), b.getI64Type(), adaptor.getWords(),
        ArrayRef<LLVM::GEPArg>{int32_t(word.getIndex())});
    rewriter.replaceOp(
        word, loadInvariant(b, getTypeConverter()->convertType(word.getType()),
                            pointer));
    return success();
  }
};

struct LowerLookup : TilePattern<LookupOp> {
  using TilePattern::TilePattern;

  LogicalResult
  matchAndRewrite(LookupOp lookup, OpAdaptor adaptor,
                  ConversionPatternRewriter &rewriter) const override {
    ImplicitLocOpBuilder b(lookup.getLoc(), rewriter);
    Value pointer =
        LLVM::GEPOp::create(b, adaptor.getBase().getType(), lookup.getType(),
                            adaptor.getBase(), ValueRange{adaptor.getOffset()});
    rewriter.replaceOp(lookup, loadInvariant(b, lookup.getType(), pointer));
    return success();
  }
};

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

struct ConvertTileToNvvmPass
    : saccade::impl::ConvertTileToNvvmPassBase<ConvertTileToNvvmPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    for (EntryOp entry : llvm::make_early_inc_range(module.getOps<EntryOp>())) {
      declareSharedMemory(module);
      if (failed(convert(entry)))
        return signalPassFailure();
    }
  }

private:
  /// The memory whose size the launch says. Aligned for every instruction that
  /// will ever read it (TMA's 128-byte swizzle repeats after 1024 bytes).
  void declareSharedMemory(ModuleOp module) {
    if (module.lookupSymbol(kSharedMemory))
      return;
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    auto bytes = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
    LLVM::GlobalOp::create(
        builder, module.getLoc(), bytes, /*isConstant=*/false,
        LLVM::Linkage::External, kSharedMemory, Attribute(), /*alignment=*/1024,
        static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared));
  }

  LogicalResult convert(EntryOp entry) {
    MLIRContext *context = &getContext();
    TileTypeConverter converter;
    RewritePatternSet patterns(context);
    ConversionTarget target(*context);
    target.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    target.addIllegalDialect<TileDialect>();
    EntryFacts facts(entry);
    populateTileScalarPatterns(converter, patterns, facts);
    populateTileMemoryPatterns(converter, patterns, facts);
    populateTileRegisterPatterns(converter, patterns, facts);
    populateTileConvertPatterns(converter, patterns, facts);
    populateTileProductPatterns(converter, patterns, facts);
    populateCombinePatterns(converter, patterns, facts);
    populateRolePatterns(converter, patterns, facts);
    populatePipePatterns(converter, patterns, facts);
    populateAsyncProductPatterns(converter, patterns, facts);
    scf::populateSCFStructuralTypeConversionsAndLegality(converter, patterns,
                                                         target);
    return applyPartialConversion(entry, target, std::move(patterns));
  }
};
} // namespace

void saccade::populateTileScalarPatterns(const TypeConverter &converter,
                                         RewritePatternSet &patterns,
                                         const EntryFacts &facts) {
  patterns.add<LowerEntry, LowerCta, LowerWord, LowerLookup>(
      converter, patterns.getContext(), facts);
}
