// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads JSON objects field by field, strictly: wrong ones are complained of
// with their path and what they hold.
#ifndef SACCADE_RUNTIME_FIELDS_H
#define SACCADE_RUNTIME_FIELDS_H

#include "runtime/Status.h"

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace saccade::rt {

/// The fields of one JSON object. The first wrong one sets the error; later
/// reads then return harmless values, so that callers check once.
class Fields {
public:
  Fields(const nlohmann::json &object, std::string path, bool &good)
      : object(object), path(std::move(path)), good(good) {
    if (!object.is_object())
      complain("", "an object");
  }

  bool has(const char *name) const {
    return object.is_object() && object.contains(name);
  }

  int32_t integer(const char *name, int32_t least, int32_t most) {
    const nlohmann::json *value = find(name);
    if (value && value->is_number_integer()) {
      // Out of int64 range only as an unsigned: compare before converting.
      bool fits = !value->is_number_unsigned() ||
                  value->get<uint64_t>() <= uint64_t(SACCADE_MAX_POSITION);
      if (int64_t got = value->get<int64_t>();
          fits && got >= least && got <= most)
        return static_cast<int32_t>(got);
    }
    complain(name, join("an integer in ", least, "..", most));
    return least;
  }

  bool boolean(const char *name) {
    const nlohmann::json *value = find(name);
    if (value && value->is_boolean())
      return value->get<bool>();
    complain(name, "true or false");
    return false;
  }

  std::string text(const char *name) {
    const nlohmann::json *value = find(name);
    if (value && value->is_string() &&
        !value->get_ref<const std::string &>().empty())
      return value->get<std::string>();
    complain(name, "a string");
    return "?";
  }

  template <typename Enum>
  Enum
  choice(const char *name,
         std::initializer_list<std::pair<std::string_view, Enum>> choices) {
    const nlohmann::json *value = find(name);
    std::string all;
    for (auto [text, result] : choices) {
      if (value && value->is_string() &&
          value->get_ref<const std::string &>() == text)
        return result;
      all += join(all.empty() ? "" : ", ", "'", text, "'");
    }
    complain(name, join("one of ", all));
    return choices.begin()->second;
  }

  double positive(const char *name) {
    const nlohmann::json *value = find(name);
    if (value && value->is_number())
      if (double got = value->get<double>(); got >= 0 && got <= 1e12)
        return got;
    complain(name, "a number in 0..1e12");
    return 1;
  }

  const nlohmann::json &array(const char *name, size_t least, size_t most) {
    static const nlohmann::json none = nlohmann::json::array();
    const nlohmann::json *value = find(name);
    if (value && value->is_array() && value->size() >= least &&
        value->size() <= most)
      return *value;
    complain(name, join("an array of ", least, "..", most, " elements"));
    return none;
  }

  Fields inner(const char *name) {
    static const nlohmann::json none = nlohmann::json::object();
    const nlohmann::json *value = find(name);
    return Fields(value ? *value : none, join(path, name, "."), good);
  }

  void complain(const char *name, std::string_view expected) {
    if (!good)
      return;
    good = false;
    std::string where = path + name;
    if (!where.empty() && where.back() == '.')
      where.pop_back();
    const nlohmann::json *value = find(name);
    std::string got =
        value ? value->dump(-1, ' ', true,
                            nlohmann::json::error_handler_t::replace)
              : "nothing";
    if (got.size() > 60)
      got = got.substr(0, 57) + "...";
    setError(join("manifest: expects '", where, "' to be ", expected,
                  ", but got ", got));
  }

private:
  const nlohmann::json *find(const char *name) const {
    if (!*name)
      return &object;
    if (!object.is_object())
      return nullptr;
    auto it = object.find(name);
    return it == object.end() ? nullptr : &*it;
  }

  const nlohmann::json &object;
  std::string path;
  bool &good;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_FIELDS_H
