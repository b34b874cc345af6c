#include "guard.h"

#include <ATen/CPUGeneratorImpl.h>
#include <cstring>
#include <torch/csrc/autograd/autograd.h>

using namespace ctorch;

ct_tensor ct_empty(const int64_t *shape, int rank, int dtype, int device_type, int device_index) {
    return guarded([&] { return own(at::empty({shape, size_t(rank)}, options(dtype, device_type, device_index))); });
}

ct_tensor ct_full(const int64_t *shape, int rank, double value, int dtype, int device_type, int device_index) {
    return guarded([&] {
        return own(at::full({shape, size_t(rank)}, value, options(dtype, device_type, device_index)));
    });
}

ct_tensor ct_copy_from(const void *data, const int64_t *shape, int rank, int dtype) {
    return guarded([&] {
        auto result = at::empty({shape, size_t(rank)}, options(dtype, int(at::kCPU), -1));
        if (result.nbytes() > 0) std::memcpy(result.data_ptr(), data, result.nbytes());
        return own(result);
    });
}

ct_tensor ct_borrow(
    const void *data, const int64_t *shape, int rank, int dtype, void *owner, void (*release)(void *)) {
    return guarded([&] {
        return own(at::from_blob(
            const_cast<void *>(data), {shape, size_t(rank)}, [owner, release](void *) { release(owner); },
            options(dtype, int(at::kCPU), -1)));
    });
}

ct_tensor ct_arange(int64_t start, int64_t end, int dtype, int device_type, int device_index) {
    return guarded([&] { return own(at::arange(start, end, options(dtype, device_type, device_index))); });
}

void ct_free(ct_tensor x) {
    live_tensors.fetch_sub(1, std::memory_order_relaxed);
    delete reinterpret_cast<at::Tensor *>(x);
}

ct_tensor ct_alias(ct_tensor x) {
    return guarded([&] { return own(ref(x)); });
}

int ct_rank(ct_tensor x) { return int(ref(x).dim()); }
void ct_shape(ct_tensor x, int64_t *out) { std::copy(ref(x).sizes().begin(), ref(x).sizes().end(), out); }
int64_t ct_element_count(ct_tensor x) { return ref(x).numel(); }
int ct_dtype(ct_tensor x) { return int(ref(x).scalar_type()); }
int ct_device_type(ct_tensor x) { return int(ref(x).device().type()); }
int ct_device_index(ct_tensor x) { return int(ref(x).device().index()); }
bool ct_is_contiguous(ct_tensor x) { return ref(x).is_contiguous(); }
void *ct_data(ct_tensor x) {
    return guarded([&] { return ref(x).data_ptr(); });
}

int ct_item(ct_tensor x, double *out) {
    return guarded([&] {
        *out = ref(x).item().toDouble();
        return 0;
    });
}

int ct_read(ct_tensor x, int dtype, void *out) {
    return guarded([&] {
        auto flat = ref(x).detach().to(at::kCPU).to(static_cast<at::ScalarType>(dtype)).contiguous();
        if (flat.nbytes() > 0) std::memcpy(out, flat.data_ptr(), flat.nbytes());
        return 0;
    });
}

int ct_equal(ct_tensor a, ct_tensor b) {
    return guarded([&] { return int(ref(a).equal(ref(b))); });
}

bool ct_gradient_enabled(void) { return at::GradMode::is_enabled(); }
void ct_set_gradient_enabled(bool enabled) { at::GradMode::set_enabled(enabled); }
bool ct_requires_gradient(ct_tensor x) { return ref(x).requires_grad(); }

int ct_set_requires_gradient(ct_tensor x, bool value) {
    return guarded([&] {
        ref(x).set_requires_grad(value);
        return 0;
    });
}

ct_tensor ct_gradient(ct_tensor x) {
    clear_error();
    return guarded([&]() -> ct_tensor {
        const auto &gradient = ref(x).grad();
        return gradient.defined() ? own(gradient) : nullptr;
    });
}

int ct_set_gradient(ct_tensor x, ct_tensor gradient) {
    return guarded([&] {
        const auto &tensor = ref(x), &value = ref(gradient);
        TORCH_CHECK(
            value.sizes() == tensor.sizes() && value.scalar_type() == tensor.scalar_type() &&
                value.device() == tensor.device(),
            "a gradient of shape ", value.sizes(), ", type ", value.scalar_type(), " on ", value.device(),
            " does not fit a tensor of shape ", tensor.sizes(), ", type ", tensor.scalar_type(), " on ", tensor.device());
        tensor.mutable_grad() = value;
        return 0;
    });
}

void ct_clear_gradient(ct_tensor x) { ref(x).mutable_grad() = at::Tensor(); }

int ct_backward(ct_tensor x, ct_tensor gradient) {
    return guarded([&] {
        has_gone_backward = true;
        torch::autograd::backward({ref(x)}, gradient ? std::vector<at::Tensor>{ref(gradient)} : std::vector<at::Tensor>{});
        return 0;
    });
}

ct_tensor ct_detach(ct_tensor x) {
    return guarded([&] { return own(ref(x).detach()); });
}

ct_generator ct_generator_new(uint64_t seed) {
    return guarded([&] {
        return reinterpret_cast<ct_generator>(new at::Generator(at::detail::createCPUGenerator(seed)));
    });
}

void ct_generator_free(ct_generator g) { delete reinterpret_cast<at::Generator *>(g); }

static at::Generator &generator(ct_generator g) { return *reinterpret_cast<at::Generator *>(g); }

/// Overwrites x by `draw`, on the processor, where generators are: every device gets the same numbers.
template <class Draw> static int fill_drawn(const at::Tensor &x, Draw &&draw) {
    at::NoGradGuard no_gradient;
    auto here = x.is_cpu() ? x : at::empty_like(x, x.options().device(at::kCPU));
    draw(here);
    if (!x.is_cpu()) x.copy_(here);
    return 0;
}

int ct_uniform(ct_tensor x, double low, double high, ct_generator g) {
    return guarded([&] { return fill_drawn(ref(x), [&](const at::Tensor &y) { y.uniform_(low, high, generator(g)); }); });
}

int ct_normal(ct_tensor x, double mean, double deviation, ct_generator g) {
    return guarded([&] {
        return fill_drawn(ref(x), [&](const at::Tensor &y) { y.normal_(mean, deviation, generator(g)); });
    });
}

ct_tensor ct_bernoulli(ct_tensor probabilities, ct_generator g) {
    return guarded([&] {
        return own(at::bernoulli(ref(probabilities).cpu(), generator(g)).to(ref(probabilities).device()));
    });
}

ct_tensor ct_random_integers(int64_t count, ct_generator g) {
    return guarded([&] {
        return own(at::randint(std::numeric_limits<int64_t>::max(), {count}, generator(g), at::kLong));
    });
}
ct_tensor ct_randperm(int64_t count, ct_generator g) {
    return guarded([&] { return own(at::randperm(count, generator(g), at::kLong)); });
}
