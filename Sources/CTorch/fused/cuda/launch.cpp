// The driver and the run-time compiler of CUDA, opened when a device is computed on: nothing of CUDA is needed to build.
// What cannot be opened or compiled leaves the composed forms, which compute the same.

#include "launch.h"

#include <ATen/DeviceAccelerator.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/Stream.h>
#include <dlfcn.h>
#include <map>
#include <mutex>

namespace ctorch {

namespace {

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc23-extensions"
const char device_text[] = {
#embed "device.cuh"
    , 0};
const char kernel_text[] = {
#embed "kernels.cuh"
    , 0};
#pragma clang diagnostic pop

constexpr unsigned threads = 256;

/// A library that is there or not; functions are looked up by name and type.
class Library {
    void *handle = nullptr;

public:
    explicit Library(std::initializer_list<std::string> names) {
        for (const auto &name : names)
            if (!handle) handle = dlopen(name.c_str(), RTLD_NOW | RTLD_GLOBAL);
    }
    template <class Function> Function *function(const char *name) const {
        auto *found = handle ? dlsym(handle, name) : nullptr;
        TORCH_CHECK(found, name, " of CUDA is not there");
        return reinterpret_cast<Function *>(found);
    }
};

/// The folder of CUDA's libraries: that of its runtime, which libtorch has loaded.
std::string cuda_folder() {
    Dl_info info;
    auto *known = dlsym(RTLD_DEFAULT, "cudaRuntimeGetVersion");
    if (!known || !dladdr(known, &info) || !info.dli_fname) return "";
    std::string path = info.dli_fname;
    return path.substr(0, path.rfind('/') + 1);
}

const Library &compiler() {
    // The compiler looks for its builtins by name alone.
    static Library builtins{cuda_folder() + "libnvrtc-builtins.so.13.0", "libnvrtc-builtins.so.13.0"};
    static Library library{cuda_folder() + "libnvrtc.so.13", "libnvrtc.so.13"};
    return library;
}

const Library &driver() {
    static Library library{"libcuda.so.1"};
    return library;
}

/// Calls a function of the driver; its error becomes an exception.
template <class... Parameters> void drive(const char *name, Parameters... values) {
    int status = driver().function<int(Parameters...)>(name)(values...);
    if (status == 0) return;
    const char *text = nullptr;
    driver().function<int(int, const char **)>("cuGetErrorString")(status, &text);
    TORCH_CHECK(false, name, " of CUDA: ", text ? text : std::to_string(status));
}

/// The same of the compiler.
template <class... Parameters> int compile(const char *name, Parameters... values) {
    return compiler().function<int(Parameters...)>(name)(values...);
}

const char *element_name(at::ScalarType type) {
    switch (type) {
        case at::kFloat: return "float";
        case at::kDouble: return "double";
        case at::kBFloat16: return "BFloat16Bits";
        case at::kHalf: return "HalfBits";
        default: return nullptr;
    }
}

int attribute(int device, int number) {
    int value = 0;
    drive("cuDeviceGetAttribute", &value, number, device);
    return value;
}

/// The kernels of one element type on one device.
struct Module {
    void *context = nullptr, *handle = nullptr;
    std::map<std::string, void *, std::less<>> functions;

    Module(at::ScalarType type, int ordinal) {
        int device = 0;
        drive("cuDeviceGet", &device, ordinal);
        constexpr int major = 75, minor = 76;  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
        auto code = compiled_kernels(
            type, "sm_" + std::to_string(attribute(device, major)) + std::to_string(attribute(device, minor)));
        drive("cuDevicePrimaryCtxRetain", &context, device);
        enter();
        drive("cuModuleLoadData", &handle, static_cast<const void *>(code.data()));
    }

    /// libtorch computes in the device's first context, which a new thread may not have entered yet.
    void enter() const {
        void *current = nullptr;
        drive("cuCtxGetCurrent", &current);
        if (current != context) drive("cuCtxSetCurrent", context);
    }

    void *function(const char *name) {
        auto found = functions.find(name);
        if (found != functions.end()) return found->second;
        void *made = nullptr;
        drive("cuModuleGetFunction", &made, handle, name);
        return functions[name] = made;
    }
};

std::mutex lock;
std::string note;
std::map<std::pair<int, at::ScalarType>, std::unique_ptr<Module>> modules;

/// Null where there are none; to be called with the lock held.
Module *module_for(const at::Device &device, at::ScalarType type) {
    if (!element_name(type)) return nullptr;
    auto key = std::make_pair(int(device.index()), type);
    auto found = modules.find(key);
    if (found != modules.end()) return found->second.get();
    std::unique_ptr<Module> made;
    try {
        // Loading enters the device, and the caller may be computing on another one.
        c10::DeviceGuard on_device(device);
        made = std::make_unique<Module>(type, key.first);
    } catch (const c10::Error &error) {
        note = error.what_without_backtrace();
    }
    return (modules[key] = std::move(made)).get();
}

}  // namespace

std::string compiled_kernels(at::ScalarType type, const std::string &architecture) {
    const char *element = element_name(type);
    TORCH_CHECK(element, "no kernels for ", type);
    std::string text = std::string(device_text) + kernel_text;
    void *program = nullptr;
    TORCH_CHECK(
        compile(
            "nvrtcCreateProgram", &program, text.c_str(), "kernels.cuh", 0, static_cast<const char *const *>(nullptr),
            static_cast<const char *const *>(nullptr)) == 0,
        "CUDA's run-time compiler does not start");
    // Products and sums are rounded one by one, as on the processor; the kernels wait for memory, not for arithmetic.
    std::string target = "--gpu-architecture=" + architecture, named = std::string("-DELEMENT=") + element;
    const char *options[] = {target.c_str(), named.c_str(), "--std=c++17", "--fmad=false"};
    int status = compile("nvrtcCompileProgram", program, 4, static_cast<const char *const *>(options));
    size_t size = 0;
    std::string result;
    if (status == 0 && compile("nvrtcGetCUBINSize", program, &size) == 0) {
        result.resize(size);
        status = compile("nvrtcGetCUBIN", program, result.data());
    } else if (compile("nvrtcGetProgramLogSize", program, &size) == 0) {
        result.resize(size);
        compile("nvrtcGetProgramLog", program, result.data());
    }
    compile("nvrtcDestroyProgram", &program);
    TORCH_CHECK(
        status == 0 && !result.empty(), "the kernels for ", architecture, " and ", type, " do not compile: ", result);
    return result;
}

bool has_device_kernels(const at::Device &device, at::ScalarType type) {
    std::lock_guard guard(lock);
    return module_for(device, type) != nullptr;
}

std::string kernel_note() {
    std::lock_guard guard(lock);
    return note;
}

void launch_named(const char *name, const at::Tensor &x, int64_t blocks, void **arguments) {
    c10::DeviceGuard on_device(x.device());
    auto stream = at::accelerator::getCurrentStream(x.device().index());
    std::lock_guard guard(lock);
    auto *module = module_for(x.device(), x.scalar_type());
    TORCH_CHECK(module, name, ": ", note);
    module->enter();
    drive(
        "cuLaunchKernel", module->function(name), unsigned(blocks), 1u, 1u, threads, 1u, 1u, 0u, stream.native_handle(),
        arguments, static_cast<void **>(nullptr));
}

}  // namespace ctorch
