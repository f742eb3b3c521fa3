// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What a launch has to know is read from the attributes of lowered kernels:
// threads, shared memory, tensor maps.
#include "lib/Pipelines.h"
#include "lib/Target/PtxTarget.h"
#include "test/unit/Test.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

using namespace saccade;

TEST_CASE("gpu entries: kernels, with and without tensor maps") {
  mlir::DialectRegistry registry;
  registerDialects(registry);
  mlir::MLIRContext context(registry, mlir::MLIRContext::Threading::DISABLED);
  auto module = mlir::parseSourceString<mlir::ModuleOp>(R"mlir(
    llvm.func @helper(%arg0: i32) { llvm.return }
    llvm.func @plain(%words: !llvm.ptr {llvm.byval = !llvm.array<29 x i64>})
        attributes {nvvm.kernel, nvvm.maxntid = array<i32: 128>} {
      llvm.return
    }
    llvm.func @piped(%words: !llvm.ptr {llvm.align = 64 : i64,
                                        llvm.byval = !llvm.array<64 x i64>})
        attributes {nvvm.kernel, nvvm.maxntid = array<i32: 512>,
                    tile.shared_bytes = 131200 : i64, tile.map_word = 32 : i64,
                    tile.tensor_maps = [array<i64: 4, 4, 48>,
                                        array<i64: 8, 1, 80>]} {
      llvm.return
    })mlir",
                                                        &context);
  REQUIRE(module);
  auto entries = gpuEntries(*module);
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].name == "plain");
  CHECK(entries[0].threads == 128);
  CHECK(entries[0].sharedBytes == 0);
  CHECK(entries[0].maps.empty());
  CHECK(entries[1].threads == 512);
  CHECK(entries[1].sharedBytes == 131200);
  CHECK(entries[1].mapWord == 32);
  REQUIRE(entries[1].maps.size() == 2);
  CHECK(entries[1].maps[0] == std::array<int64_t, 3>{4, 4, 48});
  CHECK(entries[1].maps[1] == std::array<int64_t, 3>{8, 1, 80});
}
