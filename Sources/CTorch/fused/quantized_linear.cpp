// A linear layer whose matrix lies in four or eight bits: the matrix is made for the product and dropped, and made again
// in the backward pass, which keeps nothing of the forward pass but the packed matrix that is there anyway.
// Gain: an ordinary layer would keep the matrix in full for its backward pass. Cost: this file, and making it twice.

#include "quantized.h"

#include "../guard.h"
#include "dropout.h"
#include "forms.h"
#include "products.h"
#include "scratch.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Holder : torch::CustomClassHolder {
    Quantized matrix;
    explicit Holder(const ct_quantized &given) : matrix(given) {}
};

at::Tensor rows(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

/// Matrices of at most this many numbers are made whole.
constexpr int64_t block_elements = 1 << 24;

Scratch &room() {
    static thread_local Scratch instance;
    return instance;
}

/// Calls `body(first, block)` with blocks of rows.
template <class Body>
void for_blocks(const Quantized &matrix, at::ScalarType values, at::ScalarType storage, Body &&body) {
    int64_t step = std::max<int64_t>(1, block_elements / std::max<int64_t>(1, matrix.columns));
    for (int64_t first = 0; first < matrix.rows; first += step) {
        int64_t count = std::min(step, matrix.rows - first);
        body(first, dequantized(matrix, first, count, values, storage, &room()));
    }
}

/// x Wᵀ + b: x [T, in] in the type that products of `values` are computed in.
at::Tensor forward_product(
    const Quantized &matrix, const at::Tensor &x, const at::Tensor &bias, at::ScalarType values) {
    at::Tensor y;
    for_blocks(matrix, values, x.scalar_type(), [&](int64_t first, const at::Tensor &block) {
        auto part = bias.defined() ? bias.narrow(0, first, block.size(0)) : bias;
        if (block.size(0) == matrix.rows) {
            y = product_forward(x, block, part);
            return;
        }
        if (!y.defined()) y = at::empty({x.size(0), matrix.rows}, x.options());
        y.narrow(1, first, block.size(0)).copy_(product_forward(x, block, part));
    });
    return y;
}

/// dy W.
at::Tensor input_gradient(const Quantized &matrix, const at::Tensor &dy, at::ScalarType values) {
    at::Tensor dx;
    for_blocks(matrix, values, dy.scalar_type(), [&](int64_t first, const at::Tensor &block) {
        auto part = product_input_gradient(dy.narrow(1, first, block.size(0)), block);
        dx = dx.defined() ? dx.add_(part) : part;
    });
    return dx;
}

/// The bias in the type of a product, undefined where there is none.
at::Tensor offset(const std::optional<at::Tensor> &bias, at::ScalarType values, const at::Tensor &x) {
    return bias ? bias->to(values).to(x.scalar_type()) : at::Tensor();
}

std::vector<int64_t> output_shape(const at::Tensor &x, const Quantized &matrix) {
    auto shape = x.sizes().vec();
    shape.back() = matrix.rows;
    return shape;
}

struct QuantizedLinear : torch::autograd::Function<QuantizedLinear> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &x, const std::optional<at::Tensor> &bias,
        const c10::intrusive_ptr<Holder> &holder, int64_t type) {
        auto values = at::ScalarType(type);
        auto input = computable(rows(x).to(values));
        auto y = forward_product(holder->matrix, input, offset(bias, values, input), values);
        context->saved_data["matrix"] = c10::IValue::make_capsule(holder);
        context->saved_data["shape"] = x.sizes().vec();
        context->saved_data["type"] = type;
        context->saved_data["of_x"] = int64_t(x.scalar_type());
        context->saved_data["of_bias"] = bias ? int64_t(bias->scalar_type()) : -1;
        return y.to(values).to(x.scalar_type()).reshape(output_shape(x, holder->matrix));
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto holder = c10::static_intrusive_pointer_cast<Holder>(context->saved_data["matrix"].toCapsule());
        auto values = at::ScalarType(context->saved_data["type"].toInt());
        auto of_bias = context->saved_data["of_bias"].toInt();
        auto dy = computable(rows(gradients[0]).to(values));
        at::Tensor dx, db;
        if (context->needs_input_grad(0)) {
            auto shape = context->saved_data["shape"].toIntVector();
            auto of_x = at::ScalarType(context->saved_data["of_x"].toInt());
            dx = input_gradient(holder->matrix, dy, values).to(values).to(of_x).reshape(shape);
        }
        // The engine numbers only the tensors that are there.
        if (of_bias >= 0 && context->needs_input_grad(1)) db = dy.sum(0).to(at::ScalarType(of_bias));
        return {dx, db, {}, {}};
    }
};

