// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Blobs and manifests: what is written is read, and whatever is damaged is
// refused with a reason before anything believes it.
#include "test/unit/Test.h"
#include "test/unit/runtime/Samples.h"

using namespace saccade;
using namespace saccade::rt;
using namespace saccade::test;

namespace {
bool refuses(const json &object, const std::string &message) {
  Manifest manifest;
  return failed(parseManifest(object.dump(), 1, manifest), SACCADE_BAD_BLOB,
                "manifest: " + message);
}
bool refusesBlob(const std::string &bytes, const std::string &message) {
  BlobView view;
  return failed(readBlob(bytes, view), SACCADE_BAD_BLOB, "blob: " + message);
}
} // namespace

TEST_CASE("blob: reads what was written") {
  std::string bytes = writeBlob("{\"a\": 1}", {"first", "", "third section"});
  BlobView view;
  REQUIRE(readBlob(bytes, view) == SACCADE_OK);
  CHECK(view.manifest == "{\"a\": 1}");
  REQUIRE(view.sections.size() == 3);
  CHECK(view.sections[0] == "first");
  CHECK(view.sections[1] == "");
  CHECK(view.sections[2] == "third section");
  for (std::string_view section : view.sections) {
    CHECK((section.data() - bytes.data()) % 16 == 0);
    CHECK(section.data()[section.size()] == '\0');
  }
}

TEST_CASE("blob: refuses every truncation and every flipped bit") {
  std::string bytes = blob(manifest());
  for (size_t size = 0; size < bytes.size(); ++size) {
    BlobView view;
    CHECK(readBlob(bytes.substr(0, size), view) == SACCADE_BAD_BLOB);
  }
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string damaged = bytes;
    damaged[i / 8] ^= 1 << (i % 8);
    BlobView view;
    CHECK(readBlob(damaged, view) == SACCADE_BAD_BLOB);
  }
}

TEST_CASE("blob: says what is wrong") {
  std::string bytes = blob(manifest());
  CHECK(refusesBlob("SACCADE\n", "expects at least 40 bytes, but got 8"));
  std::string other = bytes;
  other[0] = 'X';
  CHECK(refusesBlob(other, "expects the magic bytes of a compiled kernel"));
  other = bytes;
  other[8] = 99;
  CHECK(refusesBlob(other, "expects ABI version 3, but got 99"));
  std::string size = std::to_string(bytes.size());
  CHECK(refusesBlob(bytes + "x", "expects " + size + " bytes, but got " +
                                     std::to_string(bytes.size() + 1)));
  other = bytes;
  other[60] ^= 1;
  CHECK(refusesBlob(
      other, "expects the checksum of its contents, but they have changed"));
}

TEST_CASE("blob: a right checksum does not excuse wrong offsets") {
  auto forge = [](size_t offset, uint64_t value) {
    std::string bytes = blob(manifest());
    for (int i = 0; i < 8; ++i)
      bytes[offset + i] = static_cast<char>(value >> (8 * i));
    uint64_t sum = blobChecksum(bytes);
    for (int i = 0; i < 8; ++i)
      bytes[24 + i] = static_cast<char>(sum >> (8 * i));
    BlobView view;
    return readBlob(bytes, view);
  };
  for (uint64_t value : {uint64_t(0) - 1, uint64_t(0) - 16, uint64_t(1) << 63,
                         uint64_t(1) << 32, uint64_t(100000)}) {
    CHECK(forge(32, value) == SACCADE_BAD_BLOB); // size of the manifest
    CHECK(forge(40, value) == SACCADE_BAD_BLOB); // offset of the section
    CHECK(forge(48, value) == SACCADE_BAD_BLOB); // size of the section
  }
}

