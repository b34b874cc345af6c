// Linear layers with and without a low-rank adapter, as one node of the graph each.
//
// Gain over the chain of ordinary operations: the adapter's sums are accumulated inside the products (no temporaries of
// the width of the output), a frozen weight asks for no gradient, the dropped input is made anew in the backward pass
// instead of being kept, and the input is saved once however many layers share it. Cost: this file.

#include "../guard.h"
#include "dropout.h"
#include "few_rows.h"
#include "forms.h"
#include "products.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// An absent bias. The engine numbers only the tensors that are there, so those behind it move up by one without it.
using Bias = std::optional<at::Tensor>;
Bias bias_of(ct_tensor bias) { return bias ? Bias(ref(bias)) : std::nullopt; }
at::Tensor value(const Bias &bias) { return bias ? *bias : at::Tensor(); }

at::Tensor rows(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

struct Linear : torch::autograd::Function<Linear> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const Bias &bias) {
        context->save_for_backward({x, weight});
        context->saved_data["bias"] = bias.has_value();
        return product_forward(computable_input(x), weight, value(bias)).to(x.scalar_type());
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &x = saved[0], &weight = saved[1];
        auto dy = rows(computable(gradients[0]));
        at::Tensor dx, dw, db;
        if (context->needs_input_grad(0)) {
            dx = product_input_gradient(dy, weight).to(x.scalar_type()).reshape(x.sizes());
        }
        if (context->needs_input_grad(1)) {
            dw = product_weight_gradient(dy, rows(computable(x))).to(weight.scalar_type());
        }
        if (context->saved_data["bias"].toBool() && context->needs_input_grad(2)) db = dy.sum(0).to(gradients[0].scalar_type());
        return {dx, dw, db};
    }
};

struct LoRALinear : torch::autograd::Function<LoRALinear> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &x, const at::Tensor &weight, const Bias &bias,
        const at::Tensor &a, const at::Tensor &b, double scale, double probability, int64_t key) {
        auto input = rows(computable_input(x));
        auto low = a.to(input.scalar_type()), high = b.to(input.scalar_type());
        auto y = product_forward(input, weight, value(bias));                                          // [T, out]
        auto kept = probability > 0 ? dropped(input, probability, uint64_t(key)) : input;
        auto z = product_forward(kept, low, {});                                                // [T, r]
        y.addmm_(z, high.t(), 1.0, scale);
        context->save_for_backward({x, weight, low, high, z});
        context->saved_data["bias"] = bias.has_value();
        context->saved_data["scale"] = scale;
        context->saved_data["p"] = probability;
        context->saved_data["key"] = key;
        context->saved_data["a"] = int64_t(a.scalar_type());
        context->saved_data["b"] = int64_t(b.scalar_type());
        auto shape = x.sizes().vec();
        shape.back() = weight.size(0);
        return y.to(x.scalar_type()).reshape(shape);
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        const auto &x = saved[0], &weight = saved[1];
        double scale = context->saved_data["scale"].toDouble(), p = context->saved_data["p"].toDouble();
        auto key = uint64_t(context->saved_data["key"].toInt());
        auto dy = rows(computable(gradients[0]));
        auto input = rows(computable(x));
        auto wide = [&](int index) { return saved[index].to(dy.scalar_type()); };
        auto low = wide(2), high = wide(3), z = wide(4);

        at::Tensor dx, dw, bias_gradient, da, db;
        auto dz = product_input_gradient(dy, high).mul_(scale);                                 // [T, r]
        if (context->needs_input_grad(0)) {
            auto sum = product_input_gradient(dy, weight);                                      // [T, in]
            if (p > 0) {
                add_dropped(sum, at::mm(dz, low), p, key);
            } else {
                sum.addmm_(dz, low);
            }
            dx = sum.to(x.scalar_type()).reshape(x.sizes());
        }
        if (context->needs_input_grad(1)) dw = product_weight_gradient(dy, input).to(weight.scalar_type());
        bool has_bias = context->saved_data["bias"].toBool();
        size_t a_index = has_bias ? 3 : 2;
        if (has_bias && context->needs_input_grad(2)) bias_gradient = dy.sum(0).to(gradients[0].scalar_type());
        if (context->needs_input_grad(a_index)) {
            auto kept = p > 0 ? dropped(input, p, key) : input;
            da = product_weight_gradient(dz, kept).to(at::ScalarType(context->saved_data["a"].toInt()));
        }
        if (context->needs_input_grad(a_index + 1)) {
            db = product_weight_gradient(dy, z).mul_(scale).to(at::ScalarType(context->saved_data["b"].toInt()));
        }
        return {dx, dw, bias_gradient, da, db, {}, {}, {}};
    }
};

