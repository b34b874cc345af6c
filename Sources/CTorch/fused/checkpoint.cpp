// Gradient checkpointing: runs a part of the model without keeping what it computes, and again in the backward pass.
// Chen et al. 2016, arXiv 1604.06174.

#include "../guard.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

namespace ctorch {

namespace {

/// Keeps the caller's context alive as long as the graph may need it.
struct Body : torch::CustomClassHolder {
    using Call = ct_tensor (*)(void *, const ct_tensor *, int);

    void *context;
    Call call;
    void (*release)(void *);

    Body(void *context, Call call, void (*release)(void *)) : context(context), call(call), release(release) {}
    ~Body() override { release(context); }

    at::Tensor operator()(const std::vector<at::Tensor> &inputs) const {
        std::vector<ct_tensor> handles;
        for (const auto &input : inputs) handles.push_back(own(input));
        auto *output = call(context, handles.data(), int(handles.size()));
        TORCH_CHECK(output, "the checkpointed part failed: ", ct_error_message());
        at::Tensor result = ref(output);
        ct_free(output);
        return result;
    }
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, at::TensorList inputs, const c10::intrusive_ptr<Body> &body) {
        context->save_for_backward(inputs.vec());
        context->saved_data["body"] = c10::IValue::make_capsule(body);
        std::vector<at::Tensor> plain;
        for (const auto &input : inputs) plain.push_back(input.detach());
        return (*body)(plain);
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto body = c10::static_intrusive_pointer_cast<Body>(context->saved_data["body"].toCapsule());
        auto inputs = context->get_saved_variables();
        for (size_t i = 0; i < inputs.size(); ++i) {
            inputs[i] = inputs[i].detach().requires_grad_(context->needs_input_grad(i));
        }
        at::AutoGradMode recording(true);
        auto y = (*body)(inputs);
        torch::autograd::backward({y}, {gradients[0]});
        torch::autograd::variable_list result;
        for (const auto &input : inputs) result.push_back(input.grad());
        result.push_back({});
        return result;
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_checkpoint(
    const ct_tensor *inputs, int count, void *context, ct_tensor (*body)(void *context, const ct_tensor *inputs, int count),
    void (*release)(void *context)) {
    using namespace ctorch;
    return guarded([&] {
        auto holder = c10::make_intrusive<Body>(context, body, release);
        auto tensors = list(inputs, count);
        TORCH_CHECK(count > 0 && tensors[0].is_floating_point(), "checkpoint: the first input must be of floats");
        // The parameters inside want gradients even where no input does.
        bool wanted = std::any_of(tensors.begin(), tensors.end(), [](const auto &x) { return x.requires_grad(); });
        if (!wanted) tensors[0] = tensors[0].detach().requires_grad_(true);
        return own(Checkpoint::apply(at::TensorList(tensors), holder));
    });
}
