// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Reads the GNU build id (a hash over the linked output) of the loaded object
// that this function lies in: libsaccade, or a tool that links the rooms.

#include "lib/BuildId.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"

#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <link.h>

using namespace saccade;

namespace {
struct Search {
  uintptr_t address;
  std::string id;
};
} // namespace

/// Takes the build id out of an object's notes.
static std::string readNotes(const char *note, size_t bytes) {
  const char *end = note + bytes;
  auto padded = [](size_t size) { return (size + 3) & ~size_t(3); };
  while (note + sizeof(ElfW(Nhdr)) <= end) {
    ElfW(Nhdr) header;
    std::memcpy(&header, note, sizeof header);
    const char *name = note + sizeof header;
    const char *content = name + padded(header.n_namesz);
    if (content + header.n_descsz > end)
      break;
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        std::memcmp(name, "GNU", 4) == 0)
      return llvm::toHex(
          llvm::ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(content),
                                  header.n_descsz),
          /*LowerCase=*/true);
    note = content + padded(header.n_descsz);
  }
  return "";
}

static int visitObject(dl_phdr_info *info, size_t, void *data) {
  auto &search = *static_cast<Search *>(data);
  bool mine = false;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr) &header = info->dlpi_phdr[i];
    uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    mine |= header.p_type == PT_LOAD && search.address >= begin &&
            search.address < begin + header.p_memsz;
  }
  if (!mine)
    return 0;
  for (int i = 0; i < info->dlpi_phnum && search.id.empty(); ++i) {
    const ElfW(Phdr) &header = info->dlpi_phdr[i];
    if (header.p_type == PT_NOTE)
      search.id = readNotes(
          reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr),
          header.p_memsz);
  }
  return 1;
}

/// For linkers that leave no build id: the file's own bytes.
static std::string hashOfFile(const void *address) {
  Dl_info info;
  if (!dladdr(address, &info) || !info.dli_fname)
    return "unknown";
  auto file = llvm::MemoryBuffer::getFile(info.dli_fname);
  if (!file)
    return "unknown";
  return llvm::utohexstr(llvm::xxh3_64bits((*file)->getBuffer()),
                         /*LowerCase=*/true);
}

const std::string &saccade::buildId() {
  static const std::string id = [] {
    const void *self = reinterpret_cast<const void *>(&saccade::buildId);
    Search search{reinterpret_cast<uintptr_t>(self), ""};
    dl_iterate_phdr(visitObject, &search);
    return search.id.empty() ? hashOfFile(self) : search.id;
  }();
  return id;
}
