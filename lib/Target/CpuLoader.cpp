// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Links object files into this process by JITLink, without compiling anything:
// a kernel from the disk cache is ready in a millisecond. All work is done on
// the calling thread.

#include "lib/Target/CpuTarget.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/ObjectLinkingLayer.h"
#include "llvm/ExecutionEngine/Orc/SelfExecutorProcessControl.h"
#include "llvm/ExecutionEngine/Orc/TaskDispatch.h"
#include "llvm/Support/MemoryBuffer.h"

#include <cstring>
#include <math.h>
#include <mutex>

using namespace saccade;
namespace orc = llvm::orc;

struct CpuLoader::Session {
  std::unique_ptr<orc::ExecutionSession> execution;
  std::unique_ptr<orc::ObjectLinkingLayer> layer;
  orc::JITDylib *process = nullptr;           ///< what generated code may call
  llvm::StringMap<orc::JITDylib *> libraries; ///< by the object's bytes
  std::string reported;
  std::mutex mutex;

  ~Session() {
    if (execution)
      llvm::cantFail(execution->endSession());
  }
  llvm::Error start();
  llvm::Expected<orc::JITDylib *> link(llvm::StringRef object);
};

llvm::Error CpuLoader::Session::start() {
  if (execution)
    return llvm::Error::success();
  auto control = orc::SelfExecutorProcessControl::Create(
      nullptr, std::make_unique<orc::InPlaceTaskDispatcher>());
  if (!control)
    return control.takeError();
  execution = std::make_unique<orc::ExecutionSession>(std::move(*control));
  // By default errors also go to the standard error stream.
  execution->setErrorReporter([this](llvm::Error error) {
    reported += llvm::toString(std::move(error)) + "; ";
  });
  layer = std::make_unique<orc::ObjectLinkingLayer>(*execution);
  process = &execution->createBareJITDylib("process");
  // What code generation may ask for: moves of memory, and on processors
  // without the instructions, roundings. Nothing else is linked.
  orc::SymbolMap symbols;
  auto provide = [&](llvm::StringRef name, auto *function) {
    symbols[execution->intern(name)] = {orc::ExecutorAddr::fromPtr(function),
                                        llvm::JITSymbolFlags::Exported |
                                            llvm::JITSymbolFlags::Callable};
  };
  provide("memcpy",
          static_cast<void *(*)(void *, const void *, size_t)>(&std::memcpy));
  provide("memmove",
          static_cast<void *(*)(void *, const void *, size_t)>(&std::memmove));
  provide("memset", static_cast<void *(*)(void *, int, size_t)>(&std::memset));
  provide("fmaf", static_cast<float (*)(float, float, float)>(&::fmaf));
  provide("fma", static_cast<double (*)(double, double, double)>(&::fma));
  provide("floorf", static_cast<float (*)(float)>(&::floorf));
  provide("ceilf", static_cast<float (*)(float)>(&::ceilf));
  provide("trunc", static_cast<double (*)(double)>(&::trunc));
  return process->define(orc::absoluteSymbols(std::move(symbols)));
}

llvm::Expected<orc::JITDylib *>
CpuLoader::Session::link(llvm::StringRef object) {
  auto found = libraries.find(object);
  if (found != libraries.end())
    return found->second;
  if (llvm::Error error = start())
    return error;
  orc::JITDylib &library = execution->createBareJITDylib(
      "kernels" + std::to_string(libraries.size()));
  library.addToLinkOrder(*process);
  auto buffer = llvm::MemoryBuffer::getMemBufferCopy(object, "kernel.o");
  if (llvm::Error error = layer->add(library, std::move(buffer)))
    return error;
  libraries[object] = &library;
  return &library;
}

CpuLoader::CpuLoader() : session(std::make_unique<Session>()) {}
CpuLoader::~CpuLoader() = default;

llvm::Expected<void *> CpuLoader::load(llvm::StringRef object,
                                       llvm::StringRef symbol) {
  std::lock_guard<std::mutex> lock(session->mutex);
  llvm::Expected<orc::JITDylib *> library = session->link(object);
  if (!library)
    return library.takeError();
  auto address = session->execution->lookup({*library}, symbol);
  if (!address) {
    std::string reason = llvm::toString(address.takeError());
    return llvm::createStringError(session->reported + reason);
  }
  return address->getAddress().toPtr<void *>();
}
