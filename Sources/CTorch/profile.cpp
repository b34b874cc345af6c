// Where time goes: every operation of libtorch and of this library, timed by libtorch's own record of them.
#include "fused/products.h"
#include "guard.h"

#include <ATen/record_function.h>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace ctorch {

namespace {

using Clock = std::chrono::steady_clock;

/// Two matrices as a product takes them; without a second one, no product.
struct Operands {
    std::vector<int64_t> sizes[2], strides[2];
    at::ScalarType types[2] = {at::kFloat, at::kFloat};

    bool operator<(const Operands &other) const {
        return std::tie(sizes[0], sizes[1], strides[0], strides[1], types[0], types[1]) <
               std::tie(other.sizes[0], other.sizes[1], other.strides[0], other.strides[1], other.types[0], other.types[1]);
    }
};

struct Total {
    int64_t calls = 0;
    double seconds = 0;
};

std::mutex lock;
std::map<std::pair<std::string, Operands>, Total> totals;

/// Where in the inputs of an operation the matrices of its product begin; -1 for one that is no product.
int first_operand(const std::string &name) {
    static const std::map<std::string, int> places = {
        {"aten::mm", 0}, {"aten::bmm", 0}, {"aten::addmm", 1}, {"aten::addmm_", 1}, {"aten::baddbmm", 1},
        {"aten::baddbmm_", 1}, {"mkldnn::_linear_pointwise", 0},
    };
    auto found = places.find(name);
    return found == places.end() ? -1 : found->second;
}

struct Frame : at::ObserverContext {
    Clock::time_point start = Clock::now();
    double inner = 0;
    Operands operands;
    Frame *outer = nullptr;
};

thread_local Frame *innermost = nullptr;

std::unique_ptr<at::ObserverContext> began(const at::RecordFunction &function) {
    auto frame = std::make_unique<Frame>();
    frame->outer = innermost;
    int place = first_operand(function.name());
    if (place >= 0 && function.inputs().size() >= size_t(place) + 2) {
        for (int side = 0; side < 2; ++side) {
            const auto &input = function.inputs()[size_t(place + side)];
            if (!input.isTensor() || !input.toTensor().defined()) continue;
            const auto &matrix = input.toTensor();
            frame->operands.sizes[side] = matrix.sizes().vec();
            frame->operands.strides[side] = matrix.strides().vec();
            frame->operands.types[side] = matrix.scalar_type();
        }
    }
    innermost = frame.get();
    frame->start = Clock::now();
    return frame;
}

void ended(const at::RecordFunction &function, at::ObserverContext *context) {
    auto *frame = static_cast<Frame *>(context);
    double seconds = std::chrono::duration<double>(Clock::now() - frame->start).count();
    innermost = frame->outer;
    if (innermost) innermost->inner += seconds;
    std::lock_guard<std::mutex> guard(lock);
    auto &total = totals[{function.name(), frame->operands}];
    total.calls += 1;
    total.seconds += seconds - frame->inner;
}

at::CallbackHandle handle = 0;

at::Tensor random(const Operands &operands, int side) {
    const auto &sizes = operands.sizes[side], &strides = operands.strides[side];
    int64_t extent = 1;
    for (size_t i = 0; i < sizes.size(); ++i) extent += (sizes[i] - 1) * strides[i];
    return at::empty({extent}, at::TensorOptions().dtype(operands.types[side])).normal_().as_strided(sizes, strides);
}

double operation_count(const std::string &name, const Operands &operands) {
    const auto &a = operands.sizes[0], &b = operands.sizes[1];
    if (a.size() < 2 || b.size() < 2) return 0;
    double count = 2;
    for (auto size : a) count *= double(size);
    // [.., m, k] by [.., k, n], but oneDNN's linear takes [n, k].
    return count * double(name == "mkldnn::_linear_pointwise" ? b[b.size() - 2] : b.back());
}

/// The shortest time of some calls of a product alone.
double alone(const std::string &name, const Operands &operands) {
    auto a = random(operands, 0), b = random(operands, 1);
    double best = 1e9;
    for (int round = 0; round < 7; ++round) {
        auto start = Clock::now();
        at::Tensor y;
        if (name == "mkldnn::_linear_pointwise") {
            y = product_forward(a, b, {});
        } else {
            y = a.dim() == 3 ? at::bmm(a, b) : at::mm(a, b);
        }
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
}

std::string shown(const Operands &operands) {
    if (operands.sizes[1].empty()) return "";
    auto side = [&](int index) {
        std::string text = "[";
        for (size_t i = 0; i < operands.sizes[index].size(); ++i) {
            text += (i ? ", " : "") + std::to_string(operands.sizes[index][i]);
        }
        return text + "] " + c10::toString(operands.types[index]);
    };
    return side(0) + " × " + side(1);
}

}  // namespace

}  // namespace ctorch

using namespace ctorch;

int ct_profile_start(void) {
    return guarded([&] {
        TORCH_CHECK(!handle, "operations are timed already");
        std::lock_guard<std::mutex> guard(lock);
        totals.clear();
        // Of this thread, and of those that compute its gradients: what others do meanwhile is none of it.
        handle = at::addThreadLocalCallback(at::RecordFunctionCallback(began, ended)
                                                .needsInputs(true)
                                                .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                                                         at::RecordScope::USER_SCOPE}));
        return 0;
    });
}

int ct_profile_end(
    bool measures_products,
    void (*tell)(void *context, const char *name, const char *shapes, int64_t calls, double seconds, double operations, double alone),
    void *context) {
    return guarded([&] {
        at::removeCallback(handle);
        handle = 0;
        std::map<std::pair<std::string, Operands>, Total> taken;
        {
            std::lock_guard<std::mutex> guard(lock);
            taken.swap(totals);
        }
        for (const auto &[key, total] : taken) {
            const auto &[name, operands] = key;
            double count = operation_count(name, operands);
            double best = measures_products && count > 0 ? alone(name, operands) : 0;
            tell(context, name.c_str(), shown(operands).c_str(), total.calls, total.seconds, count, best);
        }
        return 0;
    });
}
