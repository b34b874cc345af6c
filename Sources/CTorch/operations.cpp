#include "elementwise.h"
#include "guard.h"
#include "ordering.h"

using namespace ctorch;

#define CT_UNARY(name, expression) \
    ct_tensor ct_##name(ct_tensor x_) { \
        return guarded([&] { const auto &x = ref(x_); return own(expression); }); \
    }
CT_UNARY(neg, at::neg(x))
CT_UNARY(exp, stable_exp(x))
CT_UNARY(log, stable_log(x))
CT_UNARY(sqrt, at::sqrt(x))
CT_UNARY(rsqrt, at::rsqrt(x))
CT_UNARY(abs, at::abs(x))
CT_UNARY(tanh, stable_tanh(x))
CT_UNARY(sigmoid, stable_sigmoid(x))
CT_UNARY(silu, stable_silu(x))
CT_UNARY(relu, at::relu(x))
CT_UNARY(sin, stable_sin(x))
CT_UNARY(cos, stable_cos(x))
CT_UNARY(contiguous, x.contiguous())
CT_UNARY(clone, x.clone())
CT_UNARY(isfinite, at::isfinite(x))
CT_UNARY(logical_not, at::logical_not(x))
CT_UNARY(softplus, at::softplus(x))

#define CT_BINARY(name, function) \
    ct_tensor ct_##name(ct_tensor a, ct_tensor b) { \
        return guarded([&] { return own(function(ref(a), ref(b))); }); \
    }
CT_BINARY(add, at::add)
CT_BINARY(sub, at::sub)
CT_BINARY(mul, at::mul)
CT_BINARY(div, at::div)
CT_BINARY(matmul, at::matmul)
CT_BINARY(eq, at::eq)
CT_BINARY(lt, at::lt)
CT_BINARY(gt, at::gt)
CT_BINARY(ge, at::ge)

ct_tensor ct_add_scalar(ct_tensor x, double value) {
    return guarded([&] { return own(at::add(ref(x), value)); });
}
ct_tensor ct_mul_scalar(ct_tensor x, double value) {
    return guarded([&] { return own(at::mul(ref(x), value)); });
}
ct_tensor ct_pow_scalar(ct_tensor x, double exponent) {
    return guarded([&] { return own(at::pow(ref(x), exponent)); });
}
ct_tensor ct_lt_scalar(ct_tensor x, double value) {
    return guarded([&] { return own(at::lt(ref(x), value)); });
}
int ct_add_in_place(ct_tensor x, ct_tensor y, double scale) {
    return guarded([&] { ref(x).add_(ref(y), scale); return 0; });
}
int ct_mul_in_place(ct_tensor x, double value) {
    return guarded([&] { ref(x).mul_(value); return 0; });
}
int ct_copy_in_place(ct_tensor x, ct_tensor source) {
    return guarded([&] { ref(x).copy_(ref(source)); return 0; });
}
int ct_fill_in_place(ct_tensor x, double value) {
    return guarded([&] { ref(x).fill_(value); return 0; });
}
ct_tensor ct_where(ct_tensor condition, ct_tensor a, ct_tensor b) {
    return guarded([&] { return own(at::where(ref(condition), ref(a), ref(b))); });
}
ct_tensor ct_masked_fill(ct_tensor x, ct_tensor mask, double value) {
    return guarded([&] { return own(at::masked_fill(ref(x), ref(mask), value)); });
}

