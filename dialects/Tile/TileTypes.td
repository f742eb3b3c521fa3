// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Types of the tile dialect: tiles, the argument words, global addresses.

#ifndef SACCADE_TILE_TYPES_TD
#define SACCADE_TILE_TYPES_TD

include "dialects/Tile/TileDialect.td"
include "mlir/IR/AttrTypeBase.td"

class Tile_Type<string name, string typeMnemonic> : TypeDef<Tile_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Tile_TileType : Tile_Type<"Tile", "tile"> {
  let summary = "a whole tile of elements, and later where it lives";
  let description = [{
    Elements are f32, f16, bf16, f8E4M3FN or f8E5M2.

    Example: `!tile.tile<64x128xbf16>`, `!tile.tile<64x64xf32, #tile.accumulator<warps = 4>>`
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$columns,
                        "::mlir::Type":$elementType,
                        OptionalParameter<"::mlir::Attribute">:$layout);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let builders = [TypeBuilder<(ins "int64_t":$rows, "int64_t":$columns,
                                   "::mlir::Type":$elementType)>];
  let extraClassDeclaration = [{
    /// A column vector: one element a row.
    bool isColumn() const { return getColumns() == 1; }
    TileType withElementType(::mlir::Type type) const {
      return get(getContext(), getRows(), getColumns(), type, getLayout());
    }
    TileType withLayout(::mlir::Attribute layout) const {
      return get(getContext(), getRows(), getColumns(), getElementType(), layout);
    }
  }];
}

def Tile_PipeType : Tile_Type<"Pipe", "pipe"> {
  let summary = "a ring of tiles in shared memory between warps that load and warps that compute";
  let description = [{
    Example: `!tile.pipe<80x128xbf16, stages = 2>`, and once it is known where the
    first stage lives `!tile.pipe<80x128xbf16, #tile.shared<pitch = 64, swizzle = 8>,
    stages = 2>`
  }];
  let parameters = (ins "::saccade::tile::TileType":$tile, "int64_t":$stages);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Tile_InflightType : Tile_Type<"Inflight", "inflight"> {
  let summary = "a product that matrix units are still computing";
  let description = [{
    Only `tile.await` makes it readable.

    Example: `!tile.inflight<192x80xf32>`
  }];
  let parameters = (ins "::saccade::tile::TileType":$tile);
  let hasCustomAssemblyFormat = 1;
}

def Tile_WordsType : Tile_Type<"Words", "words"> {
  let summary = "the block of argument words of KernelABI.h";
}
def Tile_AddressType : Tile_Type<"Address", "address"> {
  let summary = "an address in global memory";
}

#endif // SACCADE_TILE_TYPES_TD
