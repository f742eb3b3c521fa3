// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The C API of modules and plans. It rejects null pointers and hands over to
// the classes behind; out parameters are set only on success.
#include "saccade/Runtime.h"

#include "runtime/Module.h"
#include "runtime/NotNull.h"
#include "runtime/Plan.h"
#include "runtime/Tensor.h"

#include <atomic>

using namespace saccade::rt;

namespace {
std::atomic<int64_t> runs = 0;
} // namespace

SaccadeStatus saccade_module_load(const void *blob, size_t bytes,
                                  const SaccadeCpuLoader *loader,
                                  SaccadeModule **module) {
  SACCADE_TRY(
      notNull("saccade_module_load", {{"blob", blob}, {"module", module}}));
  std::unique_ptr<SaccadeModule> loaded;
  SACCADE_TRY(SaccadeModule::load({static_cast<const char *>(blob), bytes},
                                  loader, loaded));
  *module = loaded.release();
  return SACCADE_OK;
}

void saccade_module_destroy(SaccadeModule *module) { delete module; }

const char *saccade_module_manifest(const SaccadeModule *module) {
  return module ? module->manifestText().c_str() : "";
}

namespace {
Status checkEntry(const SaccadeModule &module, int32_t entry) {
  size_t entries = module.manifest().entries.size();
  if (entry < 0 || size_t(entry) >= entries)
    return invalid("@", module.manifest().kernel, ": expects an entry below ",
                   entries, ", but got ", entry);
  return SACCADE_OK;
}
} // namespace

SaccadeStatus saccade_module_code(const SaccadeModule *module, int32_t entry,
                                  const void **code, size_t *bytes) {
  SACCADE_TRY(notNull("saccade_module_code",
                      {{"module", module}, {"code", code}, {"bytes", bytes}}));
  SACCADE_TRY(checkEntry(*module, entry));
  std::string_view section =
      module->sections()[module->manifest().entries[entry].binary];
  *code = section.data();
  *bytes = section.size();
  return SACCADE_OK;
}

SaccadeStatus saccade_module_prepare(SaccadeModule *module, DLDevice device) {
  SACCADE_TRY(notNull("saccade_module_prepare", {{"module", module}}));
  return module->prepare(device);
}

SaccadeStatus saccade_module_entry_info(SaccadeModule *module, DLDevice device,
                                        int32_t entry, SaccadeEntryInfo *info) {
  SACCADE_TRY(notNull("saccade_module_entry_info",
                      {{"module", module}, {"info", info}}));
  SACCADE_TRY(checkEntry(*module, entry));
  SACCADE_TRY(module->prepare(device));
  SaccadeEntryInfo found = {};
  if (!module->manifest().isCpu()) {
    CudaCode *code;
    SACCADE_TRY(module->cudaCode(device.device_id, code));
    found = code->function(entry).info;
  }
  *info = found;
  return SACCADE_OK;
}

SaccadeStatus saccade_module_log(SaccadeModule *module, DLDevice device,
                                 const char **log) {
  SACCADE_TRY(
      notNull("saccade_module_log", {{"module", module}, {"log", log}}));
  SACCADE_TRY(module->prepare(device));
  const char *found = "";
  if (!module->manifest().isCpu()) {
    CudaCode *code;
    SACCADE_TRY(module->cudaCode(device.device_id, code));
    found = code->log().c_str();
  }
  *log = found;
  return SACCADE_OK;
}

SaccadeStatus saccade_plan_bytes(const SaccadeModule *module,
                                 const SaccadeCapacity *capacity,
                                 size_t *bytes) {
  SACCADE_TRY(
      notNull("saccade_plan_bytes",
              {{"module", module}, {"capacity", capacity}, {"bytes", bytes}}));
  return SaccadePlan::bytes(*module, *capacity, *bytes);
}

SaccadeStatus saccade_plan_create(SaccadeModule *module, DLDevice device,
                                  const SaccadeCapacity *capacity,
                                  SaccadePlan **plan) {
  SACCADE_TRY(
      notNull("saccade_plan_create",
              {{"module", module}, {"capacity", capacity}, {"plan", plan}}));
  std::unique_ptr<SaccadePlan> made;
  SACCADE_TRY(SaccadePlan::create(*module, device, *capacity, made));
  *plan = made.release();
  return SACCADE_OK;
}

SaccadeStatus saccade_plan_update(SaccadePlan *plan, const SaccadeBatch *batch,
                                  void *stream) {
  SACCADE_TRY(
      notNull("saccade_plan_update", {{"plan", plan}, {"batch", batch}}));
  return plan->update(*batch, stream);
}

SaccadeStatus saccade_plan_update_on_device(SaccadePlan *plan,
                                            const SaccadeDeviceBatch *batch,
                                            void *stream) {
  SACCADE_TRY(notNull("saccade_plan_update_on_device",
                      {{"plan", plan}, {"batch", batch}}));
  return plan->updateOnDevice(*batch, stream);
}

SaccadeStatus saccade_plan_check(SaccadePlan *plan, void *stream) {
  SACCADE_TRY(notNull("saccade_plan_check", {{"plan", plan}}));
  return plan->check(stream);
}

const char *saccade_plan_describe(SaccadePlan *plan) {
  return plan ? plan->describe().c_str() : "";
}

const char *saccade_plan_picture(SaccadePlan *plan) {
  return plan ? plan->picture().c_str() : "";
}

void saccade_plan_destroy(SaccadePlan *plan) { delete plan; }

SaccadeStatus saccade_run(SaccadePlan *plan, const SaccadeArgument *arguments,
                          int32_t count, void *stream) {
  SACCADE_TRY(notNull("saccade_run", {{"plan", plan}}));
  if (count < 0)
    return invalid("saccade_run: expects a count of 0 or more, but got ",
                   count);
  if (count > 0)
    SACCADE_TRY(notNull("saccade_run", {{"arguments", arguments}}));
  SACCADE_TRY(plan->run({arguments, size_t(count)}, stream));
  runs.fetch_add(1, std::memory_order_relaxed);
  return SACCADE_OK;
}

int64_t saccade_run_count() { return runs.load(std::memory_order_relaxed); }

SaccadeStatus saccade_run_objects(const SaccadeObjectRun *run) {
  SACCADE_TRY(notNull("saccade_run_objects", {{"run", run}}));
  if (run->num_objects < 0)
    return invalid("saccade_run_objects: expects num_objects of 0 or more, but "
                   "got ",
                   run->num_objects);
  if (run->num_objects > 0)
    SACCADE_TRY(notNull("saccade_run_objects",
                        {{"objects", run->objects},
                         {"tensors", run->tensors},
                         {"read", reinterpret_cast<void *>(run->read)}}));
  for (int32_t i = 0; i < run->num_objects; ++i)
    if (run->read(run->objects[i], run->tensors[i]) != 0)
      return invalid("saccade_run_objects: expects objects that can be read, "
                     "but objects[",
                     i, "] cannot");
  void *stream = run->stream;
  auto [type, id] = run->device;
  if (run->current_stream && run->current_stream(type, id, &stream) != 0)
    return invalid("saccade_run_objects: expects a current stream of ",
                   nameOf(run->device), ", but got none");
  void *unlocked = run->unlock ? run->unlock() : nullptr;
  SaccadeStatus status =
      saccade_run(run->plan, run->arguments, run->count, stream);
  if (run->lock)
    run->lock(unlocked);
  return status;
}