ct_tensor ct_reshape(ct_tensor x, const int64_t *shape, int rank) {
    return guarded([&] { return own(at::reshape(ref(x), {shape, size_t(rank)})); });
}
ct_tensor ct_transpose(ct_tensor x, int64_t a, int64_t b) {
    return guarded([&] { return own(at::transpose(ref(x), a, b)); });
}
ct_tensor ct_permute(ct_tensor x, const int64_t *axes, int rank) {
    return guarded([&] { return own(at::permute(ref(x), {axes, size_t(rank)})); });
}
ct_tensor ct_narrow(ct_tensor x, int64_t axis, int64_t start, int64_t length) {
    return guarded([&] { return own(at::narrow(ref(x), axis, start, length)); });
}
ct_tensor ct_select(ct_tensor x, int64_t axis, int64_t index) {
    return guarded([&] { return own(at::select(ref(x), axis, index)); });
}
ct_tensor ct_unsqueeze(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(at::unsqueeze(ref(x), axis)); });
}
ct_tensor ct_squeeze(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(at::squeeze(ref(x), axis)); });
}
ct_tensor ct_expand(ct_tensor x, const int64_t *shape, int rank) {
    return guarded([&] { return own(ref(x).expand({shape, size_t(rank)})); });
}
ct_tensor ct_cat(const ct_tensor *tensors, int count, int64_t axis) {
    return guarded([&] { return own(at::cat(list(tensors, count), axis)); });
}
ct_tensor ct_stack(const ct_tensor *tensors, int count, int64_t axis) {
    return guarded([&] { return own(at::stack(list(tensors, count), axis)); });
}
ct_tensor ct_index_select(ct_tensor x, int64_t axis, ct_tensor index) {
    return guarded([&] { return own(at::index_select(ref(x), axis, ref(index))); });
}
int ct_index_copy_in_place(ct_tensor x, ct_tensor index, ct_tensor source) {
    return guarded([&] {
        // No row is named twice: sorting them first would order nothing.
        std::optional<InAnyOrder> in_any_order;
        if (!ref(x).is_cpu()) in_any_order.emplace();
        ref(x).index_copy_(0, ref(index), ref(source));
        return 0;
    });
}
ct_tensor ct_gather(ct_tensor x, int64_t axis, ct_tensor index) {
    return guarded([&] { return own(at::gather(ref(x), axis, ref(index))); });
}
ct_tensor ct_scatter(ct_tensor x, int64_t axis, ct_tensor index, ct_tensor source) {
    return guarded([&] { return own(at::scatter(ref(x), axis, ref(index), ref(source))); });
}
ct_tensor ct_embedding(ct_tensor weight, ct_tensor ids) {
    return guarded([&] { return own(at::embedding(ref(weight), ref(ids))); });
}
ct_tensor ct_to_dtype(ct_tensor x, int dtype) {
    return guarded([&] { return own(ref(x).to(static_cast<at::ScalarType>(dtype))); });
}
ct_tensor ct_to_device(ct_tensor x, int device_type, int device_index) {
    return guarded([&] {
        at::Device device(static_cast<at::DeviceType>(device_type), c10::DeviceIndex(device_index));
        // What a step brings along is copied while the device computes; pinning a model's weights would keep their memory.
        constexpr size_t most = 1 << 22;
        bool is_small = ref(x).nbytes() > 0 && ref(x).nbytes() <= most;
        if (ref(x).is_cpu() && device.is_cuda() && is_small) return own(ref(x).pin_memory().to(device, /*non_blocking=*/true));
        return own(ref(x).to(device));
    });
}

ct_tensor ct_sum(ct_tensor x) {
    return guarded([&] { return own(sum_of_parts(ref(x))); });
}
ct_tensor ct_sum_axis(ct_tensor x, int64_t axis, bool keep) {
    return guarded([&] { return own(at::sum(ref(x), at::IntArrayRef{axis}, keep)); });
}
ct_tensor ct_mean(ct_tensor x) {
    return guarded([&] {
        if (!at::isFloatingType(ref(x).scalar_type())) return own(at::mean(ref(x)));
        auto wide = c10::isReducedFloatingType(ref(x).scalar_type()) ? ref(x).to(at::kFloat) : ref(x);
        return own((sum_of_parts(wide) / double(wide.numel())).to(ref(x).scalar_type()));
    });
}
ct_tensor ct_mean_axis(ct_tensor x, int64_t axis, bool keep) {
    return guarded([&] { return own(at::mean(ref(x), at::IntArrayRef{axis}, keep)); });
}
ct_tensor ct_max(ct_tensor x) {
    return guarded([&] { return own(at::max(ref(x))); });
}
ct_tensor ct_amax(ct_tensor x, int64_t axis, bool keep) {
    return guarded([&] { return own(at::amax(ref(x), axis, keep)); });
}
ct_tensor ct_argmax(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(at::argmax(ref(x), axis)); });
}
ct_tensor ct_cumsum(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(at::cumsum(ref(x), axis)); });
}
ct_tensor ct_softmax(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(stable_softmax(ref(x), axis)); });
}
ct_tensor ct_log_softmax(ct_tensor x, int64_t axis) {
    return guarded([&] { return own(at::log_softmax(ref(x), axis)); });
}
int ct_sort(ct_tensor x, int64_t axis, bool descending, ct_tensor *values, ct_tensor *indices) {
    return guarded([&] {
        auto [v, i] = at::sort(ref(x), axis, descending);
        *values = own(v);
        *indices = own(i);
        return 0;
    });
}
int ct_topk(ct_tensor x, int64_t k, ct_tensor *values, ct_tensor *indices) {
    return guarded([&] {
        auto [v, i] = at::topk(ref(x), k);
        *values = own(v);
        *indices = own(i);
        return 0;
    });
}

