// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// saccade/Engine.h: the account of what was chosen, for programs and for
// people.

#include "lib/CAPI/CompileOptions.h"
#include "lib/Engine/Kernel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"

#include <map>

using namespace llvm;
using namespace saccade;

static StringRef nameOf(Origin origin) {
  switch (origin) {
  case Origin::Memory:
    return "memory";
  case Origin::Disk:
    return "disk";
  case Origin::Built:
    break;
  }
  return "compiled";
}

/// What the device says of each entry; what it does not say is left out.
static void addDevice(SaccadeModule *module, DLDevice device,
                      json::Array &entries) {
  for (auto [i, value] : enumerate(entries)) {
    SaccadeEntryInfo info = {};
    if (saccade_module_entry_info(module, device, static_cast<int32_t>(i),
                                  &info) != SACCADE_OK)
      continue;
    json::Object &entry = *value.getAsObject();
    if (device.device_type == kDLCUDA) {
      entry["registers"] = info.registers;
      entry["spilled_bytes"] = info.local_bytes;
      entry["blocks_per_processor"] = info.blocks_per_processor;
    }
  }
}

namespace {
/// Rows of a name and a text, for people.
class Table {
public:
  void add(StringRef name, const Twine &text) {
    rows.push_back(json::Array{name, text.str()});
  }
  json::Array rows;
};
} // namespace

/// Three digits that count.
static std::string digits(double ms) {
  if (ms >= 100)
    return formatv("{0:F0}", ms);
  return formatv("{0}", format("%.3g", ms));
}

static std::string text(const json::Value *value) {
  return value ? formatv("{0}", *value) : std::string();
}

static std::string joined(const json::Array *list) {
  if (!list || list->empty())
    return "none";
  return join(map_range(*list,
                        [](const json::Value &item) {
                          return item.getAsString().value_or("").str();
                        }),
              ", ");
}

static void addEntry(const json::Object &entry, const json::Array &entries,
                     Table &table) {
  auto number = [&](StringRef name) { return text(entry.get(name)); };
  table.add(*entry.getString("name"),
            *entry.getString("kind") + ", " +
                entry.getString("schedule").value_or("no schedule"));
  table.add("  item", "up to " + number("rows_per_item") + " packed rows (" +
                          number("group") + " query heads a KV head) x " +
                          number("kv_tile") + " keys a step, " +
                          number("kv_heads") + " KV heads");
  if (const json::Object *rows = entry.getObject("rows")) {
    if (const json::Value *least = rows->get("least"))
      table.add("  requests", "of " + text(least) + " rows or more");
    if (const json::Value *most = rows->get("most"))
      table.add("  requests", "of " + text(most) + " rows or less");
  }
  if (std::optional<int64_t> leader = entry.getInteger("fused_into"))
    table.add("  launch",
              "that of " + *entries[*leader].getAsObject()->getString("name") +
                  ": each CTA has items of one of the two");
  if (entry.get("partial_floats"))
    table.add("  parts", "keys may be split, a state is " +
                             number("partial_floats") + " floats");
  std::string resources;
  for (auto [field, what] : {std::pair("threads", "threads"),
                             {"shared_bytes", "shared bytes"},
                             {"registers", "registers"},
                             {"spilled_bytes", "bytes spilled"},
                             {"blocks_per_processor", "blocks per SM"}})
    if (entry.get(field))
      resources += formatv("{0}{1} {2}", resources.empty() ? "" : ", ",
                           number(field), what);
  table.add("  resources", resources);
}

/// The report as people read it.
static json::Array tableOf(const json::Object &report) {
  Table table;
  for (StringRef field : {"kernel", "target", "device"})
    if (std::optional<StringRef> value = report.getString(field))
      table.add(field, *value);
  if (const json::Value *driver = report.get("driver"))
    table.add("least driver", text(driver));
  if (const json::Array *entries = report.getArray("entries"))
    for (const json::Value &entry : *entries)
      addEntry(*entry.getAsObject(), *entries, table);
  if (const json::Array *masks = report.getArray("masks"))
    for (const json::Value &value : *masks) {
      const json::Object &mask = *value.getAsObject();
      int64_t intervals = mask.getInteger("intervals").value_or(0);
      table.add("mask",
                "@" + *mask.getString("variant") + ": " +
                    (intervals ? "bounds in closed form, intervals of keys: " +
                                     Twine(intervals)
                               : Twine("no closed form, every key is tested")));
    }
  if (const json::Array *remarks = report.getArray("remarks"))
    for (const json::Value &remark : *remarks)
      table.add("remark", *remark.getAsString());
  table.add("passes off", joined(report.getArray("disabled")));
  std::string stages;
  if (const json::Object *spent = report.getObject("stages_ms")) {
    std::map<std::string, double> sorted;
    for (const auto &[stage, ms] : *spent)
      sorted[stage.str()] = *ms.getAsNumber();
    for (const auto &[stage, ms] : sorted)
      stages += formatv("{0}{1} {2} ms", stages.empty() ? " (" : ", ", stage,
                        digits(ms));
  }
  table.add("from", *report.getString("cache") + " in " +
                        digits(*report.getNumber("create_ms")) + " ms" +
                        stages + (stages.empty() ? "" : ")"));
  if (std::optional<StringRef> key = report.getString("key"))
    table.add("key", *key);
  return std::move(table.rows);
}

SaccadeStatus saccade_kernel_explain(SaccadeKernel *kernel,
                                     const DLDevice *device,
                                     const char **text) {
  if (!kernel || !text)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a kernel and a place for the text");
  SaccadeModule *module = kernel->loaded->module;
  Expected<json::Value> parsed = json::parse(saccade_module_manifest(module));
  if (!parsed)
    return fail(SACCADE_INTERNAL_ERROR, toString(parsed.takeError()));
  json::Object manifest = std::move(*parsed->getAsObject());
  json::Object report;
  if (json::Object *made = manifest.getObject("report"))
    report = std::move(*made);
  for (StringRef field : {"kernel", "target", "build", "driver", "entries"})
    if (json::Value *value = manifest.get(field))
      report[field] = std::move(*value);
  report["cache"] = nameOf(kernel->origin);
  report["create_ms"] = kernel->createMs;
  if (!kernel->stagesMs.empty())
    report["stages_ms"] = cantFail(json::parse(kernel->stagesMs));
  if (json::Array *entries = report.getArray("entries"); device && entries) {
    SaccadeDeviceInfo info = {};
    if (SaccadeStatus status = saccade_device_info(*device, &info);
        status != SACCADE_OK)
      return status;
    report["device"] = std::string(info.name); // its own copy
    addDevice(module, *device, *entries);
  }
  report["table"] = tableOf(report);
  kernel->explanation = formatv("{0:2}", json::Value(std::move(report)));
  *text = kernel->explanation.c_str();
  return SACCADE_OK;
}
