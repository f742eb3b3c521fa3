// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// A pool of sleeping threads. The caller works too, so a pool that could start
// no thread, or is busy with other callers, is slower and never stuck.
#include "runtime/CpuPool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <list>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

using namespace saccade::rt;

namespace {

/// One call of runOnCpu. It lives on the caller's stack until no worker holds
/// it.
struct Job {
  SaccadeCpuEntry entry;
  const uint64_t *words;
  int32_t ctas;
  int32_t helpers = 0; ///< workers that may still join; guarded by the pool
  int32_t inside = 0;  ///< workers in it; guarded by the pool
  std::atomic<int32_t> next = 0;

  void work() {
    for (int32_t cta;
         (cta = next.fetch_add(1, std::memory_order_relaxed)) < ctas;)
      entry(words, cta);
  }
};

class Pool {
public:
  void run(Job &job, int32_t threads) {
    int32_t helpers = std::min(threads, job.ctas) - 1;
    {
      std::lock_guard lock(mutex);
      job.helpers = helpers;
      startWorkers(helpers);
      jobs.push_back(&job);
    }
    for (int32_t i = 0; i < helpers; ++i)
      wake.notify_one();
    job.work();
    std::unique_lock lock(mutex);
    jobs.remove(&job);
    done.wait(lock, [&] { return job.inside == 0; });
  }

  const pid_t process = getpid();

private:
  /// Starts threads until there are so many. One that cannot be started is done
  /// without.
  void startWorkers(int32_t count) {
    if (workers >= count)
      return;
    // Signals are for the threads of whoever called us.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; workers < count; ++workers) {
      pthread_t thread;
      auto main = [](void *pool) -> void * {
        static_cast<Pool *>(pool)->serve();
        return nullptr;
      };
      if (pthread_create(&thread, nullptr, main, this) != 0)
        break;
      pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  Job *findJob() {
    for (Job *job : jobs)
      if (job->helpers > 0)
        return job;
    return nullptr;
  }

  [[noreturn]] void serve() {
    std::unique_lock lock(mutex);
    while (true) {
      Job *job;
      wake.wait(lock, [&] { return (job = findJob()) != nullptr; });
      --job->helpers;
      ++job->inside;
      lock.unlock();
      job->work();
      lock.lock();
      if (--job->inside == 0)
        done.notify_all();
    }
  }

  std::mutex mutex;
  std::condition_variable wake, done;
  std::list<Job *> jobs;
  int32_t workers = 0;
};

/// The pool of this process. A forked child finds its parent's, whose threads
/// and locks mean nothing to it, leaves it alone and makes its own. Pools are
/// never destroyed: their threads may sleep in them while the process exits.
Pool &pool() {
  static std::atomic<Pool *> current = nullptr;
  Pool *seen = current.load(std::memory_order_acquire);
  while (!seen || seen->process != getpid()) {
    Pool *fresh = new Pool;
    if (current.compare_exchange_strong(seen, fresh, std::memory_order_acq_rel))
      return *fresh;
    delete fresh;
  }
  return *seen;
}

constexpr int32_t kMostThreads = 1024;
std::atomic<int32_t> chosenThreads = 0;

int32_t defaultThreads() {
  if (const char *text = getenv("SACCADE_NUM_THREADS")) {
    char *end;
    long threads = strtol(text, &end, 10);
    if (end != text && *end == '\0' && threads > 0)
      return static_cast<int32_t>(std::min<long>(threads, kMostThreads));
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    return std::clamp<int32_t>(CPU_COUNT(&set), 1, kMostThreads);
  return std::clamp<int32_t>(sysconf(_SC_NPROCESSORS_ONLN), 1, kMostThreads);
}

} // namespace

int32_t saccade::rt::cpuThreads() {
  if (int32_t threads = chosenThreads.load(std::memory_order_relaxed))
    return threads;
  static const int32_t threads = defaultThreads();
  return threads;
}

void saccade::rt::setCpuThreads(int32_t threads) {
  chosenThreads = std::min(threads, kMostThreads);
}

void saccade::rt::runOnCpu(SaccadeCpuEntry entry, const uint64_t *words,
                           int32_t ctas) {
  Job job{entry, words, ctas};
  int32_t threads = cpuThreads();
  if (threads == 1 || ctas <= 1)
    return job.work();
  pool().run(job, threads);
}
