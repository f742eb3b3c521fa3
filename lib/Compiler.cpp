// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Runs the levels one after another over a parsed spec, times them, and puts
// manifest and code together. What each level does is in Pipelines.cpp.

#include "lib/Compiler.h"

#include "dialects/Tile/Tile.h"
#include "lib/BuildId.h"
#include "lib/Manifest.h"
#include "lib/Pipelines.h"
#include "lib/TargetCode.h"
#include "lib/Transforms/PipelineModel.h"
#include "saccade/Blob.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FormatVariadic.h"

#include <chrono>

using namespace mlir;
using namespace saccade;
namespace json = llvm::json;

const std::string *Compilation::stage(StringRef name) const {
  for (const auto &[stage, content] : stages)
    if (stage == name)
      return &content;
  return nullptr;
}

ArrayRef<StringRef> saccade::targetNames() {
  static constexpr StringRef names[] = {"cpu", "sm_80", "sm_89", "sm_90a",
                                        "sm_120"};
  return names;
}

ArrayRef<StringRef> saccade::stageNames() {
  static constexpr StringRef names[] = {"spec", "mlir",  "tile", "llvm",
                                        "ptx",  "cubin", "obj"};
  return names;
}

SaccadeStatus saccade::checkOptions(CompileOptions &options,
                                    std::string &error) {
  auto check = [&](StringRef what, auto known, StringRef given) {
    if (!error.empty() || llvm::is_contained(known, given))
      return;
    error = llvm::formatv("expects {0} to be one of {1}, but got '{2}'", what,
                          llvm::join(known, ", "), given);
  };
  check("target", targetNames(), options.target);
  if (!options.until.empty())
    check("the last stage", stageNames(), options.until);
  for (const std::string &pass : options.disabled)
    check("a pass to disable", optionalPasses(), pass);
  constexpr uint32_t most = 1 << 30;
  if (error.empty() && options.queryTokens > most)
    error = llvm::formatv("expects at most {0} query tokens of a request, but "
                          "got {1}",
                          most, options.queryTokens);
  llvm::sort(options.disabled);
  if (error.empty() && options.assemble && options.target == "cpu")
    error = "expects a GPU target to assemble for, but got 'cpu'";
  return error.empty() ? SACCADE_OK : SACCADE_INVALID_ARGUMENT;
}

//===----------------------------------------------------------------------===//
// Keys
//===----------------------------------------------------------------------===//

/// Hashes parts with their lengths, so that no two lists run together.
static std::string hashOf(ArrayRef<StringRef> parts) {
  llvm::BLAKE3 hash;
  for (StringRef part : parts) {
    hash.update(llvm::utostr(part.size()) + ":");
    hash.update(part);
  }
  return llvm::toHex(hash.final<16>(), /*LowerCase=*/true);
}

static std::string hashWithOptions(StringRef content,
                                   const CompileOptions &options) {
  std::string machine = options.target == "cpu" ? hostCpu() : "";
  return hashOf({content, options.schedule, llvm::utostr(options.queryTokens),
                 options.target, machine, llvm::join(options.disabled, ","),
                 options.assemble ? "assembled" : "", buildId()});
}

std::string saccade::contentKey(Spec &spec, const CompileOptions &options) {
  return hashWithOptions("spec " + spec.canonicalText(), options);
}

std::string saccade::textKey(StringRef text, const CompileOptions &options) {
  return hashWithOptions(hashOf({"text", text, options.kernel}), options);
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

namespace {
/// One compilation on its way.
class Compiler {
public:
  Compiler(Spec &spec, const CompileOptions &options, Compilation &result)
      : spec(spec), options(options), result(result),
        log(spec.context(), spec.sources()) {}

  /// Fills the result, as far as it gets.
  SaccadeStatus run();
  /// Why run failed.
  std::string errors() const {
    std::string text = error.empty() ? log.errors() : error;
    return text.empty() ? "the compiler failed without a diagnostic" : text;
  }

private:
  using Build = void (*)(OpPassManager &, const PipelineOptions &);

  SaccadeStatus runStages();
  LogicalResult setSchedule();
  void setQueryTokens();
  LogicalResult lower(StringRef stage, Build build);
  LogicalResult generate(const Signature &signature);
  void keep(StringRef stage, std::string content) {
    if (options.keepStages)
      result.stages.emplace_back(stage, std::move(content));
  }
  bool endsWith(StringRef stage) const { return options.until == stage; }
  void reportMasks();
  void reportEntries(const Signature &signature);

  Spec &spec;
  const CompileOptions &options;
  Compilation &result;
  DiagnosticLog log;
  std::string error; ///< what is wrong with the options, not with the spec
  json::Object stagesMs;
  json::Array entries;
};

/// Milliseconds since its construction.
class Stopwatch {
public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(
               std::chrono::steady_clock::now() - begin)
        .count();
  }

private:
  std::chrono::steady_clock::time_point begin =
      std::chrono::steady_clock::now();
};
} // namespace

