#include "parallel.h"

#include <ATen/Parallel.h>
#include <algorithm>
#include <dlfcn.h>

namespace ctorch {

namespace {

// libtorch's threads belong to the OpenMP runtime it was built with. Entering the same runtime through its C interface
// shares that one pool; a second pool would fight it for the cores.
using ParallelRegion = void (*)(void (*)(void *), void *, unsigned, unsigned);
using ThreadNumber = int (*)();

struct Runtime {
    ParallelRegion region = reinterpret_cast<ParallelRegion>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
    ThreadNumber number = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_get_thread_num"));
    ThreadNumber inside = reinterpret_cast<ThreadNumber>(dlsym(RTLD_DEFAULT, "omp_in_parallel"));
};

const Runtime &runtime() {
    static const Runtime instance;
    return instance;
}

struct Job {
    void (*body)(void *, int64_t, int64_t);
    void *context;
    int64_t rows;
    int64_t per_thread;
};

void run_part(void *opaque) {
    auto *job = static_cast<Job *>(opaque);
    int64_t first = runtime().number() * job->per_thread;
    int64_t last = std::min(job->rows, first + job->per_thread);
    if (first < last) job->body(job->context, first, last);
}

}  // namespace

void parallel_rows(int64_t rows, int64_t grain, void (*body)(void *, int64_t, int64_t), void *context) {
    if (rows <= 0) return;
    int64_t threads = std::min<int64_t>(at::get_num_threads(), (rows + grain - 1) / std::max<int64_t>(grain, 1));
    const auto &omp = runtime();
    if (threads <= 1 || !omp.region || !omp.number || (omp.inside && omp.inside())) {
        body(context, 0, rows);
        return;
    }
    Job job{body, context, rows, (rows + threads - 1) / threads};
    omp.region(run_part, &job, unsigned(threads), 0);
}

}  // namespace ctorch