TEST_CASE("manifest: lays words out in signature order") {
  Manifest sample = parsed(manifest());
  REQUIRE(sample.arguments.size() == 3);
  CHECK(sample.arguments[0].word == 8);
  CHECK(sample.arguments[1].word == 12);
  CHECK(sample.arguments[2].word == 24);
  CHECK(sample.results[0].word == 25);
  CHECK(sample.results[1].word == 29);
  CHECK(sample.words == 33);
  CHECK(sample.caches == std::vector<int32_t>{1});
  CHECK(sample.isCpu());
  CHECK(sample.entries[0].alpha == 1.0);
}

TEST_CASE("manifest: a returned cache has no words") {
  json object = manifest();
  object["results"].push_back({{"kind", "cache"}, {"argument", 1}});
  CHECK(parsed(object).words == 33);
  object["results"][2]["argument"] = 0;
  CHECK(refuses(object, "expects 'results[2].argument' to be the index of a "
                        "cache, but got 0"));
}

TEST_CASE("manifest: partial states and policies") {
  json object = manifest();
  CHECK(parsed(object).entries[0].partialFloats == 0);
  json &entry = object["entries"][0];
  entry["partial_floats"] = 40;
  entry["cost"] = {{"alpha", 2}, {"beta", 1}};
  Manifest sample = parsed(object);
  CHECK(sample.entries[0].partialFloats == 40);
  CHECK(sample.entries[0].isSplittable(sample));
  CHECK(sample.entries[0].policy == Policy::HeaviestFirst);
  CHECK(sample.entries[0].mergeCost < 0);
  entry["cost"]["policy"] = "ranges";
  entry["cost"]["merge"] = 192;
  sample = parsed(object);
  CHECK(sample.entries[0].policy == Policy::Ranges);
  CHECK(sample.entries[0].mergeCost == 192);
  entry["cost"]["merge"] = -1;
  CHECK(refuses(object, "expects 'entries[0].cost.merge' to be a number in "
                        "0..1e12, but got -1"));
  entry["cost"]["policy"] = "luck";
  CHECK(refuses(object, "expects 'entries[0].cost.policy' to be one of "
                        "'heaviest_first', 'ranges', but got \"luck\""));
  entry.erase("cost");
  entry["partial_floats"] = 42;
  CHECK(refuses(object, "expects 'entries[0].partial_floats' to be a multiple "
                        "of 4, but got 42"));
  entry["partial_floats"] = 0;
  CHECK(refuses(object, "expects 'entries[0].partial_floats' to be an integer "
                        "in 4..16777216, but got 0"));
  entry["partial_floats"] = 40;
  entry["kind"] = "append";
  CHECK(refuses(object, "expects 'entries[0].partial_floats' to be left out of "
                        "what does not attend, but got 40"));
}

TEST_CASE("manifest: rows without keys") {
  json object = manifest();
  object["arguments"] = {object["arguments"][0],
                         {{"kind", "lse"},
                          {"name", "la"},
                          {"layout", object["arguments"][0]["layout"]},
                          {"heads", object["arguments"][0]["heads"]}}};
  object["arguments"][0]["role"] = "rows";
  json &entry = object["entries"][0];
  entry["kind"] = "rows";
  entry["caches"] = json::array();
  entry["kv_heads"] = object["arguments"][0]["heads"];
  entry["group"] = 1;
  entry.erase("folds");
  Manifest sample = parsed(object);
  CHECK(sample.entries[0].kind == EntryKind::Rows);
  CHECK(sample.arguments[0].role == Role::Rows);
  CHECK(sample.arguments[1].kind == SlotKind::Lse);
  CHECK(sample.arguments[1].word ==
        int{SACCADE_HEADER_WORDS} + int{SACCADE_TENSOR_WORDS});
  CHECK(sample.query == 0);
  CHECK(!sample.entries[0].isSplittable(sample));
  entry["group"] = 2;
  CHECK(refuses(object, "expects 'entries[0].group' to be 1 for what does not "
                        "attend, but got 2"));
  entry["group"] = 1;
  entry["rows"] = {{"least", 17}};
  CHECK(refuses(object, "expects 'entries[0].rows' to be left out of what does "
                        "not attend, but got {\"least\":17}"));
}

