#include "products.h"

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

/// On AMD the default library for fp32 leaves half of the machine unused and oneDNN does not (2.2 to 3.6 times faster,
/// measured on Zen 5); on Intel the default is right.
bool prefers_onednn() {
    static const bool answer = [] {
        std::ifstream info("/proc/cpuinfo");
        for (std::string line; std::getline(info, line);) {
            if (line.rfind("vendor_id", 0) == 0) return line.find("AuthenticAMD") != std::string::npos;
        }
        return false;
    }();
    return answer;
}

bool takes_onednn(const at::Tensor &x) {
    return x.scalar_type() == at::kFloat && x.is_cpu() && x.numel() > 0 && prefers_onednn() && pointwise().has_value();
}

/// The operators take a missing tensor as an empty optional, not as an undefined tensor.
std::optional<at::Tensor> present(const at::Tensor &x) { return x.defined() ? std::optional(x) : std::nullopt; }

at::Tensor onednn(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    return pointwise()->call(
        x, weight, present(bias), "none", c10::List<std::optional<at::Scalar>>(), c10::string_view(""));
}

}  // namespace

at::Tensor product_forward(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    TORCH_CHECK(
        x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1), "linear: the input has shape ", x.sizes(),
        ", the weight ", weight.sizes(), "; the last sizes must be equal");
    return takes_onednn(x) && weight.scalar_type() == at::kFloat ? onednn(x, weight, bias)
                                                                      : at::linear(x, weight, present(bias));
}

at::Tensor product_input_gradient(const at::Tensor &dy, const at::Tensor &weight) {
    return takes_onednn(dy) ? onednn(dy, weight.t(), {}) : at::mm(dy, weight);
}

at::Tensor product_weight_gradient(const at::Tensor &dy, const at::Tensor &x) {
    return takes_onednn(dy) ? onednn(dy.t(), x.t(), {}) : at::mm(dy.t(), x);
}

}  // namespace ctorch
