// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// One function for each kind of thing that a manifest lists; the names of
// fields and values are those of saccade/Blob.h.

#include "lib/Manifest.h"

#include "dialects/Tile/FragmentLayout.h"
#include "lib/Transforms/PipelineModel.h"

#include "dialects/Attn/VariantBodies.h"
#include "lib/BoundsProgram.h"

using namespace mlir;
using namespace saccade;
namespace json = llvm::json;

/// The name of a scalar or element type in manifests.
static StringRef dtypeOf(Type type) {
  if (type.isF32())
    return "f32";
  if (type.isF16())
    return "f16";
  if (type.isBF16())
    return "bf16";
  if (isa<Float8E4M3FNType>(type))
    return "f8e4m3";
  if (isa<Float8E5M2Type>(type))
    return "f8e5m2";
  return type.isInteger(8) ? "u8" : "i32";
}

/// The name that the spec gave to an argument; else one that says its place.
static std::string nameOf(BlockArgument argument) {
  if (auto name = dyn_cast<NameLoc>(argument.getLoc()))
    return name.getName().str();
  return "arg" + std::to_string(argument.getArgNumber());
}

static StringRef layoutOf(attn::LayoutType type) {
  return llvm::TypeSwitch<Type, StringRef>(type)
      .Case<attn::RaggedType>([](auto) { return "ragged"; })
      .Case<attn::DenseType>([](auto) { return "dense"; })
      .Case<attn::PagedType>([](auto) { return "paged"; })
      .Case<attn::BlockSparseType>([](auto) { return "block_sparse"; });
}

/// The fields that tensors and caches share.
static json::Object describeLayout(attn::LayoutType type) {
  return json::Object{{"layout", layoutOf(type)},
                      {"heads", type.getHeads()},
                      {"dtype", dtypeOf(type.getElementType())},
                      {"order", attn::stringifyOrder(type.getOrder())}};
}

static json::Object describeTensor(attn::LayoutType type) {
  json::Object object = describeLayout(type);
  object["kind"] = "tensor";
  object["dim"] = type.getHeadDim();
  return object;
}

static json::Object describeCache(attn::LayoutType type) {
  json::Object object = describeLayout(type);
  object["kind"] = "cache";
  object["key_dim"] = type.getHeadDim();
  object["value_dim"] = type.getValueDim();
  if (auto paged = dyn_cast<attn::PagedType>(type))
    object["page"] = paged.getPage();
  if (auto sparse = dyn_cast<attn::BlockSparseType>(type))
    object["block"] =
        json::Array{sparse.getBlockRows(), sparse.getBlockColumns()};
  return object;
}

static json::Object describeTable(BlockArgument argument) {
  Type type = argument.getType();
  json::Object object{{"kind", "table"}};
  auto fill = [&](StringRef table, StringRef dtype) {
    object["table"] = table;
    object["dtype"] = dtype;
  };
  llvm::TypeSwitch<Type>(type)
      .Case<attn::PerHeadType>([&](auto table) {
        fill("per_head", dtypeOf(table.getElementType()));
        if (int64_t heads = attn::KernelOp::getTableHeads(argument))
          object["heads"] = heads;
      })
      .Case<attn::PerRequestType>([&](auto table) {
        fill("per_request", dtypeOf(table.getElementType()));
      })
      .Case<attn::PerTokenType>([&](auto table) {
        fill("per_token", dtypeOf(table.getElementType()));
      })
      .Case<attn::TableType>([&](auto table) {
        Type element = table.getElementType();
        fill("strided", element.isInteger(64)  ? "i64"
                        : element.isInteger(8) ? "i8"
                        : element.isInteger(1) ? "bool"
                                               : dtypeOf(element));
        object["rank"] = table.getRank();
      })
      .Case<attn::BitsType>([&](auto) { fill("bits", "u8"); });
  return object;
}

/// What a tensor argument is for: "query", "new_key", "new_value", "rows", or
/// "" when nothing uses it.
static StringRef roleOf(BlockArgument argument) {
  StringRef role;
  for (OpOperand &use : argument.getUses()) {
    if (auto attend = dyn_cast<attn::AttendOp>(use.getOwner());
        attend && attend.getQuery() == argument)
      return "query";
    if (auto append = dyn_cast<attn::AppendOp>(use.getOwner()))
      role = append.getKey() == argument ? "new_key" : "new_value";
    if (isa<attn::ResumeOp, attn::MapRowsOp>(use.getOwner()))
      role = "rows";
  }
  return role;
}

/// The argument of the kernel behind a cache that may have been appended to.
static BlockArgument cacheArgument(Value cache) {
  while (auto append = cache.getDefiningOp<attn::AppendOp>())
    cache = append.getCache();
  return cast<BlockArgument>(cache);
}

/// "o" if there is one of its kind, else "o0", "o1", ...
static std::string resultName(StringRef base, unsigned index, unsigned count) {
  return count == 1 ? base.str() : (base + Twine(index)).str();
}

static LogicalResult readArguments(attn::KernelOp kernel,
                                   Signature &signature) {
  for (BlockArgument argument : kernel.getBody().getArguments()) {
    json::Object object;
    Type type = argument.getType();
    if (auto layout = dyn_cast<attn::LayoutType>(type)) {
      if (attn::KernelOp::isCache(argument)) {
        object = describeCache(layout);
      } else {
        StringRef role = roleOf(argument);
        if (role.empty())
          return kernel.emitOpError("expects argument '")
                 << nameOf(argument) << "' to be used, or left out";
        object = describeTensor(layout);
        object["role"] = role;
      }
    } else if (isa<attn::LseType>(type)) {
      auto resume = cast<attn::ResumeOp>(*argument.user_begin());
      object = json::Object{{"kind", "lse"},
                            {"layout", layoutOf(resume.getOutput().getType())},
                            {"heads", resume.getOutput().getType().getHeads()}};
    } else if (isa<FloatType, IntegerType>(type)) {
      object = json::Object{{"kind", "scalar"}, {"dtype", dtypeOf(type)}};
    } else {
      object = describeTable(argument);
    }
    object["name"] = nameOf(argument);
    signature.arguments.push_back(std::move(object));
  }
  return success();
}