static std::string print(Operation *op) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  op->print(stream);
  stream << '\n';
  return text;
}

/// The schedule that the caller asks for takes the place of the spec's.
LogicalResult Compiler::setSchedule() {
  if (options.schedule.empty())
    return success();
  Attribute schedule = parseAttribute(options.schedule, &spec.context());
  if (!isa_and_nonnull<tile::ScheduleAttr>(schedule)) {
    error = "expects a #tile.schedule, but got '" + options.schedule + "'";
    if (std::string text = log.errors(); !text.empty())
      error += "\n" + text;
    return failure();
  }
  spec.kernel().setScheduleAttr(schedule);
  spec.kernel()->removeAttr(kFewRowsScheduleAttr);
  return success();
}

/// So does the hint.
void Compiler::setQueryTokens() {
  if (options.queryTokens)
    spec.kernel()->setAttr(
        kQueryTokensAttr,
        IntegerAttr::get(IntegerType::get(&spec.context(), 64),
                         options.queryTokens));
}

LogicalResult Compiler::lower(StringRef stage, Build build) {
  Stopwatch watch;
  PipelineOptions pipeline;
  pipeline.target = options.target;
  for (const std::string &pass : options.disabled)
    pipeline.disabled.insert(pass);
  PassManager passes(&spec.context(), ModuleOp::getOperationName());
  passes.enableVerifier(true);
  build(passes, pipeline);
  LogicalResult lowered = passes.run(spec.module());
  stagesMs[stage] = watch.ms();
  return lowered;
}

/// How each mask became bounds on key tiles, or that it did not.
void Compiler::reportMasks() {
  json::Array masks;
  for (auto variant : spec.module().getOps<attn::VariantOp>()) {
    if (!variant.getBodyOf<attn::MaskOp>())
      continue;
    json::Object mask{{"variant", variant.getSymName().str()}};
    auto bounds = variant.getBodyOf<attn::BoundsOp>();
    mask["intervals"] =
        bounds
            ? int64_t(
                  bounds.getBody().front().getTerminator()->getNumOperands() /
                  4)
            : 0;
    if (bounds)
      mask["bounds"] = print(bounds);
    masks.push_back(std::move(mask));
  }
  result.report["masks"] = std::move(masks);
}

void Compiler::reportEntries(const Signature &signature) {
  size_t appends = 0;
  spec.module().walk([&](tile::EntryOp entry) {
    json::Object object = describeEntry(entry, signature, appends);
    appends += entry.getKind() == tile::EntryKind::append;
    object["schedule"] = [&] {
      std::string text;
      llvm::raw_string_ostream(text) << entry.getSchedule();
      return text;
    }();
    entries.push_back(std::move(object));
  });
}

static json::Object describeMaps(const TargetEntry &entry) {
  json::Array maps;
  for (auto [word, heads, tokens] : entry.maps)
    maps.push_back(
        json::Object{{"word", word}, {"heads", heads}, {"tokens", tokens}});
  return json::Object{{"first_word", entry.mapWord}, {"maps", std::move(maps)}};
}