TEST_CASE("manifest: a table of any strides") {
  json object = manifest();
  object["arguments"].push_back({{"kind", "table"},
                                 {"name", "bias"},
                                 {"table", "strided"},
                                 {"rank", 3},
                                 {"dtype", "i64"}});
  Manifest sample = parsed(object);
  const Slot &slot = sample.arguments.back();
  CHECK(slot.table == TableKind::Strided);
  CHECK(slot.dtype == DType::I64);
  CHECK(sample.results[0].word == slot.word + 7);
  object["arguments"].back()["rank"] = 5;
  CHECK(refuses(
      object,
      "expects 'arguments[3].rank' to be an integer in 1..4, but got 5"));
  object["arguments"].back()["rank"] = 1;
  object["arguments"].back()["dtype"] = "f64";
  CHECK(refuses(
      object,
      "expects 'arguments[3].dtype' to be one of 'f32', 'f16', 'bf16', 'i32', "
      "'i64', 'i8', 'bool', but got \"f64\""));
}

TEST_CASE("manifest: entries that wait for the kernel before") {
  json object = manifest();
  CHECK(!parsed(object).entries[0].waits);
  object["entries"][0]["waits"] = true;
  CHECK(parsed(object).entries[0].waits);
  object["entries"][0]["waits"] = 1;
  CHECK(refuses(object,
                "expects 'entries[0].waits' to be true or false, but got 1"));
}

TEST_CASE("manifest: says what is wrong") {
  Manifest ignored;
  CHECK(failed(parseManifest("{", 1, ignored), SACCADE_BAD_BLOB,
               "manifest: expects JSON"));
  CHECK(refuses(json::array(), "expects '' to be an object, but got []"));
  auto with = [](auto change) {
    json object = manifest();
    change(object);
    return object;
  };
  CHECK(refuses(with([](json &m) { m["abi"] = 1; }),
                "expects 'abi' to be an integer in 3..3, but got 1"));
  CHECK(refuses(with([](json &m) { m.erase("build"); }),
                "expects 'build' to be a string, but got nothing"));
  CHECK(refuses(with([](json &m) { m["arguments"][0]["dtype"] = "f64"; }),
                "expects 'arguments[0].dtype' to be one of 'f32', 'f16', "
                "'bf16', 'f8e4m3', 'f8e5m2', but got \"f64\""));
  CHECK(refuses(with([](json &m) { m["arguments"][1]["page"] = 0; }),
                "expects 'arguments[1].page' to be an integer in "
                "1..1073741824, but got 0"));
  CHECK(refuses(with([](json &m) { m["arguments"][0]["heads"] = -1; }),
                "expects 'arguments[0].heads' to be an integer in 1..65536, "
                "but got -1"));
  CHECK(refuses(with([](json &m) { m["arguments"][0]["heads"] = 1ull << 63; }),
                "expects 'arguments[0].heads' to be an integer in 1..65536, "
                "but got 9223372036854775808"));
  CHECK(refuses(with([](json &m) { m["query"] = 1; }),
                "expects 'query' to be -1 or the index of an argument of role "
                "'query' or 'rows', but got 1"));
  CHECK(refuses(with([](json &m) { m["entries"][0]["binary"] = 1; }),
                "expects 'entries[0].binary' to be an integer in 0..0, but got "
                "1"));
  CHECK(refuses(with([](json &m) { m["entries"][0]["group"] = 3; }),
                "expects 'entries[0].group' to be 4 query heads / 2 KV heads, "
                "but got 3"));
  CHECK(refuses(with([](json &m) { m["entries"][0]["kv_heads"] = 4; }),
                "expects 'entries[0].kv_heads' to be 2, as many as 'kv' has, "
                "but got 4"));
  CHECK(refuses(with([](json &m) { m["entries"][0]["caches"] = {0}; }),
                "expects 'entries[0].caches' to be indices of cache arguments, "
                "but got [0]"));
  CHECK(refuses(with([](json &m) { m["entries"][0]["format"] = "ptx"; }),
                "expects 'entries[0].format' to be code for 'cpu:test', but "
                "got \"ptx\""));
  CHECK(refuses(with([](json &m) { m["entries"] = json::array(); }),
                "expects 'entries' to be an array of 1..256 elements, but got "
                "[]"));
  CHECK(
      refuses(with([](json &m) { m["entries"][0]["cost"] = {{"alpha", -1}}; }),
              "expects 'entries[0].cost.alpha' to be a number in 0..1e12, but "
              "got -1"));
  CHECK(refuses(with([](json &m) {
                  m["entries"][0]["cost"] = {
                      {"item", -1}, {"alpha", 1}, {"beta", 1}};
                }),
                "expects 'entries[0].cost.item' to be a number in 0..1e12, but "
                "got -1"));
  auto withGroups = [&](json groups) {
    return with([&](json &m) {
      m["entries"][0]["cost"] = {
          {"alpha", 1}, {"beta", 1}, {"groups", std::move(groups)}};
    });
  };
  CHECK(refuses(
      withGroups({{"rows", 64}, {"keys", {1.0, -1.0}}}),
      "expects 'entries[0].cost.groups.keys' to be positive numbers, but "
      "got [1.0,-1.0]"));
  CHECK(refuses(withGroups({{"rows", 1}, {"keys", {1.0, 1.0}}}),
                "expects 'entries[0].cost.groups.keys' to be a number for each "
                "1 of 4 rows, but got [1.0,1.0]"));
}