ct_tensor ct_gelu(ct_tensor x, bool approximates) {
    return guarded([&] { return own(stable_gelu(ref(x), approximates)); });
}
ct_tensor ct_binary_cross_entropy_sum(ct_tensor logits, ct_tensor targets) {
    return guarded([&] { return own(binary_cross_entropy_sum(ref(logits), ref(targets))); });
}
ct_tensor ct_cross_entropy_sum(ct_tensor logits, ct_tensor labels) {
    return guarded([&] {
        // The loss of 16-bit logits is a sum that 16 bits cannot hold.
        bool is_short = c10::isReducedFloatingType(ref(logits).scalar_type());
        return own(at::cross_entropy_loss(
            is_short ? ref(logits).to(at::kFloat) : ref(logits), ref(labels).to(at::kLong), {}, at::Reduction::Sum));
    });
}

int ct_fused_adamw(
    const ct_tensor *parameters, const ct_tensor *gradients, const ct_tensor *averages, const ct_tensor *squares,
    const ct_tensor *steps, int count, double rate, double beta1, double beta2, double decay, double epsilon) {
    return guarded([&] {
        at::NoGradGuard no_gradient;
        auto p = list(parameters, count), s = list(steps, count);
        auto g = list(gradients, count), m = list(averages, count), v = list(squares, count);
        at::_foreach_add_(s, 1);  // the kernel reads the number of the step, it does not count it
        at::_fused_adamw_(p, g, m, v, {}, s, rate, beta1, beta2, decay, epsilon, /*amsgrad=*/false, /*maximize=*/false);
        return 0;
    });
}

ct_tensor ct_total_norm(const ct_tensor *tensors, int count) {
    return guarded([&] {
        at::NoGradGuard no_gradient;
        std::vector<at::Tensor> wide, narrow;
        for (auto &x : list(tensors, count)) {
            (c10::isReducedFloatingType(x.scalar_type()) ? narrow : wide).push_back(x);
        }
        std::vector<at::Tensor> norms;
        if (!wide.empty()) norms = at::_foreach_norm(wide);
        if (!narrow.empty()) {
            // In float32: the last bit of a sum of 16-bit squares depends on the threads.
            for (auto &norm : at::_foreach_norm(narrow, 2, at::kFloat)) norms.push_back(norm);
        }
        return own(at::linalg_vector_norm(at::stack(norms)));
    });
}

int ct_scale_all(const ct_tensor *tensors, int count, ct_tensor factor) {
    return guarded([&] {
        at::NoGradGuard no_gradient;
        auto all = list(tensors, count);
        at::_foreach_mul_(all, ref(factor));
        return 0;
    });
}

ct_tensor ct_svd(ct_tensor x, ct_tensor *s, ct_tensor *v) {
    return guarded([&] {
        auto [left, values, right] = at::linalg_svd(ref(x), false);
        *s = own(values);
        *v = own(right);
        return own(left);
    });
}
ct_tensor ct_qr(ct_tensor x, ct_tensor *r) {
    return guarded([&] {
        auto [q, upper] = at::linalg_qr(ref(x));
        *r = own(upper);
        return own(q);
    });
}

// --- sparse and spectral adapters

ct_tensor ct_std(ct_tensor x) {
    return guarded([&] { return own(at::std(ref(x), /*unbiased=*/true)); });
}
ct_tensor ct_ifft2_real(ct_tensor x) {
    return guarded([&] { return own(at::real(at::fft_ifft2(ref(x))).contiguous()); });
}
ct_tensor ct_circular_correlation(ct_tensor x, ct_tensor w) {
    return guarded([&] {
        auto spectrum = at::einsum("tnf,mnf->tmf", {at::fft_rfft(ref(x)), at::conj(at::fft_rfft(ref(w)))});
        return own(at::fft_irfft(spectrum, ref(x).size(-1)));
    });
}
ct_tensor ct_conv_transpose2d(ct_tensor x, ct_tensor filters, int64_t stride) {
    return guarded([&] { return own(at::conv_transpose2d(ref(x), ref(filters), {}, stride)); });
}

// --- matrices of adapters
ct_tensor ct_solve(ct_tensor a, ct_tensor b, bool left) {
    return guarded([&] { return own(at::linalg_solve(ref(a), ref(b), left)); });
}
ct_tensor ct_solve_unit_lower(ct_tensor a, ct_tensor b) {
    return guarded([&] { return own(at::linalg_solve_triangular(ref(a), ref(b), false, true, true)); });
}
