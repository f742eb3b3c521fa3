// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Emits the address arithmetic of cache layouts. Page and block ids are clamped
// and indices stay inside the request's list, so whatever a table holds, no
// read leaves the cache.

#include "lib/Conversion/CacheWalk.h"

#include "dialects/Tile/Tile.h"
#include "include/saccade/KernelABI.h"
#include "lib/Transforms/TileBounds.h"

#include "llvm/ADT/TypeSwitch.h"

#include <numeric>

using namespace mlir;
using namespace saccade;

CacheWalk::CacheWalk(ImplicitLocOpBuilder &b, const ItemScope &item,
                     attn::LayoutType type, int64_t firstWord, int64_t tileKeys)
    : item(item), type(type), firstWord(firstWord), tileKeys(tileKeys) {
  Value segments =
      readAddress(b, item.words, firstWord + SACCADE_CACHE_SEGMENTS);
  auto field = [&](size_t offset, Type fieldType) {
    return lookupField(b, segments, item.in(b).request, sizeof(SaccadeSegment),
                       offset, fieldType);
  };
  segmentBase = field(offsetof(SaccadeSegment, base), b.getI64Type());
  start = field(offsetof(SaccadeSegment, start), b.getI32Type());
  length = field(offsetof(SaccadeSegment, len), b.getI32Type());
  rows = length;

  auto sparse = dyn_cast<attn::BlockSparseType>(type);
  if (!sparse)
    return;
  Scalar firstBlock = field(offsetof(SaccadeSegment, blocks), b.getI64Type());
  Scalar rowBlock =
      firstBlock +
      (item.in(b).rowBegin / (sparse.getBlockRows() * item.group)).wide();
  Value pointers =
      readAddress(b, item.words, firstWord + SACCADE_CACHE_BLOCK_ROWS);
  Scalar begin = lookup(b, pointers, rowBlock, b.getI32Type());
  Scalar end = lookup(b, pointers, rowBlock + 1, b.getI32Type());
  listBegin = begin.wide();
  rows = (end - begin).max(0) * sparse.getBlockColumns();
}

//===----------------------------------------------------------------------===//
// Which tiles
//===----------------------------------------------------------------------===//

CacheWalk::Visit CacheWalk::visit(ImplicitLocOpBuilder &b, ValueRange bounds,
                                  bool unmasked) const {
  // The item's range of the positions of this cache.
  Scalar end = in(b, start) + length;
  Scalar lo = item.in(b).kvBegin.max(start).min(end);
  Scalar hi = item.in(b).kvEnd.max(lo).min(end);
  SmallVector<KeyRange> ranges;
  for (size_t i = 0; i < bounds.size(); i += 4)
    ranges.push_back({bounds[i], bounds[i + 1], bounds[i + 2], bounds[i + 3]});
  if (ranges.empty())
    ranges.push_back({lo, hi, unmasked ? lo : hi, hi});
  TileVisit tiles(b, b.getLoc(), ranges, lo, hi, tileKeys, start);

  auto sparse = dyn_cast<attn::BlockSparseType>(type);
  int64_t keys = tileKeys;
  Visit visit;
  if (sparse) {
    visit.count = (rows + (keys - 1)) / keys;
    visit.tileAt = [](ImplicitLocOpBuilder &, Scalar i) { return i; };
  } else {
    visit.count = {&b, tiles.getCount()};
    visit.tileAt = [tiles](ImplicitLocOpBuilder &b, Scalar i) -> Scalar {
      return {&b, tiles.emitTile(b, b.getLoc(), i)};
    };
  }
  CacheWalk walk = *this;
  visit.isFull = [tiles, keys, sparse, walk, unmasked](ImplicitLocOpBuilder &b,
                                                       Scalar tile) -> Value {
    if (!sparse)
      return tiles.emitIsFull(b, b.getLoc(), tile * keys);
    if (sparse.getBlockColumns() % keys != 0)
      return yes(b, false); // a tile may span key blocks far apart
    auto find = [&](ImplicitLocOpBuilder &b) -> Scalar {
      Scalar first = walk.blockSparseKey(b, in(b, tile) * keys);
      return {&b, tiles.emitIsFull(b, b.getLoc(), first)};
    };
    // Without a mask, only the block at the sequence's end is not full.
    return unmasked ? walk.ifBlocksAreWhole(b, yes(b), find) : find(b);
  };
  return visit;
}

//===----------------------------------------------------------------------===//
// Where rows lie
//===----------------------------------------------------------------------===//

Scalar CacheWalk::inTable(ImplicitLocOpBuilder &b, Scalar entry) const {
  Value indices = readAddress(b, item.words, firstWord + SACCADE_CACHE_INDICES);
  return lookup(b, indices, entry, b.getI32Type());
}