TEST_CASE("manifest: entries for requests of many rows and of few") {
  auto with = [](const std::vector<json> &rows) {
    json object = manifest();
    object["entries"] = json::array();
    for (const json &some : rows) {
      json &entry = object["entries"].emplace_back(attend());
      if (!some.is_null())
        entry["rows"] = some;
    }
    return object;
  };
  const json many = {{"least", 17}}, few = {{"most", 16}};
  Manifest sample = parsed(with({many, few}));
  REQUIRE(sample.entries.size() == 2);
  CHECK(!sample.entries[0].takes(16));
  CHECK(sample.entries[0].takes(17));
  CHECK(sample.entries[1].takes(1));
  CHECK(sample.entries[1].takes(16));
  CHECK(!sample.entries[1].takes(17));
  CHECK(parsed(with({few, many, nullptr})).entries[2].takes(1 << 29));
  CHECK(parsed(with({few, {{"least", 17}, {"most", 20}}, {{"least", 21}}}))
            .entries.size() == 3);

  auto refusesRows = [&](const std::vector<json> &rows,
                         const std::string &message) {
    Manifest ignored;
    bool refused =
        parseManifest(with(rows).dump(), 1, ignored) == SACCADE_BAD_BLOB;
    std::string text = saccade_last_error();
    return refused && text.starts_with("manifest: expects 'entries" + message);
  };
  const std::string once = "' to be some whose 'rows' take each request once, "
                           "but requests of ";
  CHECK(refusesRows({many}, once + "1 rows are taken by none, but got "));
  CHECK(refusesRows({few}, once + "17 rows are taken by none, but got "));
  CHECK(refusesRows({few, {{"least", 19}}},
                    once + "17 rows are taken by none, but got "));
  CHECK(refusesRows({few, {{"least", 12}}},
                    once + "12 rows are taken by two, but got "));
  CHECK(refusesRows({{{"least", 9}, {"most", 8}}},
                    "[0].rows.most' to be an integer in 9..1073741824, but "
                    "got 8"));
  CHECK(refusesRows({{{"least", 0}}}, "[0].rows.least' to be an integer in "
                                      "1..1073741824, but got 0"));
  CHECK(refusesRows({json::object()}, "[0].rows' to be an object of 'least', "
                                      "'most' or both, but got {}"));
  CHECK(refusesRows({json::array()}, "[0].rows' to be an object, but got []"));
  json append = with({{{"least", 1}}});
  append["entries"][0]["kind"] = "append";
  append["entries"][0]["group"] = 1;
  CHECK(refuses(append, "expects 'entries[0].rows' to be left out of what "
                        "does not attend, but got {\"least\":1}"));
}

