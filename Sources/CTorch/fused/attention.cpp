// Attention inside each sequence of a flat batch: softmax(Q Kᵀ · scale) V, without padding.
// On the CPU a loop over the sequences around libtorch's flash kernel; on CUDA its variable-length flash kernel.
// Fewer key/value heads than query heads are shared by consecutive query heads (GQA).
// Gain: work and memory of a padded batch's padding (1.3 to 3 times on mixed lengths). Cost: this file.

#include "../guard.h"

#include "attention.h"
#include "forms.h"
#include "products.h"

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct FlashCPU : torch::autograd::Function<FlashCPU> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries,
        const Bounds &keys, bool causal, int64_t window, double scale) {
        int64_t groups = q.size(1) / k.size(1);
        Sight sight{causal, window};
        auto out = at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
        variable_list saved{q, k, v, out};
        auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
        for (size_t i = 0; i + 1 < queries.size(); ++i) {
            int64_t t = queries[i + 1] - queries[i], s = keys[i + 1] - keys[i];
            auto mask = sight.mask(wide_q, t, s);
            auto [y, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
                sequence(wide_q, queries, i), shared_heads(sequence(wide_k, keys, i), groups),
                shared_heads(sequence(wide_v, keys, i), groups), 0.0, sight.is_plain_causal(t, s), mask, scale);
            sequence(out, queries, i).copy_(y);
            saved.push_back(logsumexp);
        }
        context->save_for_backward(saved);
        context->saved_data["queries"] = queries;
        context->saved_data["keys"] = keys;
        context->saved_data["causal"] = causal;
        context->saved_data["window"] = window;
        context->saved_data["scale"] = scale;
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto q = computable(saved[0]), k = computable(saved[1]), v = computable(saved[2]), out = computable(saved[3]);
        auto queries = context->saved_data["queries"].toIntVector(), keys = context->saved_data["keys"].toIntVector();
        Sight sight{context->saved_data["causal"].toBool(), context->saved_data["window"].toInt()};
        double scale = context->saved_data["scale"].toDouble();
        int64_t groups = q.size(1) / k.size(1);
        auto dy = computable(gradients[0].contiguous());
        auto dq = at::empty_like(saved[0]), dk = at::empty_like(saved[1]), dv = at::empty_like(saved[2]);
        for (size_t i = 0; i + 1 < queries.size(); ++i) {
            int64_t t = queries[i + 1] - queries[i], s = keys[i + 1] - keys[i];
            auto mask = sight.mask(q, t, s);
            auto [a, b, c] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
                sequence(dy, queries, i), sequence(q, queries, i), shared_heads(sequence(k, keys, i), groups),
                shared_heads(sequence(v, keys, i), groups), sequence(out, queries, i), saved[4 + i], 0.0,
                sight.is_plain_causal(t, s), mask, scale);
            sequence(dq, queries, i).copy_(a);
            sequence(dk, keys, i).copy_(summed_heads(b, groups));
            sequence(dv, keys, i).copy_(summed_heads(c, groups));
        }
        return {dq, dk, dv, {}, {}, {}, {}, {}};
    }
};

int64_t longest(const Bounds &bounds) {
    int64_t result = 0;
    for (size_t i = 0; i + 1 < bounds.size(); ++i) result = std::max(result, bounds[i + 1] - bounds[i]);
    return result;
}