static LogicalResult readResults(attn::KernelOp kernel, Signature &signature) {
  auto results = kernel.getReturn()->getOperands();
  unsigned outputs = llvm::count_if(results, [](Value value) {
    return isa<attn::LayoutType>(value.getType());
  });
  unsigned lses = results.size() - outputs, output = 0, lse = 0;
  for (Value value : results) {
    auto finish = value.getDefiningOp<attn::FinishOp>();
    if (value.getDefiningOp<attn::AppendOp>()) // the cache itself
      signature.results.push_back(json::Object{
          {"kind", "cache"},
          {"argument", int64_t(cacheArgument(value).getArgNumber())}});
    else if (auto layout = dyn_cast<attn::LayoutType>(value.getType())) {
      json::Object object = describeTensor(layout);
      object["name"] = resultName("o", output++, outputs);
      signature.results.push_back(std::move(object));
    } else {
      auto of = cast<attn::LayoutType>(finish.getOutput().getType());
      signature.results.push_back(
          json::Object{{"kind", "lse"},
                       {"name", resultName("lse", lse++, lses)},
                       {"layout", layoutOf(of)},
                       {"heads", of.getHeads()}});
    }
  }
  return success();
}

FailureOr<Signature> saccade::readSignature(attn::KernelOp kernel) {
  Signature signature;
  signature.kernel = kernel.getSymName().str();
  llvm::SmallSetVector<int64_t, 4> attended;
  kernel.walk([&](attn::AttendOp attend) {
    attended.insert(cacheArgument(attend.getCache()).getArgNumber());
  });
  for (Operation &op : kernel.getBody().front())
    if (auto rows =
            dyn_cast_if_present<BlockArgument>(attn::KernelOp::getRows(&op));
        rows && (signature.query < 0 || isa<attn::AttendOp>(op))) {
      signature.query = rows.getArgNumber();
      if (isa<attn::AttendOp>(op))
        break;
    }
  for (int64_t index : attended)
    signature.attended.push_back(index);
  kernel.walk([&](attn::AppendOp append) {
    signature.appended.push_back(
        json::Array{int64_t(cacheArgument(append.getCache()).getArgNumber())});
  });
  if (failed(readArguments(kernel, signature)) ||
      failed(readResults(kernel, signature)))
    return failure();
  return signature;
}

void saccade::readFolds(attn::KernelOp kernel, Signature &signature) {
  kernel.walk([&](attn::AttendOp attend) {
    json::Object fold{
        {"cache", int64_t(cacheArgument(attend.getCache()).getArgNumber())}};
    attn::VariantOp variant =
        attn::lookupVariant(attend, attend.getVariantAttr());
    if (auto bounds = variant.getBodyOf<attn::BoundsOp>())
      if (auto program = describeBounds(bounds, attend.getParameters()))
        fold["bounds"] = std::move(*program);
    signature.folds.push_back(std::move(fold));
  });
}

/// Entries of at most so many rows an item, if they can be split, are planned
/// as ranges of keys.
static constexpr int64_t kRowsOfRanges = 64;

json::Object saccade::describeEntry(tile::EntryOp entry,
                                    const Signature &signature, size_t index) {
  tile::ItemsAttr items = entry.getItems();
  bool append = entry.getKind() == tile::EntryKind::append;
  bool attend = entry.getKind() == tile::EntryKind::attend;
  json::Object object{{"name", entry.getSymName().str()},
                      {"kind", tile::stringifyEntryKind(entry.getKind())},
                      {"rows_per_item", items.getRows()},
                      {"group", items.getGroup()},
                      {"kv_heads", items.getHeads()},
                      {"kv_tile", items.getKeys()},
                      {"row_block", items.getRowBlock()}};
  if (append && index < signature.appended.size())
    object["caches"] = json::Array(signature.appended[index]);
  else
    object["caches"] = json::Array(signature.attended);
  if (attend)
    object["folds"] = json::Array(signature.folds);
  if (auto floats = entry->getAttrOfType<IntegerAttr>(tile::kPartialFloatsAttr))
    object["partial_floats"] = floats.getInt();
  json::Object rows;
  for (auto [attribute, field] :
       {std::pair(kLeastRowsAttr, "least"), std::pair(kMostRowsAttr, "most")})
    if (auto number = entry->getAttrOfType<IntegerAttr>(attribute))
      rows[field] = number.getInt();
  if (!rows.empty())
    object["rows"] = std::move(rows);
  json::Object cost;
  if (std::optional<ItemCost> known = costOfItems(entry)) {
    cost = json::Object{
        {"item", known->item}, {"alpha", known->row}, {"beta", known->key}};
    if (known->merge > 0)
      cost["merge"] = known->merge;
    if (known->rush > 0)
      cost["rush"] = known->rush;
    if (!known->groups.empty())
      cost["groups"] = json::Object{{"rows", tile::kGroupRows},
                                    {"keys", json::Array(known->groups)}};
  }
  // Few rows and many keys: items are cut where each CTA's share ends.
  if (object.get("partial_floats") && items.getRows() <= kRowsOfRanges) {
    cost["policy"] = "ranges";
    if (!cost.get("alpha"))
      cost["alpha"] = cost["beta"] = 1.0;
  }
  if (!cost.empty())
    object["cost"] = std::move(cost);
  return object;
}