TEST_CASE("manifest: two entries of one launch") {
  auto with = [](auto change) {
    json object = gpuManifest();
    json &entries = object["entries"];
    entries.push_back(entries[0]);
    entries[0]["rows"] = {{"least", 17}};
    entries[1]["rows"] = {{"most", 16}};
    entries[1]["partial_floats"] = 8;
    entries[1]["fused_into"] = 0;
    change(entries);
    return object;
  };
  Manifest sample = parsed(with([](json &) {}));
  REQUIRE(sample.entries.size() == 2);
  CHECK(sample.entries[0].fused == 1);
  CHECK(sample.entries[0].fusedInto == -1);
  CHECK(sample.entries[1].fused == -1);
  CHECK(sample.entries[1].fusedInto == 0);
  Manifest apart = parsed(with([](json &e) { e[1].erase("fused_into"); }));
  CHECK(apart.entries[0].fused == -1);

  const std::string expects = "expects 'entries[1].fused_into' to be ";
  auto refusesEntries = [&](auto change, const std::string &message) {
    return refuses(with(change), expects + message);
  };
  CHECK(refusesEntries([](json &e) { e[1]["fused_into"] = 1; },
                       "an integer in 0..0, but got 1"));
  CHECK(refusesEntries([](json &e) { e[1]["threads"] = 384; },
                       "an entry of the same code, threads and bytes, unlike "
                       "'attend', but got 0"));
  CHECK(refusesEntries([](json &e) { e[0]["shared_bytes"] = 8; },
                       "an entry of the same code, threads and bytes, unlike "
                       "'attend', but got 0"));
  CHECK(refusesEntries([](json &e) { e[0]["partial_floats"] = 8; },
                       "an entry without partial states, unlike 'attend', "
                       "but got 0"));
  CHECK(refusesEntries([](json &e) { e[0].erase("rows"); },
                       "an entry of other 'rows', unlike 'attend', but got "
                       "0"));
  json third = with([](json &e) {
    e.push_back(e[1]);
    e[1]["rows"] = {{"least", 8}, {"most", 16}};
    e[2]["rows"] = {{"most", 7}};
  });
  CHECK(refuses(third, "expects 'entries[2].fused_into' to be an entry that is "
                       "in no other launch, unlike 'attend', but got 0"));
  json cpu = manifest();
  cpu["entries"].push_back(cpu["entries"][0]);
  cpu["entries"][0]["rows"] = {{"least", 17}};
  cpu["entries"][1]["rows"] = {{"most", 16}};
  cpu["entries"][1]["fused_into"] = 0;
  CHECK(refuses(cpu, expects + "an entry for a GPU, unlike 'attend', but got "
                               "0"));
}

