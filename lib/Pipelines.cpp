// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The compiler as a list of passes, a function a level. Beside an unusual order
// stands its reason.

#include "lib/Pipelines.h"

#include "dialects/Attn/Attn.h"
#include "dialects/Tile/Tile.h"
#include "lib/Conversion/CpuPipeline.h"
#include "lib/Conversion/Passes.h"
#include "lib/Target/CpuTarget.h"
#include "lib/Target/PtxTarget.h"
#include "lib/Transforms/Passes.h"

#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;
using namespace saccade;

static constexpr llvm::StringLiteral kOptional[] = {
    "attn-derive-tile-bounds", "tile-split-full-tiles", "tile-fuse-maps",
    "tile-issue-loads-early",  "tile-skip-rescales",    "tile-defer-sums",
    "tile-load-queries-early", "tile-stage-outputs",    "tile-overlap-products",
    "tile-watch-keys",         "tile-skip-idle-groups", "tile-take-turns",
    "saccade-look-up-early",   "canonicalize",          "cse",
    "tile-order-launches",     "saccade-fuse-entries"};

ArrayRef<llvm::StringLiteral> saccade::optionalPasses() { return kOptional; }

namespace {
/// Adds passes unless they are disabled.
struct Stage {
  OpPassManager &pm;
  const PipelineOptions &options;

  template <typename Op = void> void optional(std::unique_ptr<Pass> pass) {
    if (options.disabled.contains(pass->getArgument()))
      return;
    if constexpr (std::is_void_v<Op>)
      pm.addPass(std::move(pass));
    else
      pm.addNestedPass<Op>(std::move(pass));
  }
  void cleanUp() {
    optional(createCanonicalizerPass());
    optional(createCSEPass());
  }
};
} // namespace

void saccade::buildAttnPipeline(OpPassManager &pm,
                                const PipelineOptions &options) {
  Stage stage{pm, options};
  // attn, arith, math, vector
  stage.optional<attn::VariantOp>(createDeriveTileBoundsPass());
  stage.cleanUp();
  const GpuChip *chip = GpuChip::find(options.target);
  pm.addNestedPass<attn::KernelOp>(
      createChooseSchedulePass({options.target, chip ? chip->sharedBytes : 0}));
}

void saccade::buildTilePipeline(OpPassManager &pm,
                                const PipelineOptions &options) {
  Stage stage{pm, options};
  // tile, scf, arith, math, vector
  pm.addPass(createConvertAttnToTilePass());
  stage.cleanUp();
  // Before masks are maps, while it is known which maps are masks.
  stage.optional<tile::EntryOp>(createSplitFullTilesPass());
  pm.addNestedPass<tile::EntryOp>(createLowerMasksPass());
  stage.optional<tile::EntryOp>(createFuseMapsPass());
  pm.addNestedPass<tile::EntryOp>(createLowerItemLoopPass());
  stage.cleanUp();
}

static void buildGpuPipeline(OpPassManager &pm,
                             const PipelineOptions &options) {
  Stage stage{pm, options};
  const GpuChip *chip = GpuChip::find(options.target);
  // tile, scf, arith, math, vector
  pm.addPass(createExpandMathPass());
  stage.cleanUp();
  stage.optional<tile::EntryOp>(createSkipRescalesPass());
  pm.addNestedPass<tile::EntryOp>(createAssignLayoutsPass());
  // Roles before products overlap: the warps that load must not be delayed.
  stage.optional<tile::EntryOp>(createDeferSumsPass());
  pm.addNestedPass<tile::EntryOp>(createMakePipesPass());
  pm.addNestedPass<tile::EntryOp>(createSpecializeWarpsPass());
  pm.addNestedPass<tile::EntryOp>(createDealKeysPass());
  stage.optional<tile::EntryOp>(createLoadQueriesEarlyPass());
  // Before products overlap, which releases queries early otherwise.
  stage.optional<tile::EntryOp>(createStageOutputsPass());
  stage.optional<tile::EntryOp>(createOverlapProductsPass());
  pm.addNestedPass<tile::EntryOp>(createIssueProductsPass());
  stage.optional<tile::EntryOp>(createWatchKeysPass());
  stage.optional<tile::EntryOp>(createTakeTurnsPass());
  stage.optional<tile::EntryOp>(createSkipIdleGroupsPass());
  stage.cleanUp();
  // Before bytes are dealt out, since it makes tiles live longer.
  stage.optional<tile::EntryOp>(createIssueLoadsEarlyPass());
  pm.addNestedPass<tile::EntryOp>(
      createAllocateSharedPass({chip ? chip->sharedBytes : 0}));
  pm.addNestedPass<tile::EntryOp>(createPlaceBarriersPass());
  // Behind all that moves loads and stores.
  if (chip && chip->startsEarly())
    stage.optional<tile::EntryOp>(createOrderLaunchesPass());
  // llvm, nvvm, scf, arith, math, vector
  pm.addPass(createConvertTileToNvvmPass());
  stage.optional<LLVM::LLVMFuncOp>(createLookUpEarlyPass());
  // Behind all that looks at one entry, while branches are regions.
  stage.optional(createFuseEntriesPass());
  // llvm, nvvm
  pm.addPass(createConvertScalarsToNvvmPass());
}

void saccade::buildTargetPipeline(OpPassManager &pm,
                                  const PipelineOptions &options) {
  if (options.isCpu())
    buildCpuPipeline(pm, CpuMachine::host().lanes());
  else
    buildGpuPipeline(pm, options);
}

void saccade::registerDialects(DialectRegistry &registry) {
  registry.insert<arith::ArithDialect, attn::AttnDialect, func::FuncDialect,
                  LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
                  NVVM::NVVMDialect, scf::SCFDialect, tile::TileDialect,
                  vector::VectorDialect>();
}

namespace {
/// Options of a level on the command line.
struct LevelOptions : PassPipelineOptions<LevelOptions> {
  Option<std::string> target{*this, "target", llvm::cl::init("cpu"),
                             llvm::cl::desc("cpu, or a GPU architecture")};
  ListOption<std::string> disable{
      *this, "disable", llvm::cl::desc("optional passes to leave out")};

  PipelineOptions get() const {
    PipelineOptions options;
    options.target = target;
    for (const std::string &name : disable)
      options.disabled.insert(name);
    return options;
  }
};
} // namespace

void saccade::registerPasses() {
  registerTransformsPasses();
  registerSaccadeTransformsPasses();
  registerSaccadeConversionPasses();
  auto level = [](StringRef name, StringRef description, auto build) {
    // Registers itself; the registry keeps what it needs.
    static_cast<void>(PassPipelineRegistration<LevelOptions>(
        name, description,
        [build](OpPassManager &pm, const LevelOptions &options) {
          build(pm, options.get());
        }));
  };
  level("saccade-attn", "attn to attn: bounds and schedules",
        buildAttnPipeline);
  level("saccade-tile", "attn to tile, for every target", buildTilePipeline);
  level("saccade-target", "tile to the LLVM dialect of the target",
        buildTargetPipeline);
}
