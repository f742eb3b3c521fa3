// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the manifest of a compiled kernel. All range checks are made here, so
// that planner and launcher may trust every number in it.
#include "runtime/Manifest.h"
#include "runtime/Fields.h"

#include <algorithm>
#include <utility>

using namespace saccade::rt;
using nlohmann::json;

namespace {

constexpr int32_t kMaxHeads = 1 << 16;
constexpr int32_t kMaxDim = 1 << 14;
constexpr int32_t kMaxTableRank = 4;
/// Array elements are at most this many: far above any kernel, far below a
/// bomb.
constexpr size_t kMaxElements = 256;
/// A kernel's parameters take at most 4 KB (CUDA C++ Programming Guide, "Kernel
/// function parameters"; the larger limit needs a newer driver).
constexpr int32_t kMaxBlockWords = 4096 / 8;
/// Of a tensor map's box, in elements (cuTensorMapEncodeTiled).
constexpr int32_t kMaxBoxSide = 256;

DType readFloat(Fields &fields) {
  return fields.choice<DType>("dtype", {{"f32", DType::F32},
                                        {"f16", DType::F16},
                                        {"bf16", DType::BF16},
                                        {"f8e4m3", DType::F8E4M3},
                                        {"f8e5m2", DType::F8E5M2}});
}

bool readOrder(Fields &fields) {
  return fields.has("order") &&
         fields.choice<bool>("order", {{"NHD", false}, {"HND", true}});
}

Layout readTensorLayout(Fields &fields) {
  return fields.choice<Layout>(
      "layout", {{"ragged", Layout::Ragged}, {"dense", Layout::Dense}});
}

void readTensor(Fields &fields, Slot &slot, bool result) {
  slot.layout = readTensorLayout(fields);
  slot.heads = fields.integer("heads", 1, kMaxHeads);
  slot.dim = fields.integer("dim", 1, kMaxDim);
  slot.dtype = readFloat(fields);
  slot.headsFirst = readOrder(fields);
  if (!result)
    slot.role = fields.choice<Role>("role", {{"query", Role::Query},
                                             {"new_key", Role::NewKey},
                                             {"new_value", Role::NewValue},
                                             {"rows", Role::Rows}});
}

void readCache(Fields &fields, Slot &slot) {
  slot.layout =
      fields.choice<Layout>("layout", {{"paged", Layout::Paged},
                                       {"ragged", Layout::Ragged},
                                       {"dense", Layout::Dense},
                                       {"block_sparse", Layout::BlockSparse}});
  slot.heads = fields.integer("heads", 1, kMaxHeads);
  slot.dim = fields.integer("key_dim", 1, kMaxDim);
  slot.valueDim = fields.integer("value_dim", 1, kMaxDim);
  slot.dtype = readFloat(fields);
  slot.headsFirst = readOrder(fields);
  if (slot.layout == Layout::Paged)
    slot.page = fields.integer("page", 1, SACCADE_MAX_POSITION);
  if (slot.layout == Layout::BlockSparse) {
    const json &block = fields.array("block", 2, 2);
    int32_t *sides[] = {&slot.blockRows, &slot.blockKeys};
    for (size_t i = 0; i < block.size(); ++i) {
      if (!block[i].is_number_unsigned() || block[i].get<uint64_t>() < 1 ||
          block[i].get<uint64_t>() > uint64_t(SACCADE_MAX_POSITION))
        return fields.complain("block", "two positive integers");
      *sides[i] = block[i].get<int32_t>();
    }
  }
}

void readTable(Fields &fields, Slot &slot) {
  slot.table =
      fields.choice<TableKind>("table", {{"per_head", TableKind::PerHead},
                                         {"per_request", TableKind::PerRequest},
                                         {"per_token", TableKind::PerToken},
                                         {"bits", TableKind::Bits},
                                         {"strided", TableKind::Strided}});
  if (slot.table == TableKind::Strided) {
    slot.rank = fields.integer("rank", 1, kMaxTableRank);
    slot.dtype = fields.choice<DType>("dtype", {{"f32", DType::F32},
                                                {"f16", DType::F16},
                                                {"bf16", DType::BF16},
                                                {"i32", DType::I32},
                                                {"i64", DType::I64},
                                                {"i8", DType::I8},
                                                {"bool", DType::Bool}});
    return;
  }
  if (slot.table == TableKind::Bits)
    slot.dtype = fields.choice<DType>("dtype", {{"u8", DType::U8}});
  else
    slot.dtype = fields.choice<DType>(
        "dtype", {{"f32", DType::F32}, {"i32", DType::I32}, {"u8", DType::U8}});
  if (fields.has("heads"))
    slot.heads = fields.integer("heads", 1, kMaxHeads);
}

Slot readSlot(const json &object, std::string path, bool result,
              const Manifest &manifest, bool &good) {
  Fields fields(object, std::move(path), good);
  Slot slot;
  slot.kind =
      result
          ? fields.choice<SlotKind>("kind", {{"tensor", SlotKind::Tensor},
                                             {"lse", SlotKind::Lse},
                                             {"cache", SlotKind::CacheResult}})
          : fields.choice<SlotKind>("kind", {{"tensor", SlotKind::Tensor},
                                             {"cache", SlotKind::Cache},
                                             {"scalar", SlotKind::Scalar},
                                             {"table", SlotKind::Table},
                                             {"lse", SlotKind::Lse}});
  if (!good)
    return slot;
  if (slot.kind == SlotKind::CacheResult) {
    slot.argument = fields.integer(
        "argument", 0, static_cast<int32_t>(manifest.arguments.size()) - 1);
    if (good && manifest.arguments[slot.argument].kind != SlotKind::Cache)
      fields.complain("argument", "the index of a cache");
    return slot;
  }
  slot.name = fields.text("name");
  switch (slot.kind) {
  case SlotKind::Tensor:
    readTensor(fields, slot, result);
    break;
  case SlotKind::Cache:
    readCache(fields, slot);
    break;
  case SlotKind::Scalar:
    slot.dtype = fields.choice<DType>(
        "dtype", {{"f32", DType::F32}, {"i32", DType::I32}});
    break;
  case SlotKind::Table:
    readTable(fields, slot);
    break;
  case SlotKind::Lse:
    slot.layout = readTensorLayout(fields);
    slot.heads = fields.integer("heads", 1, kMaxHeads);
    break;
  case SlotKind::CacheResult:
    break;
  }
  return slot;
}

int32_t wordsOf(const Slot &slot) {
  switch (slot.kind) {
  case SlotKind::Tensor:
  case SlotKind::Lse:
    return SACCADE_TENSOR_WORDS;
  case SlotKind::Cache:
    return SACCADE_CACHE_WORDS;
  case SlotKind::Scalar:
    return SACCADE_SCALAR_WORDS;
  case SlotKind::Table:
    return SACCADE_TABLE_WORDS + slot.rank * SACCADE_TABLE_DIMENSION_WORDS;
  case SlotKind::CacheResult:
    break;
  }
  return 0;
}

/// The tensor whose words begin at recipe.word, if a map can describe it.
bool resolveMap(const Manifest &manifest, TensorMapRecipe &recipe) {
  auto found = [&](const Slot &slot, int32_t word, int32_t dim,
                   std::string_view part) {
    if (recipe.word != word || bytesOf(slot.dtype) > 2)
      return false;
    recipe.dim = dim;
    recipe.dtype = slot.dtype;
    recipe.name = join("'", slot.name, "'", part);
    return true;
  };
  for (const std::vector<Slot> *slots :
       {&manifest.arguments, &manifest.results})
    for (const Slot &slot : *slots)
      if ((slot.kind == SlotKind::Tensor &&
           found(slot, slot.word, slot.dim, "")) ||
          (slot.kind == SlotKind::Cache &&
           (found(slot, slot.word + SACCADE_CACHE_K_DATA, slot.dim,
                  " (keys)") ||
            found(slot, slot.word + SACCADE_CACHE_V_DATA, slot.valueDim,
                  " (values)"))))
        return true;
  return false;
}

void readFolds(Fields &fields, const std::string &path, Entry &entry,
               const Manifest &manifest, bool &good) {
  auto place = [&](int32_t argument) {
    return static_cast<int32_t>(std::ranges::find(manifest.caches, argument) -
                                manifest.caches.begin());
  };
  if (!fields.has("folds")) {
    for (int32_t cache : entry.caches)
      entry.folds.push_back({place(cache), false, {}});
    return;
  }
  const json &list = fields.array("folds", 1, kMaxElements);
  for (size_t i = 0; good && i < list.size(); ++i) {
    Fields field(list[i], join(path, "folds[", i, "]."), good);
    int32_t cache = field.integer("cache", 0, SACCADE_MAX_POSITION);
    if (good && !std::ranges::count(entry.caches, cache))
      field.complain("cache", "one of the entry's caches");
    if (!good)
      return;
    Fold &fold = entry.folds.emplace_back();
    fold.cache = place(cache);
    fold.bounded = field.has("bounds");
    if (!fold.bounded)
      continue;
    if (const char *expected =
            BoundsProgram::parse(list[i]["bounds"], fold.bounds))
      field.complain("bounds", expected);
  }
}

void readTensorMaps(Fields &fields, const std::string &path, Entry &entry,
                    const Manifest &manifest, bool &good) {
  Fields maps = fields.inner("tensor_maps");
  if (entry.format == CodeFormat::Elf)
    return fields.complain("tensor_maps", "left out of an entry for the CPU");
  entry.mapWord = maps.integer("first_word", 0, kMaxBlockWords);
  if (good && (entry.mapWord % 8 != 0 || entry.mapWord < manifest.words))
    maps.complain("first_word", join("a multiple of 8 behind the ",
                                     manifest.words, " words"));
  const json &list = maps.array("maps", 1, kMaxBlockWords);
  for (size_t i = 0; good && i < list.size(); ++i) {
    Fields map(list[i], join(path, "tensor_maps.maps[", i, "]."), good);
    TensorMapRecipe recipe;
    recipe.word = map.integer("word", 0, kMaxBlockWords);
    recipe.heads = map.integer("heads", 1, kMaxBoxSide);
    recipe.tokens = map.integer("tokens", 1, kMaxBoxSide);
    if (good && !resolveMap(manifest, recipe))
      map.complain("word",
                   "the first word of a tensor of 8- or 16-bit elements");
    entry.maps.push_back(std::move(recipe));
  }
  if (good && entry.blockWords(manifest) > kMaxBlockWords)
    fields.complain("tensor_maps",
                    join("words and maps of at most ", 8 * kMaxBlockWords,
                         " bytes, not ", 8 * entry.blockWords(manifest)));
}

void readGroups(Fields &cost, Entry &entry, bool &good) {
  Fields groups = cost.inner("groups");
  entry.groupRows = groups.integer("rows", 1, 1 << 20);
  for (const json &share : groups.array("keys", 1, kMaxElements)) {
    if (!share.is_number() || !(share.get<double>() > 0)) {
      groups.complain("keys", "positive numbers");
      return;
    }
    entry.groupCosts.push_back(share.get<double>());
  }
  if (good &&
      int64_t(entry.groupCosts.size()) * entry.groupRows < entry.rowsPerItem)
    groups.complain("keys", join("a number for each ", entry.groupRows, " of ",
                                 entry.rowsPerItem, " rows"));
}

void readRows(Fields &fields, Entry &entry) {
  if (entry.kind != EntryKind::Attend)
    return fields.complain("rows", "left out of what does not attend");
  Fields rows = fields.inner("rows");
  if (rows.has("least"))
    entry.leastRows = rows.integer("least", 1, SACCADE_MAX_POSITION);
  if (rows.has("most"))
    entry.mostRows =
        rows.integer("most", entry.leastRows, SACCADE_MAX_POSITION);
  if (!rows.has("least") && !rows.has("most"))
    fields.complain("rows", "an object of 'least', 'most' or both");
}

/// Entries that take some requests have to take each once.
void checkRows(const json &entries, Fields &fields, const Manifest &manifest) {
  std::vector<const Entry *> some;
  for (size_t e = 0; e < manifest.entries.size(); ++e)
    if (entries[e].contains("rows"))
      some.push_back(&manifest.entries[e]);
  if (some.empty())
    return;
  std::ranges::sort(some, {}, &Entry::leastRows);
  constexpr int64_t end = int64_t(SACCADE_MAX_POSITION) + 1;
  int64_t next = 1;
  for (size_t i = 0; i <= some.size(); ++i) {
    int64_t least = i < some.size() ? some[i]->leastRows : end;
    if (least != next)
      return fields.complain(
          "entries", join("some whose 'rows' take each request once, but "
                          "requests of ",
                          std::min(next, least), " rows are taken by ",
                          least > next ? "none" : "two"));
    next = i < some.size() ? int64_t(some[i]->mostRows) + 1 : end;
  }
}

/// Two entries of one launch: of the same code, and of different requests.
void readFusion(Fields &fields, Entry &entry, size_t index, Manifest &manifest,
                bool &good) {
  entry.fusedInto =
      fields.integer("fused_into", 0, static_cast<int32_t>(index) - 1);
  if (!good)
    return;
  Entry &other = manifest.entries[entry.fusedInto];
  auto expect = [&](bool met, std::string_view what) {
    if (good && !met)
      fields.complain("fused_into",
                      join("an entry ", what, ", unlike '", other.name, "'"));
  };
  auto isSome = [](const Entry &e) {
    return e.kind == EntryKind::Attend &&
           (e.leastRows > 1 || e.mostRows < SACCADE_MAX_POSITION);
  };
  expect(entry.format != CodeFormat::Elf, "for a GPU");
  expect(isSome(entry) && isSome(other), "of other 'rows'");
  expect(other.fusedInto < 0 && other.fused < 0, "that is in no other launch");
  expect(entry.threads == other.threads &&
             entry.sharedBytes == other.sharedBytes &&
             entry.binary == other.binary && entry.format == other.format,
         "of the same code, threads and bytes");
  expect(entry.partialFloats == 0 || other.partialFloats == 0,
         "without partial states");
  if (good)
    other.fused = static_cast<int32_t>(index);
}

Entry readEntry(const json &object, const std::string &path, size_t sections,
                const Manifest &manifest, bool &good) {
  Fields fields(object, path, good);
  Entry entry;
  entry.name = fields.text("name");
  entry.kind = fields.choice<EntryKind>("kind", {{"attend", EntryKind::Attend},
                                                 {"append", EntryKind::Append},
                                                 {"rows", EntryKind::Rows}});
  entry.rowsPerItem = fields.integer("rows_per_item", 1, 1 << 20);
  entry.group = fields.integer("group", 1, kMaxHeads);
  entry.kvHeads = fields.integer("kv_heads", 1, kMaxHeads);
  entry.kvTile = fields.integer("kv_tile", 1, 1 << 20);
  if (fields.has("row_block"))
    entry.rowBlock = fields.integer("row_block", 0, SACCADE_MAX_POSITION);
  if (fields.has("rows"))
    readRows(fields, entry);
  entry.threads = fields.integer("threads", 1, 1024);
  entry.sharedBytes = fields.integer("shared_bytes", 0, 1 << 24);
  if (fields.has("waits"))
    entry.waits = fields.boolean("waits");
  entry.binary =
      fields.integer("binary", 0, static_cast<int32_t>(sections) - 1);
  entry.format =
      fields.choice<CodeFormat>("format", {{"ptx", CodeFormat::Ptx},
                                           {"cubin", CodeFormat::Cubin},
                                           {"elf", CodeFormat::Elf}});
  if (fields.has("cost")) {
    Fields cost = fields.inner("cost");
    if (cost.has("item"))
      entry.itemCost = cost.positive("item");
    entry.alpha = cost.positive("alpha");
    entry.beta = cost.positive("beta");
    if (cost.has("groups"))
      readGroups(cost, entry, good);
    if (cost.has("policy"))
      entry.policy = cost.choice<Policy>(
          "policy", {{"heaviest_first", Policy::HeaviestFirst},
                     {"ranges", Policy::Ranges}});
    if (cost.has("merge"))
      entry.mergeCost = cost.positive("merge");
    if (cost.has("rush"))
      entry.rush = std::max(1.0, cost.positive("rush"));
  }
  if (fields.has("partial_floats")) {
    entry.partialFloats = fields.integer("partial_floats", 4, 1 << 24);
    if (good && entry.partialFloats % 4 != 0)
      fields.complain("partial_floats", "a multiple of 4");
    if (entry.kind != EntryKind::Attend)
      fields.complain("partial_floats", "left out of what does not attend");
  }
  bool rows = entry.kind == EntryKind::Rows;
  for (const json &index : fields.array("caches", rows ? 0 : 1,
                                        rows ? 0 : manifest.caches.size())) {
    bool known = index.is_number_unsigned() &&
                 std::ranges::count(manifest.caches, index.get<int64_t>());
    if (!known) {
      fields.complain("caches", "indices of cache arguments");
      return entry;
    }
    const Slot &cache = manifest.arguments[index.get<int32_t>()];
    if (cache.heads != entry.kvHeads)
      fields.complain("kv_heads",
                      join(cache.heads, ", as many as '", cache.name, "' has"));
    entry.caches.push_back(index.get<int32_t>());
  }
  if (good && entry.kind != EntryKind::Attend && entry.group != 1)
    fields.complain("group", "1 for what does not attend");
  if (good && entry.kind != EntryKind::Append) {
    if (manifest.query < 0)
      fields.complain("kind", "'append' in a kernel without a query");
    else if (int32_t heads = manifest.arguments[manifest.query].heads;
             heads != int64_t(entry.group) * entry.kvHeads)
      fields.complain(
          "group", join(heads, " query heads / ", entry.kvHeads, " KV heads"));
  }
  if (good && entry.kind == EntryKind::Attend)
    readFolds(fields, path, entry, manifest, good);
  if (good && fields.has("tensor_maps"))
    readTensorMaps(fields, path, entry, manifest, good);
  return entry;
}

} // namespace