// Without a graph, a few rows have a kernel of their own.

/// Whether the graph keeps what is computed from these.
template <class... Tensors> bool records(const Tensors &...inputs) {
    return at::GradMode::is_enabled() && (... || (inputs.defined() && inputs.requires_grad()));
}

/// The rows as that kernel takes them, undefined where it does not.
at::Tensor few_rows_of(const at::Tensor &x, const at::Tensor &weight) {
    if (are_few_rows(x, weight)) return x;
    if (x.dim() == 0 || x.numel() > few_rows * x.size(-1)) return {};
    auto wide = computable(x);
    return are_few_rows(wide, weight) ? wide : at::Tensor();
}

/// In float.
at::Tensor low_rank_of_few(
    const at::Tensor &few, const at::Tensor &weight, const at::Tensor &bias, const at::Tensor &a, const at::Tensor &b,
    double scale) {
    auto wide = few.to(at::kFloat);
    auto product = [](const at::Tensor &left, const at::Tensor &right) {
        return are_few_rows(left, right) ? product_of_few_rows(left, right, {}) : at::linear(left, right.to(at::kFloat));
    };
    auto y = product_of_few_rows(wide, weight, bias);
    return y.add_(product(product(wide, a), b), scale);
}

// The same from the operations that every device has, for tests.

at::Tensor composed(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias) {
    auto y = at::matmul(computable(x), computable(weight.to(x.scalar_type())).t());
    return (bias.defined() ? y + bias.to(y.scalar_type()) : y).to(x.scalar_type());
}

at::Tensor composed_lora(
    const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias, const at::Tensor &a, const at::Tensor &b,
    const at::Tensor &kept, double scale) {
    auto wide = computable(x);
    auto z = at::matmul(computable(kept), a.to(wide.scalar_type()).t());
    auto y = at::matmul(wide, weight.to(wide.scalar_type()).t()) + at::matmul(z, b.to(wide.scalar_type()).t()) * scale;
    return (bias.defined() ? y + bias.to(y.scalar_type()) : y).to(x.scalar_type());
}

}  // namespace

}  // namespace ctorch

using namespace ctorch;

ct_tensor ct_linear(ct_tensor x, ct_tensor weight, ct_tensor bias) {
    return guarded([&] {
        if (composes()) return own(composed(ref(x), ref(weight), optional(bias)));
        if (!records(ref(x), ref(weight), optional(bias))) {
            auto few = few_rows_of(ref(x), ref(weight));
            if (few.defined()) return own(product_of_few_rows(few, ref(weight), optional(bias)).to(ref(x).scalar_type()));
        }
        return own(Linear::apply(ref(x), ref(weight), bias_of(bias)));
    });
}

ct_tensor ct_lora_linear(
    ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor a, ct_tensor b, double scale, double probability,
    uint64_t key) {
    return guarded([&] {
        TORCH_CHECK(
            ref(a).dim() == 2 && ref(b).dim() == 2 && ref(a).size(0) == ref(b).size(1), "lora_linear: A has shape ",
            ref(a).sizes(), ", B ", ref(b).sizes(), "; A must be [rank, in], B [out, rank]");
        if (composes()) {
            auto kept = probability > 0 ? dropped_with_gradient(ref(x), probability, key) : ref(x);
            return own(composed_lora(ref(x), ref(weight), optional(bias), ref(a), ref(b), kept, scale));
        }
        bool is_plain = probability == 0 && !records(ref(x), ref(weight), optional(bias), ref(a), ref(b));
        if (auto few = is_plain ? few_rows_of(ref(x), ref(weight)) : at::Tensor(); few.defined()) {
            auto y = low_rank_of_few(few, ref(weight), optional(bias), ref(a), ref(b), scale);
            return own(y.to(ref(x).scalar_type()));
        }
        return own(LoRALinear::apply(
            ref(x), ref(weight), bias_of(bias), ref(a), ref(b), scale, probability, int64_t(key)));
    });
}
