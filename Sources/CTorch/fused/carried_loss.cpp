// A loss that is known inside a part of a model which runs again in the backward pass: nothing leaves such a part but its
// output, so that the loss goes along with it.

#include "../guard.h"

#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

namespace {

struct CarriedLoss : torch::autograd::Function<CarriedLoss> {
    static at::Tensor forward(torch::autograd::AutogradContext *context, const at::Tensor &x, const at::Tensor &loss) {
        context->save_for_backward({loss});
        return x.clone();
    }

    static torch::autograd::variable_list backward(
        torch::autograd::AutogradContext *context, torch::autograd::variable_list gradients) {
        return {gradients[0], at::ones_like(context->get_saved_variables()[0])};
    }
};

}  // namespace

}  // namespace ctorch

ct_tensor ct_carry_loss(ct_tensor x, ct_tensor loss) {
    using namespace ctorch;
    return guarded([&] { return own(CarriedLoss::apply(ref(x), ref(loss))); });
}
