#include "products.h"

#include "few_rows.h"
#include "scratch.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <fstream>
#include <string>

namespace ctorch {

namespace {

using PointwiseSignature = at::Tensor(
    const at::Tensor &, const at::Tensor &, const std::optional<at::Tensor> &, c10::string_view,
    c10::List<std::optional<at::Scalar>>, std::optional<c10::string_view>);

/// oneDNN's linear, which the dispatcher reaches but no C++ header declares.
const std::optional<c10::TypedOperatorHandle<PointwiseSignature>> &pointwise() {
    static const auto handle = [] {
        auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
        return found ? std::optional(found->typed<PointwiseSignature>()) : std::nullopt;
    }();
    return handle;
}

/// The processor's name and abilities, as Linux tells them.
struct Processor {
    bool is_amd = false;
    bool multiplies_short_floats = true;
    /// Whether it can multiply bf16, if only slowly.
    bool knows_short_floats = false;

    Processor() {
        std::ifstream info("/proc/cpuinfo");
        for (std::string line; std::getline(info, line);) {
            if (line.rfind("vendor_id", 0) == 0) is_amd = line.find("AuthenticAMD") != std::string::npos;
            if (line.rfind("flags", 0) != 0) continue;
            // Intel's vectors multiply bf16 at half the rate of float32 (measured: 140 against 290 GFLOP/s at 685 × 896 ×
            // 4864 on two cores); its tiles are made for it. AMD's vectors were not compared.
            knows_short_floats = line.find(" avx512_bf16") != std::string::npos;
            multiplies_short_floats = line.find(" amx_bf16") != std::string::npos ||
                                      (is_amd && knows_short_floats);
            break;
        }
    }
};

const Processor &processor() {
    static const Processor instance;
    return instance;
}

/// On AMD the default library for fp32 leaves up to half of the machine unused and oneDNN does not (measured on Zen 3
/// and Zen 5); on Intel the default is right.
bool prefers_onednn() { return processor().is_amd; }

/// The operators take a missing tensor as an empty optional, not as an undefined tensor.
std::optional<at::Tensor> present(const at::Tensor &x) { return x.defined() ? std::optional(x) : std::nullopt; }

/// oneDNN orders the sums of products with few columns, or with next to nothing to sum, otherwise on one thread than on
/// several; beyond these sizes the bits were equal on 1, 2 and 16 threads in 2,800 products of 700 shapes and all layouts.
constexpr int64_t fewest_columns = 65;
constexpr int64_t fewest_terms = 8;

bool keeps_order(const at::Tensor &x, const at::Tensor &w) {
    int64_t terms = w.size(1);
    bool is_row = x.numel() == terms;
    return w.size(0) >= fewest_columns && terms >= fewest_terms && (!is_row || w.is_contiguous());
}

/// A copy of what has gaps between its rows, such as a part of a wider matrix: with those oneDNN is 50 times slower.
at::Tensor gapless(const at::Tensor &x) {
    bool is_dense = x.is_contiguous() || (x.dim() == 2 && x.t().is_contiguous());
    return is_dense ? x : x.contiguous();
}

/// x wᵀ + b by oneDNN — x [.., k], w [n, k] — where that is the better way and its bits do not depend on the threads.
///
/// A result with few columns is computed as its transpose, which is also several times faster.
std::optional<at::Tensor> by_onednn(const at::Tensor &x, const at::Tensor &w, const at::Tensor &bias) {
    if (x.scalar_type() != at::kFloat || !x.is_cpu() || x.numel() == 0 || w.numel() == 0) return std::nullopt;
    if (!prefers_onednn() || !pointwise().has_value()) return std::nullopt;
    auto call = [](const at::Tensor &left, const at::Tensor &right, const at::Tensor &offset) {
        return pointwise()->call(
            gapless(left), gapless(right), present(offset), "none", c10::List<std::optional<at::Scalar>>(), c10::string_view(""));
    };
    if (keeps_order(x, w)) return call(x, w, bias);
    auto rows = x.reshape({-1, x.size(-1)});
    if (!keeps_order(w, rows)) return std::nullopt;
    auto y = call(w, rows, {}).t().contiguous();
    if (bias.defined()) y.add_(bias);
    auto shape = x.sizes().vec();
    shape.back() = w.size(0);
    return y.reshape(shape);
}

/// Weights of at most this many elements are converted whole.
constexpr int64_t block_elements = 1 << 24;

Scratch &room() {
    static thread_local Scratch instance;
    return instance;
}

/// Calls `body(first, block)` with blocks of rows of the weight, each converted to `type`.
template <class Body> void for_blocks(const at::Tensor &weight, at::ScalarType type, Body &&body) {
    int64_t rows = std::max<int64_t>(1, block_elements / std::max<int64_t>(1, weight.size(1)));
    for (int64_t first = 0; first < weight.size(0); first += rows) {
        int64_t count = std::min(rows, weight.size(0) - first);
        body(first, room().matrix(count, weight.size(1), weight.options().dtype(type)).copy_(weight.narrow(0, first, count)));
    }
}

at::Tensor product(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    auto y = by_onednn(x, weight, bias);
    return y ? *y : at::linear(x, weight, present(bias));
}

at::Tensor product_transposed(const at::Tensor &dy, const at::Tensor &weight) {
    auto dx = by_onednn(dy, weight.t(), {});
    return dx ? *dx : at::mm(dy, weight);
}

}  // namespace

at::Tensor computable(const at::Tensor &x) {
    bool is_short = x.scalar_type() == at::kBFloat16 || x.scalar_type() == at::kHalf;
    bool widens = is_short && x.is_cpu() && (x.scalar_type() == at::kHalf || !processor().multiplies_short_floats);
    return widens ? x.to(at::kFloat) : x;
}

at::Tensor computable_input(const at::Tensor &x) {
    bool stays = x.scalar_type() == at::kBFloat16 && processor().knows_short_floats && x.numel() <= few_short_rows * x.size(-1);
    return stays ? x : computable(x);
}

at::Tensor product_forward(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    TORCH_CHECK(
        x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1), "linear: the input has shape ", x.sizes(),
        ", the weight ", weight.sizes(), "; the last sizes must be equal");
    if (weight.scalar_type() == x.scalar_type()) return product(x, weight, bias);
    auto rows = x.reshape({-1, x.size(-1)});
    auto y = at::empty({rows.size(0), weight.size(0)}, x.options());
    for_blocks(weight, x.scalar_type(), [&](int64_t first, const at::Tensor &block) {
        y.narrow(1, first, block.size(0)).copy_(product(rows, block, {}));
    });
    if (bias.defined()) y.add_(bias);
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.reshape(shape);
}

at::Tensor product_input_gradient(const at::Tensor &dy, const at::Tensor &weight) {
    if (weight.scalar_type() == dy.scalar_type()) return product_transposed(dy, weight);
    at::Tensor sum;
    for_blocks(weight, dy.scalar_type(), [&](int64_t first, const at::Tensor &block) {
        auto part = product_transposed(dy.narrow(1, first, block.size(0)), block);
        sum = sum.defined() ? sum.add_(part) : part;
    });
    return sum;
}

at::Tensor product_weight_gradient(const at::Tensor &dy, const at::Tensor &x) {
    auto dw = by_onednn(dy.t(), x.t(), {});
    return dw ? *dw : at::mm(dy.t(), x);
}

}  // namespace ctorch
