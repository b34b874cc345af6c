// A linear layer whose matrix lies in four or eight bits: the matrix is made for the product and dropped, and made again
// in the backward pass, which keeps nothing of the forward pass but the packed matrix that is there anyway.
// Gain: an ordinary layer would keep the matrix in full for its backward pass. Cost: this file, and making it twice.

#include "quantized.h"

#include "../guard.h"
#include "forms.h"
#include "products.h"

#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace ctorch {

namespace {

struct Holder : torch::CustomClassHolder {
    Quantized matrix;
    explicit Holder(const ct_quantized &given) : matrix(given) {}
};

at::Tensor rows(const at::Tensor &x) { return x.reshape({-1, x.size(-1)}); }

/// Matrices of at most this many numbers are made whole.
constexpr int64_t block_elements = 1 << 24;

/// Calls `body(first, block)` with blocks of rows.
template <class Body>
void for_blocks(const Quantized &matrix, at::ScalarType values, at::ScalarType storage, Body &&body) {
    int64_t step = std::max<int64_t>(1, block_elements / std::max<int64_t>(1, matrix.columns));
    for (int64_t first = 0; first < matrix.rows; first += step) {
        int64_t count = std::min(step, matrix.rows - first);
        body(first, dequantized(matrix, first, count, values, storage));
    }
}

struct QuantizedLinear : torch::autograd::Function<QuantizedLinear> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const std::optional<at::Tensor> &bias,
        const c10::intrusive_ptr<Holder> &holder, int64_t type) {
        const auto &matrix = holder->matrix;
        auto values = at::ScalarType(type);
        auto input = computable(rows(x).to(values));
        auto offset = bias ? bias->to(values).to(input.scalar_type()) : at::Tensor();
        at::Tensor y;
        for_blocks(matrix, values, input.scalar_type(), [&](int64_t first, const at::Tensor &block) {
            auto part = offset.defined() ? offset.narrow(0, first, block.size(0)) : offset;
            if (block.size(0) == matrix.rows) {
                y = product_forward(input, block, part);
                return;
            }
            if (!y.defined()) y = at::empty({input.size(0), matrix.rows}, input.options());
            y.narrow(1, first, block.size(0)).copy_(product_forward(input, block, part));
        });
        context->saved_data["matrix"] = c10::IValue::make_capsule(holder);
        context->saved_data["shape"] = x.sizes().vec();
        context->saved_data["type"] = type;
        context->saved_data["of_x"] = int64_t(x.scalar_type());
        context->saved_data["of_bias"] = bias ? int64_t(bias->scalar_type()) : -1;
        auto shape = x.sizes().vec();
        shape.back() = matrix.rows;
        return y.to(values).to(x.scalar_type()).reshape(shape);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto holder = c10::static_intrusive_pointer_cast<Holder>(context->saved_data["matrix"].toCapsule());
        auto values = at::ScalarType(context->saved_data["type"].toInt());
        auto of_bias = context->saved_data["of_bias"].toInt();
        auto dy = computable(rows(gradients[0]).to(values));
        at::Tensor dx, db;
        if (context->needs_input_grad(0)) {
            for_blocks(holder->matrix, values, dy.scalar_type(), [&](int64_t first, const at::Tensor &block) {
                auto part = product_input_gradient(dy.narrow(1, first, block.size(0)), block);
                dx = dx.defined() ? dx.add_(part) : part;
            });
            auto shape = context->saved_data["shape"].toIntVector();
            dx = dx.to(values).to(at::ScalarType(context->saved_data["of_x"].toInt())).reshape(shape);
        }
        // The engine numbers only the tensors that are there.
        if (of_bias >= 0 && context->needs_input_grad(1)) db = dy.sum(0).to(at::ScalarType(of_bias));
        return {dx, db, {}, {}};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_quantized_linear(ct_tensor x, const ct_quantized *matrix, ct_tensor bias, int dtype) {
    using namespace ctorch;
    return guarded([&] {
        auto holder = c10::make_intrusive<Holder>(*matrix);
        TORCH_CHECK(
            ref(x).dim() >= 1 && ref(x).size(-1) == holder->matrix.columns, "linear: the input has shape ",
            ref(x).sizes(), ", the quantised matrix ", holder->matrix.rows, " × ", holder->matrix.columns);
        auto type = static_cast<at::ScalarType>(dtype);
        if (composes) {
            auto input = ref(x).to(type);
            auto y = at::matmul(computable(input), computable(dequantized_composed(holder->matrix, type)).t());
            if (bias) y = y + ref(bias).to(type).to(y.scalar_type());
            return own(y.to(type).to(ref(x).scalar_type()));
        }
        return own(QuantizedLinear::apply(
            ref(x), bias ? std::optional<at::Tensor>(ref(bias)) : std::nullopt, holder, int64_t(dtype)));
    });
}
