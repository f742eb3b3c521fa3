// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// What is read out of the words of ptxas.

#include "lib/Target/PtxTarget.h"

#include "test/unit/Test.h"

using namespace saccade;

static constexpr llvm::StringLiteral kLog = R"(
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'append' for 'sm_90a'
ptxas info    : Function properties for append
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 80 registers, used 1 barriers
ptxas info    : Compiling entry function 'attend' for 'sm_90a'
ptxas info    : Function properties for attend
    48 bytes stack frame, 24 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 255 registers, used 1 barriers, 400 bytes cumulative stack size
)";

TEST_CASE("the report of ptxas gives registers and spills of each kernel") {
  auto resources = parseResources(kLog);
  REQUIRE(resources.size() == 2);
  CHECK(resources[0].name == "append");
  CHECK(resources[0].registers == 80);
  CHECK(resources[0].spillStoreBytes == 0);
  CHECK(resources[1].name == "attend");
  CHECK(resources[1].registers == 255);
  CHECK(resources[1].stackBytes == 48);
  CHECK(resources[1].spillStoreBytes == 24);
  CHECK(resources[1].spillLoadBytes == 16);
}

TEST_CASE("a serialised pipeline is found among the information") {
  CHECK(!findSerialization(kLog));
  auto line = findSerialization(
      "ptxas info    : 0 bytes gmem\n"
      "ptxas info    : (C7510) Potential Performance Loss: wgmma.mma_async "
      "instructions are serialized\n");
  REQUIRE(line);
  CHECK(line->contains("C7510"));
}

TEST_CASE("chips are known by name, and name the least driver") {
  for (const GpuChip &chip : GpuChip::all())
    CHECK(GpuChip::find(chip.name) == &chip);
  CHECK(GpuChip::find("sm_75") == nullptr);
  CHECK(GpuChip::find("sm_90a")->driver == 12000);
}
