// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The tile dialect, whole: how attention is computed, a tile at a time.
// Everything that TableGen makes of the dialect starts from this file.

#ifndef SACCADE_TILE_TD
#define SACCADE_TILE_TD

include "dialects/Tile/TileDialect.td"
include "dialects/Tile/TileAttrs.td"
include "dialects/Tile/TileTypes.td"
include "dialects/Tile/TileOps.td"

#endif // SACCADE_TILE_TD
