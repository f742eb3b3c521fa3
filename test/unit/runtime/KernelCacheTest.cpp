// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// The kernel cache on good days and bad ones: many threads, many processes,
// files cut short, damaged, foreign or stale, and folders that cannot be
// written.
#include "runtime/KernelCache.h"
#include "test/unit/Test.h"

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace saccade::rt;
namespace fs = std::filesystem;

namespace {

/// A folder that is gone after the test.
struct Folder {
  std::string path;
  Folder() {
    char name[] = "/tmp/saccade-cache-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

std::string readFile(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
void writeFile(const fs::path &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

KernelCache::Builder always(const std::string &bytes) {
  return [bytes](std::string &blob) -> Status {
    blob = bytes;
    return SACCADE_OK;
  };
}

/// Where a fresh cache (another process, to the disk) finds the key.
KernelCache::Origin originOf(const Folder &folder, const CacheKey &key,
                             const char *build = "build") {
  KernelCache cache(folder.path, build);
  KernelCache::Blob blob;
  KernelCache::Origin origin{};
  REQUIRE(cache.get(key, always("kernel"), blob, &origin) == SACCADE_OK);
  CHECK(*blob == "kernel");
  return origin;
}

using Origin = KernelCache::Origin;
const CacheKey kKey = hashParts({"spec", "schedule", "target", "build"});

} // namespace

TEST_CASE("cache: keys tell parts apart") {
  CHECK(hashParts({"ab", "c"}) != hashParts({"a", "bc"}));
  CHECK(hashParts({"a"}) != hashParts({"a", ""}));
  CHECK(hashParts({"a"}) == hashParts({"a"}));
  CHECK(kKey.hex().size() == 32);
}

TEST_CASE("cache: memory, disk, built") {
  Folder folder;
  KernelCache cache(folder.path, "build");
  KernelCache::Blob first, second;
  Origin origin{};
  REQUIRE(cache.get(kKey, always("kernel"), first, &origin) == SACCADE_OK);
  CHECK(origin == Origin::Built);
  REQUIRE(cache.get(kKey, always("other"), second, &origin) == SACCADE_OK);
  CHECK(origin == Origin::Memory);
  CHECK(first == second);
  CHECK(originOf(folder, kKey) == Origin::Disk);
  cache.forget(kKey);
  CHECK(originOf(folder, kKey) == Origin::Built);
}

TEST_CASE("cache: a failing builder leaves nothing and is asked again") {
  Folder folder;
  KernelCache cache(folder.path, "build");
  KernelCache::Blob blob;
  CHECK(cache.get(
            kKey,
            [](std::string &) { return fail(SACCADE_BAD_SPEC, "no good"); },
            blob) == SACCADE_BAD_SPEC);
  CHECK(fs::is_empty(folder.path));
  CHECK(cache.get(kKey, always("kernel"), blob) == SACCADE_OK);
}

TEST_CASE("cache: truncated entries are rebuilt") {
  Folder folder;
  originOf(folder, kKey);
  fs::path path = folder.path + "/" + kKey.hex() + ".kernel";
  std::string good = readFile(path);
  for (size_t size = 0; size < good.size(); ++size) {
    writeFile(path, good.substr(0, size));
    CHECK(originOf(folder, kKey) == Origin::Built);
    CHECK(originOf(folder, kKey) == Origin::Disk);
  }
  writeFile(path, good + "x");
  CHECK(originOf(folder, kKey) == Origin::Built);
}

TEST_CASE("cache: damaged entries are dropped and rebuilt") {
  Folder folder;
  originOf(folder, kKey);
  fs::path path = folder.path + "/" + kKey.hex() + ".kernel";
  std::string good = readFile(path);
  KernelCache cache(folder.path, "build");
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string damaged = good;
    damaged[bit / 8] ^= 1 << (bit % 8);
    writeFile(path, damaged);
    CHECK(!cache.readDisk(kKey));
    CHECK(!fs::exists(path));
  }
  CHECK(originOf(folder, kKey) == Origin::Built);
  CHECK(readFile(path) == good);
}

TEST_CASE("cache: foreign and stale entries are rebuilt") {
  Folder folder;
  CacheKey other = hashParts({"another spec"});
  originOf(folder, other);
  // A good entry under the wrong name.
  fs::rename(folder.path + "/" + other.hex() + ".kernel",
             folder.path + "/" + kKey.hex() + ".kernel");
  CHECK(originOf(folder, kKey) == Origin::Built);
  CHECK(originOf(folder, kKey, "newer build") == Origin::Built);
  CHECK(originOf(folder, kKey, "newer build") == Origin::Disk);
  writeFile(folder.path + "/" + kKey.hex() + ".kernel",
            "#!/bin/sh\necho something else entirely, and long enough\n");
  CHECK(originOf(folder, kKey, "newer build") == Origin::Built);
  // A folder in the way: neither read nor replaced, and no error.
  fs::remove(folder.path + "/" + kKey.hex() + ".kernel");
  fs::create_directory(folder.path + "/" + kKey.hex() + ".kernel");
  CHECK(originOf(folder, kKey) == Origin::Built);
  CHECK(originOf(folder, kKey) == Origin::Built);
}

TEST_CASE("cache: a folder that cannot be made or written is no error") {
  for (const char *path : {"/proc/saccade", "/dev/null/saccade", ""}) {
    KernelCache cache(path, "build");
    KernelCache::Blob blob;
    CHECK(cache.get(kKey, always("kernel"), blob) == SACCADE_OK);
    CHECK(*blob == "kernel");
  }
}

TEST_CASE("cache: makes its folders, for this user alone") {
  Folder folder;
  std::string deep = folder.path + "/a/b";
  KernelCache cache(deep, "build");
  KernelCache::Blob blob;
  REQUIRE(cache.get(kKey, always("kernel"), blob) == SACCADE_OK);
  struct stat status;
  REQUIRE(stat(deep.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0700);
}

TEST_CASE("cache: where it lies") {
  auto set = [](const char *name, const char *value) {
    value ? setenv(name, value, 1) : unsetenv(name);
  };
  const char *names[] = {"SACCADE_CACHE_DIR", "XDG_CACHE_HOME", "HOME"};
  std::vector<std::pair<bool, std::string>> before;
  for (const char *name : names) {
    const char *value = getenv(name);
    before.push_back({value, value ? value : ""});
  }
  auto at = [&](const char *own, const char *xdg, const char *home) {
    set("SACCADE_CACHE_DIR", own);
    set("XDG_CACHE_HOME", xdg);
    set("HOME", home);
    return KernelCache::defaultDirectory();
  };
  CHECK(at("/own", "/xdg", "/home") == "/own");
  CHECK(at("", "/xdg", "/home") == "");
  CHECK(at(nullptr, "/xdg", "/home") == "/xdg/saccade");
  CHECK(at(nullptr, "relative", "/home") == "/home/.cache/saccade");
  CHECK(at(nullptr, nullptr, nullptr) == "");
  for (size_t i = 0; i < 3; ++i)
    set(names[i], before[i].first ? before[i].second.c_str() : nullptr);
}

TEST_CASE("cache: one thread builds, the others wait") {
  Folder folder;
  KernelCache cache(folder.path, "build");
  std::atomic<int> builds = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      KernelCache::Blob blob;
      auto builder = [&](std::string &bytes) -> Status {
        ++builds;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        bytes = "kernel";
        return SACCADE_OK;
      };
      (void)cache.get(kKey, builder, blob);
      CHECK(*blob == "kernel");
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(builds == 1);
}

TEST_CASE("cache: many processes at one entry") {
  Folder folder;
  std::string big(200000, 'k');
  std::vector<pid_t> children;
  for (int c = 0; c < 4; ++c) {
    pid_t child = fork();
    if (child == 0) {
      bool good = true;
      for (int round = 0; round < 40; ++round) {
        KernelCache cache(folder.path, "build");
        KernelCache::Blob blob;
        good &=
            cache.get(kKey, always(big), blob) == SACCADE_OK && *blob == big;
        if (round % 8 == c)
          cache.forget(kKey);
        if (round % 8 == c + 1)
          writeFile(folder.path + "/" + kKey.hex() + ".kernel", "half a ker");
      }
      _exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 1;
    waitpid(child, &status, 0);
    CHECK(status == 0);
  }
  // Nobody left a temporary file behind.
  for (auto &entry : fs::directory_iterator(folder.path))
    CHECK(entry.path().extension() == ".kernel");
}