struct FlashCUDA : torch::autograd::Function<FlashCUDA> {
    /// The kernel counts the keys before the query's own.
    static std::optional<int64_t> limit(int64_t window) {
        return window > 0 ? std::optional(window - 1) : std::nullopt;
    }

    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries,
        const Bounds &keys, const at::Tensor &query_bounds, const at::Tensor &key_bounds, bool causal, int64_t window,
        double scale) {
        auto [out, logsumexp, seed, unused, debug] = at::_flash_attention_forward(
            q, k, v, query_bounds, key_bounds, longest(queries), longest(keys), 0.0, causal, false, scale,
            limit(window));
        context->save_for_backward({q, k, v, out, logsumexp, query_bounds, key_bounds, seed, unused});
        context->saved_data["longest"] = Bounds{longest(queries), longest(keys)};
        context->saved_data["causal"] = causal;
        context->saved_data["window"] = window;
        context->saved_data["scale"] = scale;
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto s = context->get_saved_variables();
        auto lengths = context->saved_data["longest"].toIntVector();
        auto [dq, dk, dv] = at::_flash_attention_backward(
            gradients[0].contiguous(), s[0], s[1], s[2], s[3], s[4], s[5], s[6], lengths[0], lengths[1], 0.0,
            context->saved_data["causal"].toBool(), s[7], s[8], context->saved_data["scale"].toDouble(),
            limit(context->saved_data["window"].toInt()));
        return {dq, dk, dv, {}, {}, {}, {}, {}, {}, {}};
    }
};

/// Ordinary operations, for devices and types without a flash kernel.
at::Tensor looped(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries, const Bounds &keys,
    Sight sight, double scale) {
    int64_t groups = q.size(1) / k.size(1);
    auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i + 1 < queries.size(); ++i) {
        int64_t t = queries[i + 1] - queries[i], s = keys[i + 1] - keys[i];
        auto y = std::get<0>(at::_scaled_dot_product_attention_math(
            sequence(wide_q, queries, i), shared_heads(sequence(wide_k, keys, i), groups),
            shared_heads(sequence(wide_v, keys, i), groups), sight.mask(wide_q, t, s), 0.0,
            sight.is_plain_causal(t, s), {}, scale));
        parts.push_back(y.squeeze(0).transpose(0, 1));
    }
    return at::cat(parts, 0).to(q.scalar_type());
}

}  // namespace

}  // namespace ctorch

ct_tensor ct_attention(
    ct_tensor q_, ct_tensor k_, ct_tensor v_, const int32_t *query_bounds, const int32_t *key_bounds, int count,
    ct_tensor query_tensor, ct_tensor key_tensor, bool causal, int64_t window, double scale, double dropout, uint64_t key) {
    using namespace ctorch;
    return guarded([&] {
        const auto &q = ref(q_), &k = ref(k_), &v = ref(v_);
        TORCH_CHECK(
            q.dim() == 3 && k.dim() == 3 && v.dim() == 3 && k.size(0) == v.size(0) && k.size(1) == v.size(1) &&
                k.size(2) == q.size(2) && k.size(1) > 0 && q.size(1) % k.size(1) == 0,
            "attention: wanted q [T, H, E], k and v [T', K, E] with H a multiple of K, got ", q.sizes(), ", ",
            k.sizes(), ", ", v.sizes());
        Bounds queries(query_bounds, query_bounds + count + 1), keys(key_bounds, key_bounds + count + 1);
        TORCH_CHECK(
            count > 0 && queries.front() == 0 && keys.front() == 0 && queries.back() == q.size(0) &&
                keys.back() == k.size(0) && std::is_sorted(queries.begin(), queries.end()) &&
                std::is_sorted(keys.begin(), keys.end()),
            "attention: the boundaries do not cover ", q.size(0), " queries and ", k.size(0), " keys");
        if (dropout > 0) {
            return own(attention_with_dropout(q, k, v, queries, keys, {causal, window}, scale, dropout, key));
        }
        if (takes_kernel(q)) return own(FlashCPU::apply(q, k, v, queries, keys, causal, window, scale));
        bool is_short = q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16;
        if (q.is_cuda() && is_short && !composes) {
            auto on_device = [&](ct_tensor given, const Bounds &bounds) {
                return given ? ref(given) : at::tensor(bounds, at::kInt).to(q.device());
            };
            return own(FlashCUDA::apply(
                q, k, v, queries, keys, on_device(query_tensor, queries), on_device(key_tensor, keys), causal, window,
                scale));
        }
        return own(looped(q, k, v, queries, keys, {causal, window}, scale));
    });
}
