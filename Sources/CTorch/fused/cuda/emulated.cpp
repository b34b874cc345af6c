// CUDA's blocks and threads on the processor, for tests of the kernels' arithmetic and of how they are called. A block has
// few threads, so that every loop over more elements than threads is gone through.

#include "kernels.h"

#include <barrier>
#include <mutex>
#include <thread>
#include <vector>

namespace ctorch::emulated {

thread_local Place threadIdx, blockIdx;
Place blockDim{most_threads}, gridDim;

namespace {
std::barrier block_end(most_threads);
}

void __syncthreads() { block_end.arrive_and_wait(); }

void run(int64_t blocks, const std::function<void()> &body) {
    static std::mutex one_at_a_time;
    std::lock_guard guard(one_at_a_time);
    gridDim.x = unsigned(blocks);
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < unsigned(most_threads); ++number) {
        threads.emplace_back([&body, number, blocks] {
            threadIdx.x = number;
            for (int64_t block = 0; block < blocks; ++block) {
                blockIdx.x = unsigned(block);
                body();
                __syncthreads();
            }
        });
    }
    for (auto &thread : threads) thread.join();
}

}  // namespace ctorch::emulated
