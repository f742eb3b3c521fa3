// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The disk form of an entry, little endian, in <directory>/<key>.kernel:
//
//     0  char[8]  magic "SACCACHE"
//     8  uint32   SACCADE_ABI_VERSION
//    12  uint32   size of the build id
//    16  uint64   key, high and low: a file that was renamed is foreign
//    32  uint64   size of the blob
//    40  uint64   XXH3-128 of build id and blob, high and low
//    56  build id, blob, and nothing after them
//
// Writers fill a file of their own and rename it: readers see old or new,
// whole.
#include "runtime/KernelCache.h"

#include "saccade/KernelABI.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace saccade::rt;

namespace {

constexpr char kMagic[] = "SACCACHE";

struct EntryHeader {
  char magic[8];
  uint32_t abi;
  uint32_t buildBytes;
  uint64_t keyHigh, keyLow;
  uint64_t blobBytes;
  uint64_t sumHigh, sumLow;
};
static_assert(sizeof(EntryHeader) == 56);

/// No kernel comes near it; a file that claims more is damaged.
constexpr off_t kMostBytes = off_t(1) << 30;

EntryHeader headerOf(const CacheKey &key, std::string_view build,
                     std::string_view body) {
  XXH128_hash_t sum = XXH3_128bits(body.data(), body.size());
  EntryHeader header = {{},
                        SACCADE_ABI_VERSION,
                        static_cast<uint32_t>(build.size()),
                        key.high,
                        key.low,
                        body.size() - build.size(),
                        sum.high64,
                        sum.low64};
  memcpy(header.magic, kMagic, sizeof header.magic);
  return header;
}

/// A file descriptor that closes itself.
struct File {
  explicit File(int descriptor) : descriptor(descriptor) {}
  ~File() {
    if (descriptor >= 0)
      close(descriptor);
  }
  File(const File &) = delete;
  File &operator=(const File &) = delete;
  const int descriptor;
};

bool readAll(int file, char *to, size_t bytes) {
  while (bytes > 0) {
    ssize_t got = read(file, to, bytes);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      return false;
    to += got;
    bytes -= got;
  }
  return true;
}

bool writeAll(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t put = write(file, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR)
      continue;
    if (put <= 0)
      return false;
    bytes.remove_prefix(put);
  }
  return true;
}

/// mkdir -p, for this user alone: what lies here is executed.
void makeDirectories(const std::string &path) {
  for (size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0700);
    if (end == path.npos)
      return;
  }
}

} // namespace

std::string CacheKey::hex() const {
  char text[33];
  snprintf(text, sizeof text, "%016llx%016llx",
           static_cast<unsigned long long>(high),
           static_cast<unsigned long long>(low));
  return text;
}

CacheKey saccade::rt::hashParts(std::initializer_list<std::string_view> parts) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (std::string_view part : parts) {
    uint64_t size = part.size();
    XXH3_128bits_update(&state, &size, sizeof size);
    XXH3_128bits_update(&state, part.data(), part.size());
  }
  XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.high64, hash.low64};
}

std::string KernelCache::defaultDirectory() {
  if (const char *own = getenv("SACCADE_CACHE_DIR"))
    return own;
  // A relative XDG_CACHE_HOME is to be ignored (XDG Base Directory
  // Specification).
  if (const char *xdg = getenv("XDG_CACHE_HOME"); xdg && *xdg == '/')
    return join(xdg, "/saccade");
  if (const char *home = getenv("HOME"); home && *home == '/')
    return join(home, "/.cache/saccade");
  return "";
}

std::string KernelCache::pathOf(const CacheKey &key) const {
  return join(directory, "/", key.hex(), ".kernel");
}

std::vector<std::string> KernelCache::shippedDirectories() {
  const char *text = getenv("SACCADE_KERNELS");
  std::vector<std::string> folders;
  for (std::string_view rest = text ? text : ""; !rest.empty();) {
    size_t end = std::min(rest.find(':'), rest.size());
    if (end > 0)
      folders.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return folders;
}

std::optional<std::string> KernelCache::readDisk(const CacheKey &key) const {
  if (!directory.empty())
    if (auto found = readEntry(pathOf(key), key, /*mend=*/true))
      return found;
  for (const std::string &folder : shipped)
    if (auto found = readEntry(join(folder, "/", key.hex(), ".kernel"), key,
                               /*mend=*/false))
      return found;
  return std::nullopt;
}

std::optional<std::string> KernelCache::readEntry(const std::string &path,
                                                  const CacheKey &key,
                                                  bool mend) const {
  File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.descriptor < 0)
    return std::nullopt;
  auto drop = [&]() -> std::optional<std::string> {
    // Another process may have put a good one here meanwhile; it is then built
    // once more, and nothing worse.
    if (mend)
      unlink(path.c_str());
    return std::nullopt;
  };
  struct stat status;
  if (fstat(file.descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    return std::nullopt;
  if (status.st_size < off_t(sizeof(EntryHeader)) ||
      status.st_size > kMostBytes)
    return drop();
  EntryHeader header;
  std::string body(status.st_size - sizeof header, '\0');
  if (!readAll(file.descriptor, reinterpret_cast<char *>(&header),
               sizeof header) ||
      !readAll(file.descriptor, body.data(), body.size()))
    return drop();
  if (!body.starts_with(build))
    return drop();
  EntryHeader wanted = headerOf(key, build, body);
  if (memcmp(&header, &wanted, sizeof header) != 0)
    return drop();
  body.erase(0, build.size());
  return body;
}

void KernelCache::writeDisk(const CacheKey &key, std::string_view blob) const {
  if (directory.empty())
    return;
  makeDirectories(directory);
  static std::atomic<unsigned> counter = 0;
  std::string path = pathOf(key);
  std::string temporary = join(path, ".", getpid(), ".", counter++);
  bool whole = false;
  {
    File file(open(temporary.c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.descriptor < 0)
      return;
    std::string body = build + std::string(blob);
    EntryHeader header = headerOf(key, build, body);
    whole = writeAll(file.descriptor, {reinterpret_cast<const char *>(&header),
                                       sizeof header}) &&
            writeAll(file.descriptor, body);
  }
  if (!whole || rename(temporary.c_str(), path.c_str()) != 0)
    unlink(temporary.c_str());
}

Status KernelCache::get(const CacheKey &key, const Builder &builder, Blob &blob,
                        Origin *origin) {
  std::shared_ptr<Slot> slot;
  {
    std::lock_guard lock(mutex);
    std::shared_ptr<Slot> &entry = slots[key];
    if (!entry)
      entry = std::make_shared<Slot>();
    slot = entry;
  }
  std::lock_guard lock(slot->building);
  Origin from = Origin::Memory;
  if (!slot->blob) {
    std::string bytes;
    if (std::optional<std::string> found = readDisk(key)) {
      bytes = std::move(*found);
      from = Origin::Disk;
    } else {
      SACCADE_TRY(builder(bytes));
      writeDisk(key, bytes);
      from = Origin::Built;
    }
    slot->blob = std::make_shared<const std::string>(std::move(bytes));
  }
  blob = slot->blob;
  if (origin)
    *origin = from;
  return SACCADE_OK;
}

void KernelCache::forget(const CacheKey &key) {
  {
    std::lock_guard lock(mutex);
    slots.erase(key);
  }
  if (!directory.empty())
    unlink(pathOf(key).c_str());
}