/// The key (local position) of place `j` in the list of key blocks; `j` is
/// brought into the list first.
Scalar CacheWalk::blockSparseKey(ImplicitLocOpBuilder &b, Scalar j) const {
  int64_t columns = cast<attn::BlockSparseType>(type).getBlockColumns();
  Scalar place = inside(b, j);
  Scalar block = inTable(b, in(b, listBegin) + (place / columns).wide());
  // A block past the sequence has no keys; its id must not overflow.
  Scalar clamped = block.max(0).min(in(b, length) / columns);
  return clamped * columns + place % columns;
}

std::pair<Scalar, Scalar> CacheWalk::position(ImplicitLocOpBuilder &b,
                                              Scalar j) const {
  if (isa<attn::BlockSparseType>(type)) {
    Scalar key = blockSparseKey(b, j);
    return {key + start, j.less(rows) & key.less(length)};
  }
  return {j + start, j.less(length)};
}

Scalar CacheWalk::inside(ImplicitLocOpBuilder &b, Scalar j) const {
  return j.min(in(b, rows) - 1).max(0);
}

Scalar CacheWalk::pageOf(ImplicitLocOpBuilder &b, Scalar j) const {
  int64_t size = cast<attn::PagedType>(type).getPage();
  return inTable(b, in(b, segmentBase) + (inside(b, j) / size).wide());
}

CacheRow CacheWalk::row(ImplicitLocOpBuilder &b, Scalar j) const {
  Scalar zero = i64(b, 0);
  Scalar base = in(b, segmentBase);
  Scalar present = {&b, position(b, j).second.value};
  return llvm::TypeSwitch<Type, CacheRow>(type)
      .Case([&](attn::PagedType paged) {
        int64_t size = paged.getPage();
        Scalar limit = readI64(b, item.words, firstWord + SACCADE_CACHE_LIMIT);
        Scalar page = pageOf(b, j).wide().max(0).min(limit - 1);
        Scalar token = (inside(b, j) % size).wide();
        return CacheRow{page, token, (page * size + token).narrow(), present};
      })
      .Case([&](attn::BlockSparseType) {
        Scalar token = base + blockSparseKey(b, j).wide();
        return CacheRow{zero, token, token.narrow(), present};
      })
      .Case([&](attn::DenseType) {
        return CacheRow{item.in(b).request.wide(), j.wide(), j, present};
      })
      .Case([&](attn::RaggedType) {
        Scalar token = base + j.wide();
        return CacheRow{zero, token, token.narrow(), present};
      });
}

Scalar CacheWalk::offset(ImplicitLocOpBuilder &b, const CacheRow &row,
                         bool values) const {
  int64_t first = tensorWord(values);
  auto stride = [&](int64_t which) {
    return readI64(b, item.words, first + which);
  };
  return row.batch * stride(SACCADE_TENSOR_STRIDE_BATCH) +
         row.token * stride(SACCADE_TENSOR_STRIDE_TOKEN) +
         item.in(b).kvHead.wide() * stride(SACCADE_TENSOR_STRIDE_HEAD);
}

int64_t CacheWalk::tensorWord(bool values) const {
  return firstWord + (values ? SACCADE_CACHE_V_DATA : SACCADE_CACHE_K_DATA);
}

Value CacheWalk::base(ImplicitLocOpBuilder &b, bool values) const {
  return readAddress(b, item.words, tensorWord(values));
}

int64_t CacheWalk::contiguousRows() const {
  if (auto paged = dyn_cast<attn::PagedType>(type))
    return std::gcd(paged.getPage(), tileKeys);
  if (auto sparse = dyn_cast<attn::BlockSparseType>(type))
    return std::gcd(sparse.getBlockColumns(), tileKeys);
  return tileKeys;
}

Scalar CacheWalk::rowsFrom(ImplicitLocOpBuilder &b, Scalar j) const {
  Scalar left = in(b, length) - j;
  if (!isa<attn::BlockSparseType>(type))
    return left;
  auto find = [&](ImplicitLocOpBuilder &b) -> Scalar {
    Scalar inBlock = in(b, length) - blockSparseKey(b, in(b, j));
    return inBlock.min(in(b, rows) - j);
  };
  return ifBlocksAreWhole(b, i32(b, tileKeys), find);
}

Scalar CacheWalk::ifBlocksAreWhole(
    ImplicitLocOpBuilder &b, Value known,
    llvm::function_ref<Scalar(ImplicitLocOpBuilder &)> otherwise) const {
  int64_t columns = cast<attn::BlockSparseType>(type).getBlockColumns();
  if (columns % tileKeys)
    return otherwise(b); // a tile may reach past the last listed block
  Value whole = (in(b, length) % columns).less(1);
  auto branch = scf::IfOp::create(b, TypeRange{known.getType()}, whole,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  scf::YieldOp::create(b, known);
  b.setInsertionPointToStart(branch.elseBlock());
  scf::YieldOp::create(b, otherwise(b).value);
  return {&b, branch.getResult(0)};
}
