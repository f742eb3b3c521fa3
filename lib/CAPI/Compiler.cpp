// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// saccade/Compiler.h over lib/Compiler.h: C strings and bytes in and out,
// errors as status and message.

#include "lib/CAPI/CompileOptions.h"

#include "lib/BuildId.h"
#include "lib/Pipelines.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include <deque>

using namespace llvm;
using namespace saccade;

SaccadeStatus saccade::fail(SaccadeStatus status, const Twine &message) {
  saccade_set_error(message.str().c_str());
  return status;
}

SaccadeStatus saccade::readOptions(const SaccadeCompileOptions *given,
                                   CompileOptions &options) {
  if (given) {
    auto take = [](const char *text, std::string &to) {
      if (text)
        to = text;
    };
    take(given->target, options.target);
    take(given->kernel, options.kernel);
    take(given->name, options.name);
    take(given->schedule, options.schedule);
    take(given->until, options.until);
    SmallVector<StringRef> disabled;
    StringRef(given->disabled ? given->disabled : "")
        .split(disabled, ',', /*MaxSplit=*/-1, /*KeepEmpty=*/false);
    for (StringRef pass : disabled)
      options.disabled.push_back(pass.trim().str());
    constexpr uint32_t known =
        SACCADE_COMPILE_KEEP_STAGES | SACCADE_COMPILE_ASSEMBLE;
    if (given->flags & ~known)
      return fail(SACCADE_INVALID_ARGUMENT, "expects unknown flags to be zero");
    options.queryTokens = given->query_tokens;
    options.keepStages = given->flags & SACCADE_COMPILE_KEEP_STAGES;
    options.assemble = given->flags & SACCADE_COMPILE_ASSEMBLE;
  }
  std::string error;
  if (SaccadeStatus status = checkOptions(options, error); status != SACCADE_OK)
    return fail(status, error);
  return SACCADE_OK;
}

namespace {
/// Names with a zero byte after them.
class Names {
public:
  explicit Names(auto names) {
    for (StringRef name : names)
      strings.push_back(name.str());
  }
  int32_t size() const { return static_cast<int32_t>(strings.size()); }
  const char *at(int32_t index) const {
    return index >= 0 && index < size() ? strings[index].c_str() : nullptr;
  }

private:
  std::deque<std::string> strings;
};
} // namespace

static const Names &targets() {
  static const Names names(targetNames());
  return names;
}
static const Names &passes() {
  static const Names names(optionalPasses());
  return names;
}

int32_t saccade_target_count(void) { return targets().size(); }
const char *saccade_target_name(int32_t index) { return targets().at(index); }
int32_t saccade_pass_count(void) { return passes().size(); }
const char *saccade_pass_name(int32_t index) { return passes().at(index); }
const char *saccade_build_id(void) { return buildId().c_str(); }

SaccadeStatus saccade_spec_kernels(const char *text, size_t bytes,
                                   const char *name, const char **names) {
  if (!text || !names)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a spec and a place for the names");
  std::vector<std::string> found;
  std::string error;
  if (SaccadeStatus status = Spec::kernelNames(
          StringRef(text, bytes), name ? name : "spec", found, error);
      status != SACCADE_OK)
    return fail(status, error);
  thread_local std::string joined;
  joined = join(found, "\n");
  *names = joined.c_str();
  return SACCADE_OK;
}

struct SaccadeCompilation {
  Compilation result;
  std::string report;
};

SaccadeStatus saccade_compile(const char *text, size_t bytes,
                              const SaccadeCompileOptions *given,
                              SaccadeCompilation **compilation) {
  if (!text || !compilation)
    return fail(SACCADE_INVALID_ARGUMENT,
                "expects a spec and a place for the compilation");
  CompileOptions options;
  if (SaccadeStatus status = readOptions(given, options); status != SACCADE_OK)
    return status;
  auto made = std::make_unique<SaccadeCompilation>();
  std::string error;
  if (SaccadeStatus status =
          compileText(StringRef(text, bytes), options, made->result, error);
      status != SACCADE_OK)
    return fail(status, error);
  made->report =
      formatv("{0:2}", json::Value(json::Object(made->result.report)));
  *compilation = made.release();
  return SACCADE_OK;
}

void saccade_compilation_destroy(SaccadeCompilation *compilation) {
  delete compilation;
}

const void *saccade_compilation_blob(const SaccadeCompilation *compilation,
                                     size_t *bytes) {
  static const std::string none;
  const std::string &blob = compilation ? compilation->result.blob : none;
  if (bytes)
    *bytes = blob.size();
  return blob.empty() ? nullptr : blob.data();
}

const char *saccade_compilation_stage(const SaccadeCompilation *compilation,
                                      const char *stage, size_t *bytes) {
  const std::string *content =
      compilation && stage ? compilation->result.stage(stage) : nullptr;
  if (bytes)
    *bytes = content ? content->size() : 0;
  return content ? content->c_str() : nullptr;
}

const char *saccade_compilation_report(const SaccadeCompilation *compilation) {
  return compilation ? compilation->report.c_str() : "{}";
}
