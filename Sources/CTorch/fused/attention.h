// What the forms of attention share: one sequence of a flat batch, shared key/value heads, masks.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace ctorch {

using Bounds = std::vector<int64_t>;

/// [T, H, E] → [1, H, t, E], a view of one sequence.
inline at::Tensor sequence(const at::Tensor &x, const Bounds &bounds, size_t i) {
    return x.narrow(0, bounds[i], bounds[i + 1] - bounds[i]).transpose(0, 1).unsqueeze(0);
}

/// [1, K, t, E] → [1, K · groups, t, E]: each head `groups` times in a row.
inline at::Tensor shared_heads(const at::Tensor &x, int64_t groups) {
    if (groups == 1) return x;
    auto shape = x.sizes();
    return x.unsqueeze(2)
        .expand({shape[0], shape[1], groups, shape[2], shape[3]})
        .reshape({shape[0], shape[1] * groups, shape[2], shape[3]});
}

/// The gradient of `shared_heads`.
inline at::Tensor summed_heads(const at::Tensor &x, int64_t groups) {
    if (groups == 1) return x;
    auto shape = x.sizes();
    return x.reshape({shape[0], shape[1] / groups, groups, shape[2], shape[3]}).sum(2);
}

/// Which keys a query sees: all, those up to its own position, or the last `window` of those.
struct Sight {
    bool causal;
    int64_t window;  // 0: no limit

    bool is_plain_causal(int64_t queries, int64_t keys) const {
        return causal && queries == keys && (window == 0 || keys <= window);
    }

    /// What is added to the scores, -inf where a query must not look; nothing where a flag or no mask does.
    std::optional<at::Tensor> mask(const at::Tensor &q, int64_t queries, int64_t keys) const {
        bool is_limited = window > 0 && keys > window;
        if (!causal || is_plain_causal(queries, keys) || (queries == 1 && !is_limited)) return std::nullopt;
        // With fewer queries than keys (a cache) the queries are the last positions.
        auto open = at::ones({queries, keys}, q.options().dtype(at::kBool)).tril(keys - queries);
        if (is_limited) open = open.triu(keys - queries - window + 1);
        return at::zeros({queries, keys}, q.options()).masked_fill_(open.logical_not(), -INFINITY);
    }
};

/// softmax(Q Kᵀ · scale) with each probability dropped by chance, times V; the mask is a function of `key`.
at::Tensor attention_with_dropout(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const Bounds &queries, const Bounds &keys,
    Sight sight, double scale, double probability, uint64_t key);

}  // namespace ctorch