int32_t Entry::blockWords(const Manifest &manifest) const {
  return maps.empty() ? manifest.words
                      : mapWord + SACCADE_TENSOR_MAP_WORDS *
                                      static_cast<int32_t>(maps.size());
}

bool Entry::isSplittable(const Manifest &manifest) const {
  // Tiles of a block-sparse cache follow its list, not positions.
  return partialFloats > 0 &&
         std::ranges::none_of(folds, [&](const Fold &fold) {
           return manifest.arguments[manifest.caches[fold.cache]].layout ==
                  Layout::BlockSparse;
         });
}

bool Manifest::hasTable(TableKind kind) const {
  return std::ranges::any_of(arguments, [&](const Slot &slot) {
    return slot.kind == SlotKind::Table && slot.table == kind;
  });
}

Status saccade::rt::parseManifest(std::string_view text, size_t sections,
                                  Manifest &manifest) {
  json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (root.is_discarded())
    return fail(SACCADE_BAD_BLOB, "manifest: expects JSON");
  bool good = true;
  manifest = {};
  Fields fields(root, "", good);
  fields.integer("abi", SACCADE_ABI_VERSION, SACCADE_ABI_VERSION);
  manifest.build = fields.text("build");
  manifest.kernel = fields.text("kernel");
  manifest.target = fields.text("target");
  if (fields.has("driver"))
    manifest.driver = fields.integer("driver", 0, 1 << 20);

  manifest.words = SACCADE_HEADER_WORDS;
  auto readSlots = [&](const char *name, std::vector<Slot> &slots,
                       bool result) {
    const json &array = fields.array(name, 0, kMaxElements);
    for (size_t i = 0; good && i < array.size(); ++i) {
      Slot slot =
          readSlot(array[i], join(name, "[", i, "]."), result, manifest, good);
      slot.word = manifest.words;
      manifest.words += wordsOf(slot);
      if (slot.kind == SlotKind::Cache)
        manifest.caches.push_back(static_cast<int32_t>(i));
      slots.push_back(std::move(slot));
    }
  };
  readSlots("arguments", manifest.arguments, false);
  readSlots("results", manifest.results, true);
  manifest.query = fields.integer(
      "query", -1, static_cast<int32_t>(manifest.arguments.size()) - 1);
  if (good && manifest.query >= 0 &&
      manifest.arguments[manifest.query].role != Role::Query &&
      manifest.arguments[manifest.query].role != Role::Rows)
    fields.complain("query", "-1 or the index of an argument of role 'query' "
                             "or 'rows'");

  const Slot *first = nullptr;
  for (const std::vector<Slot> *slots :
       {&manifest.arguments, &manifest.results})
    for (const Slot &slot : *slots) {
      if (slot.kind != SlotKind::Tensor && slot.kind != SlotKind::Lse)
        continue;
      first = first ? first : &slot;
      if (slot.layout != first->layout)
        fields.complain("arguments",
                        join("tensors of one layout, as '", slot.name, "' is ",
                             nameOf(slot.layout), " and '", first->name,
                             "' is ", nameOf(first->layout)));
    }

  const json &entries = fields.array("entries", 1, kMaxElements);
  for (size_t i = 0; good && i < entries.size(); ++i) {
    Entry entry = readEntry(entries[i], join("entries[", i, "]."), sections,
                            manifest, good);
    if (good && (entry.format == CodeFormat::Elf) != manifest.isCpu()) {
      Fields(entries[i], join("entries[", i, "]."), good)
          .complain("format", join("code for '", manifest.target, "'"));
    }
    Fields fields(entries[i], join("entries[", i, "]."), good);
    if (good && fields.has("fused_into"))
      readFusion(fields, entry, i, manifest, good);
    manifest.entries.push_back(std::move(entry));
  }
  if (good)
    checkRows(entries, fields, manifest);
  if (good && manifest.words > kMaxBlockWords)
    fields.complain("arguments",
                    join("at most ", 8 * kMaxBlockWords,
                         " bytes of words, not ", manifest.words * 8));
  return good ? SACCADE_OK : SACCADE_BAD_BLOB;
}

int32_t saccade::rt::bytesOf(DType dtype) {
  switch (dtype) {
  case DType::F32:
  case DType::I32:
    return 4;
  case DType::I64:
    return 8;
  case DType::F16:
  case DType::BF16:
    return 2;
  case DType::F8E4M3:
  case DType::F8E5M2:
  case DType::U8:
  case DType::I8:
  case DType::Bool:
    return 1;
  }
  return 0;
}

std::string_view saccade::rt::nameOf(DType dtype) {
  constexpr std::string_view names[] = {"f32",    "f16", "bf16", "f8e4m3",
                                        "f8e5m2", "i32", "u8",   "i64",
                                        "i8",     "bool"};
  return names[static_cast<int>(dtype)];
}

std::string_view saccade::rt::nameOf(EntryKind kind) {
  constexpr std::string_view names[] = {"attend", "append", "rows"};
  return names[static_cast<int>(kind)];
}

std::string_view saccade::rt::nameOf(Layout layout) {
  constexpr std::string_view names[] = {"dense", "ragged", "paged",
                                        "block_sparse"};
  return names[static_cast<int>(layout)];
}