LogicalResult Compiler::generate(const Signature &signature) {
  Stopwatch watch;
  TargetCode code;
  if (failed(generateCode(spec.module(), options, code)))
    return failure();
  if (code.stagesMs.empty())
    code.stagesMs.emplace_back("obj", watch.ms());
  for (auto &[stage, ms] : code.stagesMs)
    stagesMs[stage] = ms;
  for (auto &[stage, content] : code.stages)
    keep(stage, std::move(content));
  if (!options.until.empty() && code.binary.empty())
    return success();

  llvm::StringMap<int64_t> places;
  for (json::Value &value : entries) {
    json::Object &entry = *value.getAsObject();
    StringRef name = *entry.getString("name");
    const TargetEntry &target = code.entry(name);
    places.try_emplace(name, places.size());
    if (auto launch = places.find(target.launch); launch != places.end())
      entry["fused_into"] = launch->second;
    entry["threads"] = target.threads;
    entry["shared_bytes"] = target.sharedBytes;
    if (target.registers >= 0) {
      entry["registers"] = target.registers;
      entry["spilled_bytes"] = target.spilledBytes;
    }
    if (!target.maps.empty())
      entry["tensor_maps"] = describeMaps(target);
    if (target.waits)
      entry["waits"] = true;
    entry["binary"] = 0;
    entry["format"] = code.format;
  }
  json::Object manifest{{"abi", SACCADE_ABI_VERSION},
                        {"build", buildId()},
                        {"kernel", signature.kernel},
                        {"target", code.target},
                        {"query", signature.query},
                        {"arguments", json::Array(signature.arguments)},
                        {"results", json::Array(signature.results)},
                        {"entries", json::Array(entries)}};
  if (code.driver)
    manifest["driver"] = code.driver;
  // Beside what the runtime reads: what `saccade explain` tells of a kernel
  // that comes from a cache.
  json::Object told;
  for (StringRef field : {"key", "disabled", "remarks", "masks"})
    if (json::Value *value = result.report.get(field))
      told[field] = *value;
  manifest["report"] = std::move(told);
  std::string text = llvm::formatv("{0}", json::Value(std::move(manifest)));
  result.blob = writeBlob(text, {code.binary});
  return success();
}

SaccadeStatus Compiler::run() {
  SaccadeStatus status = runStages();
  result.report["entries"] = std::move(entries);
  result.report["stages_ms"] = std::move(stagesMs);
  return status;
}

SaccadeStatus Compiler::runStages() {
  result.report["key"] = contentKey(spec, options);
  FailureOr<Signature> signature = readSignature(spec.kernel());
  if (failed(signature) || failed(setSchedule()))
    return error.empty() ? SACCADE_BAD_SPEC : SACCADE_INVALID_ARGUMENT;
  setQueryTokens();
  result.report["kernel"] = signature->kernel;
  result.report["target"] = options.target;
  result.report["arguments"] = json::Array(signature->arguments);
  result.report["results"] = json::Array(signature->results);
  keep("spec", print(spec.module()));
  if (endsWith("spec"))
    return SACCADE_OK;

  if (failed(lower("attn", buildAttnPipeline)))
    return SACCADE_BAD_SPEC;
  keep("mlir", print(spec.module()));
  reportMasks();
  readFolds(spec.kernel(), *signature);
  if (endsWith("mlir"))
    return SACCADE_OK;

  if (failed(lower("tile", buildTilePipeline)))
    return SACCADE_BAD_SPEC;
  keep("tile", print(spec.module()));
  reportEntries(*signature);
  json::Array disabled;
  for (const std::string &pass : options.disabled)
    disabled.push_back(pass);
  result.report["disabled"] = std::move(disabled);
  result.report["remarks"] = json::Array(log.remarks);
  if (endsWith("tile"))
    return SACCADE_OK;

  if (failed(lower("lower", buildTargetPipeline)))
    return SACCADE_BAD_SPEC;
  result.report["remarks"] = json::Array(log.remarks);
  if (failed(generate(*signature)))
    return SACCADE_BAD_SPEC;
  return SACCADE_OK;
}

SaccadeStatus saccade::compile(Spec &spec, const CompileOptions &options,
                               Compilation &compilation, std::string &error) {
  Compiler compiler(spec, options, compilation);
  SaccadeStatus status = compiler.run();
  if (status != SACCADE_OK)
    error = compiler.errors();
  return status;
}

SaccadeStatus saccade::compileText(StringRef text,
                                   const CompileOptions &options,
                                   Compilation &compilation,
                                   std::string &error) {
  Stopwatch watch;
  Spec spec;
  SaccadeStatus status =
      Spec::parse(text, options.name, options.kernel, spec, error);
  if (status != SACCADE_OK)
    return status;
  double parseMs = watch.ms();
  status = compile(spec, options, compilation, error);
  if (json::Object *stages = compilation.report.getObject("stages_ms"))
    (*stages)["parse"] = parseMs;
  compilation.report["total_ms"] = watch.ms();
  return status;
}
