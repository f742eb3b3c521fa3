// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Text comes from users, so everything here ends in a diagnostic: nesting is
// bounded before MLIR's recursive parser sees it, and no dialect is loaded but
// those that a spec may hold.

#include "lib/Spec.h"

#include "dialects/Tile/Tile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

using namespace mlir;
using namespace saccade;

//===----------------------------------------------------------------------===//
// DiagnosticLog
//===----------------------------------------------------------------------===//

struct DiagnosticLog::Handlers {
  Handlers(DiagnosticLog &log, MLIRContext &context, llvm::SourceMgr &sources)
      : stream(log.text), printer(sources, &context, stream),
        sieve(&context, [&log](Diagnostic &diagnostic) {
          // Handlers are asked newest first; a failure passes the word on.
          if (diagnostic.getSeverity() == DiagnosticSeverity::Error ||
              diagnostic.getSeverity() == DiagnosticSeverity::Note)
            return failure();
          std::string text;
          llvm::raw_string_ostream out(text);
          if (auto at =
                  diagnostic.getLocation()->findInstanceOf<FileLineColLoc>())
            out << at.getLine() << ':' << at.getColumn() << ": ";
          out << diagnostic.str();
          log.remarks.push_back(std::move(text));
          return success();
        }) {}
  llvm::raw_string_ostream stream;
  SourceMgrDiagnosticHandler printer;
  ScopedDiagnosticHandler sieve;
};

DiagnosticLog::DiagnosticLog(MLIRContext &context, llvm::SourceMgr &sources)
    : handlers(std::make_unique<Handlers>(*this, context, sources)) {}
DiagnosticLog::~DiagnosticLog() = default;

std::string DiagnosticLog::errors() const {
  handlers->stream.flush();
  return StringRef(text).rtrim('\n').str();
}

//===----------------------------------------------------------------------===//
// Spec
//===----------------------------------------------------------------------===//

/// MLIR's parser recurses into brackets; deeper nesting than any spec has would
/// run out of stack.
static constexpr int kMaxNesting = 200;

/// The offset of the first bracket that is nested too deeply, or npos.
static size_t findDeepNesting(StringRef text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("//")) {
      i = text.find('\n', i);
      if (i == StringRef::npos)
        break;
    } else if (text[i] == '"') {
      // To the closing quote; the lexer rejects strings that span lines.
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        if (text[i] == '\\')
          ++i;
    } else if (StringRef("([{<").contains(text[i])) {
      if (++depth > kMaxNesting)
        return i;
    } else if (StringRef(")]}").contains(text[i]) ||
               (text[i] == '>' && (i == 0 || text[i - 1] != '-'))) {
      depth = std::max(0, depth - 1);
    }
  }
  return StringRef::npos;
}

bool Spec::read(StringRef text, StringRef name) {
  manager = std::make_unique<llvm::SourceMgr>();
  owned = std::make_unique<MLIRContext>(MLIRContext::Threading::DISABLED);
  owned->loadDialect<attn::AttnDialect, tile::TileDialect, arith::ArithDialect,
                     math::MathDialect, vector::VectorDialect>();
  owned->printOpOnDiagnostic(false);
  // A copy: the parser wants a zero byte after the text.
  manager->AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(text, name),
                              llvm::SMLoc());
  log = std::make_unique<DiagnosticLog>(*owned, *manager);

  const llvm::MemoryBuffer *buffer = manager->getMemoryBuffer(1);
  if (size_t at = findDeepNesting(buffer->getBuffer()); at != StringRef::npos) {
    llvm::SMLoc loc =
        llvm::SMLoc::getFromPointer(buffer->getBufferStart() + at);
    auto [line, column] = manager->getLineAndColumn(loc);
    emitError(FileLineColLoc::get(owned.get(), name, line, column))
        << "expects at most " << kMaxNesting << " nested brackets";
    return false;
  }
  ParserConfig config(owned.get());
  root = parseSourceFile<ModuleOp>(*manager, config);
  return static_cast<bool>(root);
}

SaccadeStatus Spec::parse(StringRef text, StringRef name, StringRef kernel,
                          Spec &spec, std::string &error) {
  SaccadeStatus status = SACCADE_BAD_SPEC;
  if (spec.read(text, name))
    status = spec.pick(kernel, error);
  if (status != SACCADE_OK && error.empty())
    error = spec.log->errors();
  spec.log.reset();
  return status;
}

SaccadeStatus Spec::kernelNames(StringRef text, StringRef name,
                                std::vector<std::string> &names,
                                std::string &error) {
  Spec spec;
  std::optional<SmallVector<attn::KernelOp>> kernels;
  if (spec.read(text, name))
    kernels = spec.findKernels();
  if (!kernels) {
    error = spec.log->errors();
    spec.log.reset();
    return SACCADE_BAD_SPEC;
  }
  for (attn::KernelOp kernel : *kernels)
    names.push_back(kernel.getSymName().str());
  spec.log.reset();
  return SACCADE_OK;
}

std::optional<SmallVector<attn::KernelOp>> Spec::findKernels() {
  SmallVector<attn::KernelOp> kernels;
  for (Operation &op : *root->getBody()) {
    if (auto kernel = dyn_cast<attn::KernelOp>(op)) {
      kernels.push_back(kernel);
    } else if (!isa<attn::VariantOp>(op)) {
      op.emitError("expects attn.variant or attn.kernel, but got ")
          << op.getName().getStringRef();
      return std::nullopt;
    }
  }
  return kernels;
}

SaccadeStatus Spec::pick(StringRef name, std::string &error) {
  std::optional<SmallVector<attn::KernelOp>> found = findKernels();
  if (!found)
    return SACCADE_BAD_SPEC;
  ArrayRef<attn::KernelOp> kernels = *found;
  std::string names;
  for (attn::KernelOp kernel : kernels) {
    names += (names.empty() ? "" : ", ") + kernel.getSymName().str();
    if (name == kernel.getSymName() || (name.empty() && kernels.size() == 1))
      picked = kernel;
  }
  if (!picked) {
    if (kernels.empty())
      error = "expects an attn.kernel in the spec, but got none";
    else if (name.empty())
      error = "expects the name of one of the spec's kernels: " + names;
    else
      error = "expects one of the spec's kernels (" + names + "), but got '" +
              name.str() + "'";
    return SACCADE_BAD_SPEC;
  }

  // What another kernel says is no part of this one's content.
  for (attn::KernelOp kernel : kernels)
    if (kernel != picked)
      kernel.erase();
  for (auto variant :
       llvm::make_early_inc_range(root->getOps<attn::VariantOp>()))
    if (SymbolTable::symbolKnownUseEmpty(variant, *root))
      variant.erase();
  return SACCADE_OK;
}

std::string Spec::canonicalText() {
  std::string text;
  llvm::raw_string_ostream stream(text);
  root->print(stream, OpPrintingFlags().enableDebugInfo(false));
  return text;
}
