// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What the runtime knows of a compiled kernel: its arguments, results and
// entries, read from the JSON of a blob. The schema is in saccade/Blob.h; after
// parsing, every field is in range and every index points somewhere.
#ifndef SACCADE_RUNTIME_MANIFEST_H
#define SACCADE_RUNTIME_MANIFEST_H

#include "runtime/Bounds.h"
#include "runtime/Status.h"
#include "saccade/Blob.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace saccade::rt {

enum class SlotKind { Tensor, Cache, Scalar, Table, Lse, CacheResult };
enum class Role { None, Query, NewKey, NewValue, Rows };
enum class Layout { Dense, Ragged, Paged, BlockSparse };
enum class DType { F32, F16, BF16, F8E4M3, F8E5M2, I32, U8, I64, I8, Bool };
enum class TableKind { PerHead, PerRequest, PerToken, Bits, Strided };

/// An argument or a result. Fields that its kind does not have are zero.
struct Slot {
  SlotKind kind = SlotKind::Tensor;
  std::string name;
  Role role = Role::None;
  Layout layout = Layout::Dense;
  DType dtype = DType::F32;
  TableKind table = TableKind::PerHead;
  bool headsFirst = false; ///< order HND
  int32_t heads = 0;
  int32_t dim = 0;       ///< of a tensor, or of the keys
  int32_t valueDim = 0;  ///< of a cache
  int32_t page = 0;      ///< tokens of a page
  int32_t blockRows = 0; ///< query tokens of a row block
  int32_t blockKeys = 0; ///< keys of a key block
  int32_t rank = 0;      ///< of a strided table
  int32_t argument = -1; ///< of a cache result: the cache that it is
  int32_t word = 0;      ///< index of its first word
};

enum class EntryKind { Attend, Append, Rows };
enum class CodeFormat { Ptx, Cubin, Elf };
enum class Policy { HeaviestFirst, Ranges };

/// What an attend entry folds of one cache.
struct Fold {
  int32_t cache = 0;    ///< index into Manifest::caches
  bool bounded = false; ///< bounds say what is visited; else all keys are
  BoundsProgram bounds;
};

/// A tensor map that an entry reads: which tensor, and the box that one copy
/// moves.
struct TensorMapRecipe {
  int32_t word = 0;   ///< the tensor's first word
  int32_t heads = 0;  ///< of the box
  int32_t tokens = 0; ///< of the box
  int32_t dim = 0;    ///< of the tensor
  DType dtype = DType::BF16;
  std::string name; ///< of the tensor, for messages: "'kv' (keys)"
};

struct Manifest;

/// A function to launch over work items.
struct Entry {
  std::string name;
  EntryKind kind = EntryKind::Attend;
  CodeFormat format = CodeFormat::Elf;
  int32_t rowsPerItem = 0;
  int32_t group = 0;
  int32_t kvHeads = 0;
  int32_t kvTile = 0;
  int32_t rowBlock = 0; ///< items are cut at its multiples; 0: nowhere
  /// Packed rows of the requests that it takes.
  int32_t leastRows = 1, mostRows = SACCADE_MAX_POSITION;
  /// The entry whose launch computes its items too, and the one whose items
  /// its own launch does: indices, or -1.
  int32_t fusedInto = -1, fused = -1;
  int32_t threads = 0;
  int32_t sharedBytes = 0;
  bool waits = false; ///< for the end of the kernel before, if begun early
  int32_t binary = 0;
  /// cost = itemCost + alpha * rows + beta * keys
  double itemCost = 0, alpha = 1, beta = 1;
  int32_t groupRows = 0; ///< of a warpgroup; 0: all rows cost alike
  /// What keys cost an item with 1, 2, ... groups at work, over the full
  /// tile's.
  std::vector<double> groupCosts;
  Policy policy = Policy::HeaviestFirst;
  double mergeCost = -1;       ///< of cutting tiles; negative: not said
  double rush = 1;             ///< speed of a cta when most others are done
  int32_t partialFloats = 0;   ///< of a partial state; 0: tiles stay whole
  std::vector<int32_t> caches; ///< argument indices
  std::vector<Fold> folds;     ///< of an attend
  int32_t mapWord = 0;         ///< where tensor maps begin in its block
  std::vector<TensorMapRecipe> maps;

  /// Words of its block, maps among them.
  int32_t blockWords(const Manifest &manifest) const;
  /// Whether it computes a request of so many packed rows.
  bool takes(int64_t rows) const {
    return rows >= leastRows && rows <= mostRows;
  }
  /// Whether the keys of a tile may be dealt to several items.
  bool isSplittable(const Manifest &manifest) const;
};

struct Manifest {
  std::string build, kernel, target;
  int32_t driver = 0;
  int32_t query = -1;
  std::vector<Slot> arguments, results;
  std::vector<Entry> entries;
  std::vector<int32_t> caches; ///< argument indices of the caches
  int32_t words = 0; ///< that every entry receives, without tensor maps

  bool isCpu() const { return target.starts_with("cpu"); }
  bool hasTable(TableKind kind) const;
};

/// The parts of a blob, pointing into it.
struct BlobView {
  std::string_view manifest;
  std::vector<std::string_view> sections;
};

/// Takes a blob apart after checking its magic, version, sizes and checksum.
Status readBlob(std::string_view blob, BlobView &view);

/// Reads and checks a manifest for a blob of so many sections.
Status parseManifest(std::string_view text, size_t sections,
                     Manifest &manifest);

int32_t bytesOf(DType dtype);
std::string_view nameOf(DType dtype);
std::string_view nameOf(Layout layout);
std::string_view nameOf(EntryKind kind);

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_MANIFEST_H
