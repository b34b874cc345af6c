#include "elementwise.h"
#include "fused/cuda/launch.h"
#include "fused/forms.h"
#include "guard.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <cstdint>
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <torch/headeronly/version.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace ctorch {

std::atomic<int64_t> live_tensors{0};
std::atomic<bool> has_gone_backward{false};

namespace {
thread_local int last_kind = 0;
thread_local std::string last_message;

/// Asks MKL, Intel's products in 32 and 64 bits, for sums whose order depends on neither the number of threads nor the
/// alignment of memory; its default orders them by thread. Costs nothing measurable in products of a model's size. MKL
/// reads this when its first product is made; a value of the user's stays. Other makers' processors are left alone, as
/// there the products are oneDNN's.
const bool orders_sums = [] {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!__builtin_cpu_is("intel")) return false;
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return setenv("MKL_CBWR", "AVX512,STRICT", 0) == 0;
    }
    if (__builtin_cpu_supports("avx2")) return setenv("MKL_CBWR", "AVX2,STRICT", 0) == 0;
#endif
    return false;
}();
}  // namespace

namespace {
/// Memory of tensors on the CPU, from blocks whose size depends on the tensor's alone.
///
/// libtorch takes aligned blocks, of which glibc gives back what the alignment left over: the gap that a freed tensor leaves
/// is a few bytes too small for the next of the same size, so that a process whose small results stay between large ones
/// that come and go grows by each of these, as if all were kept. Here a gap fits. Cost: 72 bytes a tensor.
struct HeapAllocator final : at::Allocator {
    static constexpr size_t alignment = 64;

    static void release(void *bytes) {
        if (bytes) std::free(static_cast<void **>(bytes)[-1]);
    }

    at::DataPtr allocate(size_t count) override {
        const at::Device device(at::kCPU);
        if (count == 0) return {nullptr, nullptr, &release, device};
        constexpr size_t head = sizeof(void *) + alignment - 1;
        void *block = count > SIZE_MAX - head ? nullptr : std::malloc(count + head);
        TORCH_CHECK_WITH(OutOfMemoryError, block, "can't allocate memory: you tried to allocate ", count, " bytes");
        auto bytes = reinterpret_cast<void **>((reinterpret_cast<uintptr_t>(block) + head) & ~uintptr_t(alignment - 1));
        bytes[-1] = block;
        return {bytes, bytes, &release, device};
    }

    at::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void *to, const void *from, std::size_t count) const override { default_copy_data(to, from, count); }
};
}  // namespace

bool prepares_process() noexcept {
    static const bool prepared = []() noexcept {
        // It outlives every tensor.
        c10::SetCPUAllocator(new HeapAllocator, /*priority=*/1);
        settle_functions();
        return true;
    }();
    return prepared;
}

thread_local std::optional<Form> wanted_form;

Form form_of(const at::Tensor &x, std::optional<at::ScalarType> result) {
    if (composes()) return Form::composed;
    if (x.is_cpu()) return wanted_form.value_or(Form::processor);
    return x.is_cuda() && has_device_kernels(x.device(), result.value_or(x.scalar_type())) ? Form::device : Form::composed;
}

void fail(int kind, const char *message) noexcept {
    last_kind = kind;
    try {
        last_message = message;
    } catch (...) {
        last_message.clear();
    }
}

void clear_error() noexcept { last_kind = 0; }

}  // namespace ctorch

using namespace ctorch;

int ct_error_kind(void) { return last_kind; }
const char *ct_error_message(void) { return last_message.c_str(); }
const char *ct_torch_version(void) { return TORCH_VERSION; }
void ct_set_threads(int count) {
    guarded([&] {
        at::set_num_threads(count);
        grants_threads();
        return 0;
    });
}
int ct_threads(void) { return at::get_num_threads(); }

int ct_load_cuda(void) {
    return guarded([] {
        // Read when the library of products is first used; a value of the user's stays.
        setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
        // libtorch registers its CUDA kernels when the library is loaded; RTLD_GLOBAL lets them find each other.
        static void *kernels = dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL);
        if (!kernels) {
            const char *reason = dlerror();
            TORCH_CHECK(false, "the CUDA kernels of libtorch could not be loaded: ", reason ? reason : "not found");
        }
        TORCH_CHECK(at::hasCUDA(), "libtorch finds no CUDA device");
        static const bool is_open [[maybe_unused]] = [] {
            TORCH_CHECK(
                !has_gone_backward,
                "CUDA is asked for after a backward pass on the CPU, and libtorch would find no thread for its gradients; "
                "prepare the device before the first backward pass");
            auto &context = at::globalContext();
            context.lazyInitDevice(at::kCUDA);
            // A resumed run has the bits of one without a stop, so sums have one order; what has no such form goes on
            // without.
            context.setDeterministicAlgorithms(true, /*warn_only=*/true);
            context.setDeterministicFillUninitializedMemory(false);
            // float32 is float32, whatever the environment says.
            context.setAllowTF32CuDNN(false);
            context.setFloat32MatmulPrecision("highest");
            return true;
        }();
        return 0;
    });
}

void ct_set_form(int form) {
    wanted_form = form < 0 ? std::nullopt : std::optional(static_cast<Form>(form));
}
int ct_form(void) { return wanted_form ? int(*wanted_form) : -1; }

const char *ct_kernel_note(int device_index, int dtype) {
    static thread_local std::string text;
    return guarded([&] {
        at::Device device(at::kCUDA, c10::DeviceIndex(device_index));
        text = has_device_kernels(device, static_cast<at::ScalarType>(dtype)) ? "" : kernel_note();
        return text.c_str();
    });
}

int64_t ct_compile_kernels(const char *architecture) {
    return guarded([&] {
        int64_t bytes = 0;
        for (auto type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
            bytes += int64_t(compiled_kernels(type, architecture).size());
        }
        return bytes;
    });
}

int ct_device_memory(int device_type, int device_index, int64_t out[4]) {
    return guarded([&] {
        auto *allocator = c10::getDeviceAllocator(static_cast<at::DeviceType>(device_type));
        auto index = static_cast<c10::DeviceIndex>(device_index);
        auto stats = allocator->getDeviceStats(index);
        auto all = size_t(c10::CachingAllocator::StatType::AGGREGATE);
        auto [free, total] = allocator->getMemoryInfo(index);
        out[0] = stats.allocated_bytes[all].current;
        out[1] = stats.allocated_bytes[all].peak;
        out[2] = int64_t(free);
        out[3] = int64_t(total);
        return 0;
    });
}

int64_t ct_live_tensors(void) { return live_tensors.load(); }

void ct_keep_heap(void) {
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

void ct_bound_product_code(void) {
    // oneDNN keeps the machine code of its last 1024 products. A flat batch has another length at each step, so most are
    // never used again; 128 hold those of one step. Read when the first product is made; the user's own value stays.
    setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128", 0);
}