/// The same with a low-rank adapter, which is computed in the type of x (fused/linear.cpp).
struct QuantizedLoRALinear : torch::autograd::Function<QuantizedLoRALinear> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &x, const at::Tensor &a, const at::Tensor &b,
        const std::optional<at::Tensor> &bias, const c10::intrusive_ptr<Holder> &holder, int64_t type, double scale,
        double probability, int64_t key) {
        auto values = at::ScalarType(type);
        auto input = computable(rows(x)), base = computable(rows(x).to(values));
        auto low = a.to(input.scalar_type()), high = b.to(input.scalar_type());
        auto y = forward_product(holder->matrix, base, offset(bias, values, base), values);             // [T, out]
        if (y.scalar_type() != input.scalar_type()) y = y.to(values).to(input.scalar_type());
        auto kept = probability > 0 ? dropped(input, probability, uint64_t(key)) : input;
        auto z = product_forward(kept, low, {});                                                        // [T, r]
        y.addmm_(z, high.t(), 1.0, scale);
        context->save_for_backward({x, low, high, z});
        context->saved_data["matrix"] = c10::IValue::make_capsule(holder);
        context->saved_data["type"] = type;
        context->saved_data["scale"] = scale;
        context->saved_data["p"] = probability;
        context->saved_data["key"] = key;
        context->saved_data["a"] = int64_t(a.scalar_type());
        context->saved_data["b"] = int64_t(b.scalar_type());
        context->saved_data["of_bias"] = bias ? int64_t(bias->scalar_type()) : -1;
        return y.to(x.scalar_type()).reshape(output_shape(x, holder->matrix));
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto holder = c10::static_intrusive_pointer_cast<Holder>(context->saved_data["matrix"].toCapsule());
        auto values = at::ScalarType(context->saved_data["type"].toInt());
        auto saved = context->get_saved_variables();
        const auto &x = saved[0], &low = saved[1], &high = saved[2], &z = saved[3];
        double scale = context->saved_data["scale"].toDouble(), p = context->saved_data["p"].toDouble();
        auto key = uint64_t(context->saved_data["key"].toInt());
        auto dy = rows(computable(gradients[0]));
        auto input = rows(computable(x));
        at::Tensor dx, da, db, bias_gradient;
        auto dz = product_input_gradient(dy, high).mul_(scale);                                         // [T, r]
        if (context->needs_input_grad(0)) {
            auto sum = input_gradient(holder->matrix, computable(rows(gradients[0]).to(values)), values);
            if (sum.scalar_type() != dy.scalar_type()) sum = sum.to(values).to(dy.scalar_type());
            if (p > 0) {
                add_dropped(sum, at::mm(dz, low), p, key);
            } else {
                sum.addmm_(dz, low);
            }
            dx = sum.to(x.scalar_type()).reshape(x.sizes());
        }
        if (context->needs_input_grad(1)) {
            auto kept = p > 0 ? dropped(input, p, key) : input;
            da = product_weight_gradient(dz, kept).to(at::ScalarType(context->saved_data["a"].toInt()));
        }
        if (context->needs_input_grad(2)) {
            db = product_weight_gradient(dy, z).mul_(scale).to(at::ScalarType(context->saved_data["b"].toInt()));
        }
        auto of_bias = context->saved_data["of_bias"].toInt();
        if (of_bias >= 0 && context->needs_input_grad(3)) bias_gradient = dy.sum(0).to(at::ScalarType(of_bias));
        return {dx, da, db, bias_gradient, {}, {}, {}, {}, {}};
    }
};

// The same from the operations that every device has, for tests.
at::Tensor composed(const at::Tensor &x, const Quantized &matrix, ct_tensor bias, at::ScalarType values) {
    auto input = x.to(values);
    auto y = at::matmul(computable(input), computable(dequantized_composed(matrix, values)).t());
    if (bias) y = y + ref(bias).to(values).to(y.scalar_type());
    return y;
}

c10::intrusive_ptr<Holder> held(const ct_quantized &given, const at::Tensor &x) {
    auto holder = c10::make_intrusive<Holder>(given);
    TORCH_CHECK(
        x.dim() >= 1 && x.size(-1) == holder->matrix.columns, "linear: the input has shape ", x.sizes(),
        ", the quantised matrix ", holder->matrix.rows, " × ", holder->matrix.columns);
    return holder;
}

std::optional<at::Tensor> present(ct_tensor bias) { return bias ? std::optional<at::Tensor>(ref(bias)) : std::nullopt; }

}  // namespace

}  // namespace ctorch

using namespace ctorch;

ct_tensor ct_quantized_linear(ct_tensor x, const ct_quantized *matrix, ct_tensor bias, int dtype) {
    return guarded([&] {
        auto holder = held(*matrix, ref(x));
        auto type = static_cast<at::ScalarType>(dtype);
        if (composes()) return own(composed(ref(x), holder->matrix, bias, type).to(type).to(ref(x).scalar_type()));
        return own(QuantizedLinear::apply(ref(x), present(bias), holder, int64_t(dtype)));
    });
}

ct_tensor ct_quantized_lora_linear(
    ct_tensor x, const ct_quantized *matrix, ct_tensor bias, int dtype, ct_tensor a, ct_tensor b, double scale,
    double probability, uint64_t key) {
    return guarded([&] {
        auto holder = held(*matrix, ref(x));
        auto type = static_cast<at::ScalarType>(dtype);
        TORCH_CHECK(
            ref(a).dim() == 2 && ref(b).dim() == 2 && ref(a).size(0) == ref(b).size(1), "lora_linear: A has shape ",
            ref(a).sizes(), ", B ", ref(b).sizes(), "; A must be [rank, in], B [out, rank]");
        if (composes()) {
            auto y = composed(ref(x), holder->matrix, bias, type);
            auto wide = computable(probability > 0 ? dropped_with_gradient(ref(x), probability, key) : ref(x));
            auto z = at::matmul(wide, ref(a).to(wide.scalar_type()).t());
            y = y.to(wide.scalar_type()) + at::matmul(z, ref(b).to(wide.scalar_type()).t()) * scale;
            return own(y.to(ref(x).scalar_type()));
        }
        return own(QuantizedLoRALinear::apply(
            ref(x), ref(a), ref(b), present(bias), holder, int64_t(dtype), scale, probability, int64_t(key)));
    });
}
