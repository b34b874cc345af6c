// What the forms of attention share: which keys a query sees, what is added to scores, the parts of a flat batch.
#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/custom_class.h>

#include "../include/ctorch.h"

namespace ctorch {

/// One sequence: rows of q, and rows of k and v.
struct AttentionPart {
    int64_t query, queries, key, keys;
};

/// Everything about an attention but its tensors.
struct AttentionPlan : torch::CustomClassHolder {
    std::vector<AttentionPart> parts;
    /// Whether every key belongs to a sequence.
    bool covers_keys = true;
    bool causal;
    int64_t window;  // 0: no limit
    double scale, dropout, soft_cap;  // 0: none
    uint64_t key;
    std::vector<float> slopes;  // of each query head; empty: none
    bool rounds_slopes;
    int64_t buckets, reach;     // of the bias table
    bool buckets_both_sides;

    /// Checks the shapes too.
    AttentionPlan(const ct_attention_options &options, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table);

    int64_t longest(int64_t AttentionPart::*length) const;

    /// Whether libtorch's flag for a triangle says all there is to say.
    bool is_triangle(const AttentionPart &part, const at::Tensor &table) const;

    /// What is added to scores [K, G, t, s]: biases, and -inf where a query must not look; nothing where there is none.
    std::optional<at::Tensor> addend(const AttentionPart &part, const at::Tensor &like, int64_t shared, const at::Tensor &table) const;

    /// The row of the bias table for each query and key, [t, s].
    at::Tensor bucket_rows(const AttentionPart &part, const at::Device &device) const;

    /// The dropout key of a sequence.
    uint64_t part_key(size_t i) const { return key ^ (0x9E3779B97F4A7C15ull * (i + 1)); }
};

using SharedPlan = c10::intrusive_ptr<AttentionPlan>;

/// Queries of one sequence by the key/value heads they share, [T, H, E] → [K, G, t, E], a view.
inline at::Tensor queries_of(const at::Tensor &x, const AttentionPart &part, int64_t shared) {
    return x.narrow(0, part.query, part.queries).unflatten(1, {shared, x.size(1) / shared}).permute({1, 2, 0, 3});
}

/// Keys or values of one sequence, the same for each of the queries that share them: [T', K, E] → [K, G, s, E], a view.
inline at::Tensor keys_of(const at::Tensor &x, const AttentionPart &part, int64_t groups) {
    auto own = x.narrow(0, part.key, part.keys).transpose(0, 1).unsqueeze(1);
    return own.expand({own.size(0), groups, own.size(2), own.size(3)});
}

/// Where `keys_of` are written: the gradients of the queries that share a head are added up.
inline void add_up_keys(at::Tensor &out, const AttentionPart &part, const at::Tensor &gradient) {
    auto sum = gradient.size(1) == 1 ? gradient.squeeze(1) : gradient.sum(1);
    out.narrow(0, part.key, part.keys).transpose(0, 1).copy_(sum);
}

/// softmax(cap(Q Kᵀ · scale) + bias) V from products that keep the weights: for what no flash kernel has. Any device.
/// `table` and `sinks` may be undefined.
at::Tensor attention_by_weights(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const at::Tensor &sinks,
    const SharedPlan &plan);

/// The same for one query of each sequence, without gradients, where nothing is added to scores; nothing where it is not so.
std::optional<at::Tensor> attention_of_one_query(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const AttentionPlan &plan);

/// The same from ordinary operations, with sinks.
at::Tensor composed_attention(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const at::Tensor &sinks,
    const AttentionPlan &plan);

}  // namespace ctorch
