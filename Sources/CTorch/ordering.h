// Whether operations of libtorch on a device give the same bits each time, where that is not as `ct_load_cuda` sets it.
#pragma once

#include <ATen/Context.h>
#include <mutex>

namespace ctorch {

/// libtorch's switch, which is one for all threads, until the end of a scope; whoever else would set it waits.
class Ordering {
    static inline std::mutex one_at_a_time;
    std::lock_guard<std::mutex> guard{one_at_a_time};
    const bool was_on = at::globalContext().deterministicAlgorithms();
    const bool warned_only = at::globalContext().deterministicAlgorithmsWarnOnly();

protected:
    explicit Ordering(bool is_on) { at::globalContext().setDeterministicAlgorithms(is_on, /*warn_only=*/false); }
    ~Ordering() { at::globalContext().setDeterministicAlgorithms(was_on, warned_only); }

public:
    Ordering(const Ordering &) = delete;
    Ordering &operator=(const Ordering &) = delete;
};

/// For operations that add up in one order only where no warning would do instead.
struct InOneOrder : Ordering {
    InOneOrder() : Ordering(true) {}
};

/// For operations whose result has one value in any order, and which would be sorted for nothing.
struct InAnyOrder : Ordering {
    InAnyOrder() : Ordering(false) {}
};

}  // namespace ctorch
