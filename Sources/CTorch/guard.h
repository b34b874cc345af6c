// The only place where a C++ exception may end.
#pragma once

#if !__has_include(<ATen/ATen.h>)
#error "libtorch was not found: run Scripts/setup of Apus once, then build with PKG_CONFIG_PATH=$HOME/.cache/apus/pkgconfig"
#endif
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <ATen/record_function.h>
#include <atomic>

#include "include/ctorch.h"

namespace ctorch {

void fail(int kind, const char *message) noexcept;
void clear_error() noexcept;

/// Makes this thread's parallel regions get as many threads as libtorch believes they have.
bool grants_threads() noexcept;

/// Does once what all calls rely on: the memory of tensors, and functions that must not first be called by many threads.
bool prepares_process() noexcept;

/// - Parameter name: The caller, as profiles name it.
template <class Body>
auto guarded(Body &&body, const char *name = __builtin_FUNCTION()) noexcept -> decltype(body()) {
    using Result = decltype(body());
    static thread_local const bool prepared [[maybe_unused]] = grants_threads() && prepares_process();
    try {
        at::RecordFunction record(at::RecordScope::USER_SCOPE);
        if (record.isActive()) record.before(name);
        return body();
    } catch (const c10::OutOfMemoryError &error) {
        fail(CT_ERROR_OUT_OF_MEMORY, error.what_without_backtrace());
    } catch (const c10::Error &error) {
        fail(CT_ERROR_TORCH, error.what_without_backtrace());
    } catch (const std::bad_alloc &) {
        fail(CT_ERROR_OUT_OF_MEMORY, "out of memory");
    } catch (const std::exception &error) {
        fail(CT_ERROR_OTHER, error.what());
    } catch (...) {
        fail(CT_ERROR_OTHER, "unknown C++ exception");
    }
    if constexpr (std::is_pointer_v<Result>) {
        return nullptr;
    } else {
        return Result(-1);
    }
}

extern std::atomic<int64_t> live_tensors;

/// Whether a backward pass has begun, for which libtorch makes a thread for each device that it knows then.
extern std::atomic<bool> has_gone_backward;

inline at::Tensor &ref(ct_tensor x) { return *reinterpret_cast<at::Tensor *>(x); }

/// A null handle is an undefined tensor, as for an absent bias.
inline at::Tensor optional(ct_tensor x) { return x ? ref(x) : at::Tensor(); }

inline ct_tensor own(at::Tensor x) {
    live_tensors.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<ct_tensor>(new at::Tensor(std::move(x)));
}

inline std::vector<at::Tensor> list(const ct_tensor *tensors, int count) {
    std::vector<at::Tensor> result;
    result.reserve(count);
    for (int i = 0; i < count; ++i) result.push_back(ref(tensors[i]));
    return result;
}

inline at::TensorOptions options(int dtype, int device_type, int device_index) {
    return at::TensorOptions()
        .dtype(static_cast<at::ScalarType>(dtype))
        .device(static_cast<at::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index));
}

}  // namespace ctorch
