// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The addresses of ldmatrix, lane by lane (PTX ISA, "ldmatrix").

#include "lib/Conversion/MatrixReader.h"
#include "lib/Conversion/TileToNvvmRoles.h"

using namespace mlir;
using namespace saccade;
using namespace saccade::tile;

static Quad loadMatrices(ImplicitLocOpBuilder &b, Value pointer,
                         int64_t matrices, MatrixUse use) {
  Type word = b.getI32Type();
  auto words = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(matrices, word));
  auto layout =
      isTransposing(use) ? NVVM::MMALayout::col : NVVM::MMALayout::row;
  Value read = NVVM::LdMatrixOp::create(
      b, words, pointer, b.getI32IntegerAttr(matrices),
      NVVM::MMALayoutAttr::get(b.getContext(), layout),
      NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
      NVVM::LdStMatrixEltTypeAttr::get(b.getContext(),
                                       NVVM::LdStMatrixEltType::B16));
  Quad quad;
  for (int64_t i = 0; i < matrices; ++i)
    quad.push_back(LLVM::ExtractValueOp::create(b, read, i));
  return quad;
}

MatrixReader::MatrixReader(ImplicitLocOpBuilder &b, TileType type, Value base,
                           MatrixUse use)
    : b(b), shared(b, type, base), use(use),
      lane(ldmatrixRow(use, Thread(b).lane)) {}

Quad MatrixReader::read(Scalar row, int64_t column) {
  Scalar chunk = lane.column + column / shared.layout.elementsPerChunk();
  return loadMatrices(b, shared.chunk(b, row + lane.row, chunk), 4, use);
}

bool PanelReader::takes(TileType type) {
  auto shared = dyn_cast_if_present<SharedAttr>(type.getLayout());
  return shared && shared.getSwizzle() == 8 &&
         SharedLayout(type).pitch() == 128;
}

PanelReader::PanelReader(ImplicitLocOpBuilder &b, TileType type, Value base,
                         MatrixUse use)
    : b(b), layout(type), use(use), address(i32(b, 0)) {
  SharedTile tile(b, type, base);
  Scalar lane = Thread(b).lane;
  Place<Scalar> place = ldmatrixRow(use, lane);
  Scalar byte = tile.base + layout.byteInPanel(place.row, place.column);
  if (use == MatrixUse::RightInterleaved)
    byte = byte + byteInChunk(lane);
  address = sharedAddress(b, byte);
}

Value PanelReader::pointerTo(int64_t row, int64_t column) {
  int64_t columnBytes = kChunkBytes / layout.elementsPerChunk();
  int64_t chunk = column % layout.panelColumns() * columnBytes;
  Value at = chunk ? Value(address ^ i32(b, chunk)) : Value(address);
  auto shared = LLVM::LLVMPointerType::get(
      b.getContext(), static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared));
  Value pointer = LLVM::IntToPtrOp::create(b, shared, at);
  int64_t further = column / layout.panelColumns() * layout.panelBytes() +
                    row * layout.pitch();
  if (further)
    pointer = advance(b, pointer, i32(b, further));
  return pointer;
}

Quad PanelReader::read(int64_t row, int64_t column, int64_t matrices) {
  return loadMatrices(b, pointerTo(row, column), matrices, use);
}

SmallVector<Value, 2> PanelReader::readByLane(int64_t row, int64_t column) {
  auto pair = VectorType::get(2, b.getI32Type());
  Value words = LLVM::LoadOp::create(b, pair, pointerTo(row, column),
                                     /*alignment=*/8);
  return {element(b, words, 0), element(b, words, 1)};
}
