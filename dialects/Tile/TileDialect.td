// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The dialect itself. Its description is the first page of the reference.

#ifndef SACCADE_TILE_DIALECT_TD
#define SACCADE_TILE_DIALECT_TD

include "mlir/IR/OpBase.td"

def Tile_Dialect : Dialect {
  let name = "tile";
  let cppNamespace = "::saccade::tile";
  let summary = "How attention is computed, a whole tile at a time";
  let description = [{
    Values are whole tiles until the last lowering; a pass adds where they live
    (`#tile.shared`, `#tile.accumulator`, ...). Scalar code has one home,
    `tile.map`; only `tile.reduce` and `tile.convert` move data between lanes.
    Memory is reached through addresses that come from the argument words of
    KernelABI.h, and through row regions that say where each row of a tile lies,
    so one load serves every layout.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::scf::SCFDialect"];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
}

#endif // SACCADE_TILE_DIALECT_TD
