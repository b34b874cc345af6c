#include "guard.h"
#include "parallel.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <atomic>
#include <dlfcn.h>
#include <exception>

namespace ctorch {

namespace {

// libtorch's threads belong to the OpenMP runtime it was built with. Entering the same runtime through its C interface
// shares that one pool; a second pool would fight it for the cores. LLVM's runtime has the same entry point. Without
// one the loop runs on this thread.
using ParallelRegion = void (*)(void (*)(void *), void *, unsigned, unsigned);

template <class Function> Function symbol(const char *name) {
    return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

struct Runtime {
    ParallelRegion region = symbol<ParallelRegion>("GOMP_parallel");
    int (*inside)() = symbol<int (*)()>("omp_in_parallel");
    int (*limit)() = symbol<int (*)()>("omp_get_thread_limit");
    void (*set_dynamic)(int) = symbol<void (*)(int)>("omp_set_dynamic");
};

const Runtime &runtime() {
    static const Runtime instance;
    return instance;
}

// The runtime may start fewer threads than it was asked for (OMP_THREAD_LIMIT, OMP_DYNAMIC, an exhausted process), so
// no range belongs to a thread: whoever runs claims the next one. The ranges themselves depend on the rows alone.
struct Job {
    void (*body)(void *, int64_t, int64_t);
    void *context;
    int64_t rows;
    int64_t range;
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    std::exception_ptr error;
};

void claim_ranges(void *opaque) {
    auto *job = static_cast<Job *>(opaque);
    for (;;) {
        int64_t first = job->next.fetch_add(job->range, std::memory_order_relaxed);
        if (first >= job->rows) return;
        try {
            job->body(job->context, first, std::min(job->rows, first + job->range));
        } catch (...) {
            if (!job->failed.exchange(true)) job->error = std::current_exception();
            job->next.store(job->rows, std::memory_order_relaxed);
        }
    }
}

}  // namespace

// oneDNN cuts its 16-bit products by the number of threads that it asks for; where the runtime starts fewer
// (OMP_THREAD_LIMIT, OMP_DYNAMIC) some of the result is never computed. So no more are asked for than there will be.
bool grants_threads() noexcept {
    const auto &omp = runtime();
    if (omp.set_dynamic) omp.set_dynamic(0);
    if (omp.limit && omp.limit() > 0 && at::get_num_threads() > omp.limit()) at::set_num_threads(omp.limit());
    return true;
}

void parallel_rows(int64_t rows, int64_t grain, void (*body)(void *, int64_t, int64_t), void *context) {
    if (rows <= 0) return;
    Job job{body, context, rows, std::max<int64_t>(grain, 1), {}, {}, {}};
    int64_t ranges = (rows + job.range - 1) / job.range;
    int64_t threads = std::min<int64_t>(at::get_num_threads(), ranges);
    const auto &omp = runtime();
    if (threads <= 1 || !omp.region || (omp.inside && omp.inside())) {
        claim_ranges(&job);
    } else {
        omp.region(claim_ranges, &job, unsigned(threads), 0);
    }
    if (job.error) std::rethrow_exception(job.error);
}

}  // namespace ctorch