TEST_CASE("manifest: tensor maps") {
  auto with = [](auto change) {
    json object = gpuManifest();
    object["entries"][0]["tensor_maps"] = {
        {"first_word", 40},
        {"maps",
         {{{"word", 8}, {"heads", 2}, {"tokens", 64}},
          {{"word", 12}, {"heads", 1}, {"tokens", 80}},
          {{"word", 16}, {"heads", 1}, {"tokens", 80}},
          {{"word", 25}, {"heads", 2}, {"tokens", 64}}}}};
    change(object["entries"][0]["tensor_maps"], object);
    return object;
  };
  Manifest sample = parsed(with([](json &, json &) {}));
  const Entry &entry = sample.entries[0];
  CHECK(entry.mapWord == 40);
  CHECK(entry.blockWords(sample) == 40 + 4 * 16);
  REQUIRE(entry.maps.size() == 4);
  CHECK(entry.maps[1].word == 12);
  CHECK(entry.maps[1].heads == 1);
  CHECK(entry.maps[1].tokens == 80);
  CHECK(entry.maps[1].dim == 8);
  CHECK(entry.maps[1].dtype == DType::BF16);
  CHECK(entry.maps[0].name == "'q'");
  CHECK(entry.maps[2].name == "'kv' (values)");
  CHECK(entry.maps[3].name == "'o'");
  CHECK(parsed(gpuManifest()).entries[0].blockWords(sample) == 33);

  const std::string at = "expects 'entries[0].tensor_maps";
  CHECK(refuses(with([](json &maps, json &) { maps["first_word"] = 44; }),
                at + ".first_word' to be a multiple of 8 behind the 33 words, "
                     "but got 44"));
  CHECK(refuses(with([](json &maps, json &) { maps["first_word"] = 32; }),
                at + ".first_word' to be a multiple of 8 behind the 33 words, "
                     "but got 32"));
  CHECK(refuses(with([](json &maps, json &) { maps["maps"][1]["word"] = 13; }),
                at + ".maps[1].word' to be the first word of a tensor of "
                     "8- or 16-bit elements, but got 13"));
  CHECK(refuses(with([](json &maps, json &) { maps["maps"][1]["word"] = 29; }),
                at + ".maps[1].word' to be the first word of a tensor of "
                     "8- or 16-bit elements, but got 29")); // the LSE
  CHECK(
      refuses(with([](json &, json &m) { m["arguments"][0]["dtype"] = "f32"; }),
              at + ".maps[0].word' to be the first word of a tensor of "
                   "8- or 16-bit elements, but got 8"));
  CHECK(
      refuses(with([](json &maps, json &) { maps["maps"][2]["tokens"] = 257; }),
              at + ".maps[2].tokens' to be an integer in 1..256, but got "
                   "257"));
  CHECK(refuses(with([](json &maps, json &) { maps["maps"][2]["heads"] = 0; }),
                at + ".maps[2].heads' to be an integer in 1..256, but got 0"));
  CHECK(refuses(with([](json &maps, json &) { maps["maps"] = json::array(); }),
                at + ".maps' to be an array of 1..512 elements, but got []"));
  Manifest ignored;
  CHECK(parseManifest(
            with([](json &maps, json &) { maps["first_word"] = 456; }).dump(),
            1, ignored) == SACCADE_BAD_BLOB);
  CHECK(std::string(saccade_last_error())
            .starts_with("manifest: " + at +
                         "' to be words and maps of at most 4096 bytes, not "
                         "4160, but got {"));
  CHECK(parseManifest(with([](json &, json &m) {
                        m["target"] = "cpu:test";
                        m["entries"][0]["format"] = "elf";
                      }).dump(),
                      1, ignored) == SACCADE_BAD_BLOB);
  CHECK(std::string(saccade_last_error())
            .starts_with("manifest: " + at +
                         "' to be left out of an entry for the CPU, but got"));

  json flat = with([](json &, json &) {}).flatten();
  for (auto &[path, value] : flat.items())
    for (const json &wrong : {json(), json(-1), json("x"), json::array()}) {
      json object = with([](json &, json &) {});
      object[json::json_pointer(path)] = wrong;
      (void)parseManifest(object.dump(), 1, ignored);
    }
}

TEST_CASE("manifest: survives any one field of any wrong type") {
  const json wrong[] = {nullptr,        -1,
                        1e300,          "x",
                        true,           json::array(),
                        json::object(), json::array({json::array()})};
  json flat = manifest().flatten();
  for (auto &[path, value] : flat.items())
    for (const json &replacement : wrong) {
      json object = manifest();
      object[json::json_pointer(path)] = replacement;
      Manifest ignored;
      (void)parseManifest(object.dump(), 1, ignored);
    }
}
