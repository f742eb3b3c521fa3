// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// Keeps compiled kernels, in memory and on disk, under the hash of all that
// they were made from. The disk is believed only as far as checksums go:
// whatever is truncated, damaged, foreign or of another build is dropped and
// made again.
#ifndef SACCADE_RUNTIME_KERNELCACHE_H
#define SACCADE_RUNTIME_KERNELCACHE_H

#include "runtime/Status.h"

#include <compare>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace saccade::rt {

/// A 128-bit content hash (XXH3, Y. Collet). Equal keys mean equal kernels.
struct CacheKey {
  uint64_t high = 0, low = 0;
  auto operator<=>(const CacheKey &) const = default;
  std::string hex() const;
};

/// Hashes parts with their lengths: ("ab", "c") and ("a", "bc") differ.
CacheKey hashParts(std::initializer_list<std::string_view> parts);

/// Safe from many threads and, on disk, from many processes.
class KernelCache {
public:
  enum class Origin { Memory, Disk, Built };
  using Blob = std::shared_ptr<const std::string>;
  using Builder = std::function<Status(std::string &blob)>;

  /// `directory`: where entries lie, made when needed; "": memory only.
  /// `build`: id of the compiler; entries of another are dropped.
  /// `shipped`: folders of entries that are read too, and never written.
  KernelCache(std::string directory, std::string build,
              std::vector<std::string> shipped = {})
      : directory(std::move(directory)), build(std::move(build)),
        shipped(std::move(shipped)) {}

  /// $SACCADE_CACHE_DIR, which may be "" to have none, else
  /// $XDG_CACHE_HOME/saccade, else ~/.cache/saccade, else "".
  static std::string defaultDirectory();
  /// $SACCADE_KERNELS, folders with colons between them.
  static std::vector<std::string> shippedDirectories();
  const std::string &folder() const { return directory; }

  /// The blob of a key: from memory, from disk, or built and kept in both. One
  /// thread builds a key; others that want it wait for that. A builder that
  /// fails is asked again by the next call.
  Status get(const CacheKey &key, const Builder &builder, Blob &blob,
             Origin *origin = nullptr);

  /// The two halves of get for callers that do more around them.
  std::optional<std::string> readDisk(const CacheKey &key) const;
  /// Failing to write is no error: the entry is then built again by the next
  /// process.
  void writeDisk(const CacheKey &key, std::string_view blob) const;

  /// Drops an entry that turned out not to load.
  void forget(const CacheKey &key);

private:
  struct Slot {
    std::mutex building;
    Blob blob;
  };
  std::string pathOf(const CacheKey &key) const;
  /// An entry that is whole and of this build; others are dropped if `mend`.
  std::optional<std::string> readEntry(const std::string &path,
                                       const CacheKey &key, bool mend) const;

  std::string directory, build;
  std::vector<std::string> shipped;
  std::mutex mutex; ///< of the map; slots have their own
  std::map<CacheKey, std::shared_ptr<Slot>> slots;
};

} // namespace saccade::rt
#endif // SACCADE_RUNTIME_KERNELCACHE_H
