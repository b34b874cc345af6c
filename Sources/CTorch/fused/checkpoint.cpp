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
    void *context;
    ct_tensor (*call)(void *, ct_tensor);
    void (*release)(void *);

    Body(void *context, ct_tensor (*call)(void *, ct_tensor), void (*release)(void *))
        : context(context), call(call), release(release) {}
    ~Body() override { release(context); }

    at::Tensor operator()(const at::Tensor &x) const {
        auto *input = own(x);
        auto *output = call(context, input);
        TORCH_CHECK(output, "the checkpointed part failed: ", ct_error_message());
        at::Tensor result = ref(output);
        ct_free(output);
        return result;
    }
};

struct Checkpoint : torch::autograd::Function<Checkpoint> {
    static at::Tensor forward(
        torch::autograd::AutogradContext *context, const at::Tensor &x, const c10::intrusive_ptr<Body> &body) {
        context->save_for_backward({x});
        context->saved_data["body"] = c10::IValue::make_capsule(body);
        return (*body)(x.detach());
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        auto body = c10::static_intrusive_pointer_cast<Body>(context->saved_data["body"].toCapsule());
        auto x = context->get_saved_variables()[0].detach().requires_grad_(true);
        at::AutoGradMode recording(true);
        auto y = (*body)(x);
        torch::autograd::backward({y}, {gradients[0]});
        return {x.grad(), {}};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_checkpoint(
    ct_tensor x_, void *context, ct_tensor (*body)(void *context, ct_tensor x), void (*release)(void *context)) {
    using namespace ctorch;
    return guarded([&] {
        auto holder = c10::make_intrusive<Body>(context, body, release);
        // The parameters inside want gradients even where x itself does not.
        auto x = ref(x_).requires_grad() ? ref(x_) : ref(x_).detach().requires_grad_(true);
        return own(Checkpoint::apply(x, holder));
    });
}
