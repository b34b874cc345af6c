// Attention that keeps its weights (t² per head), for what no flash kernel has: weights dropped by chance while
// training, as BERT does; a soft cap on the scores, as Gemma 2 has; a bias table that is trained, as T5's; a score of each
// head beside those of the keys, as GPT-OSS has.
// Gain over ordinary operations: half of what they keep, and bits that do not depend on the number of threads. Cost:
// this file.

#include "../elementwise.h"
#include "../parallel.h"
#include "attention.h"
#include "dropout.h"
#include "elements.h"
#include "forms.h"
#include "products.h"

#include <ATen/core/LegacyTypeDispatch.h>

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// a b of each head, [K, G, m, k] and [K, G, k, n]. MKL's product of a whole batch changes its bits with the number of
/// threads; one head is multiplied by one thread.
at::Tensor head_products(const at::Tensor &a, const at::Tensor &b) {
    bool is_mkl = a.is_cpu() && (a.scalar_type() == at::kFloat || a.scalar_type() == at::kDouble);
    if (!is_mkl) return at::matmul(a, b);
    int64_t groups = a.size(1);
    auto out = at::empty({a.size(0), groups, a.size(2), b.size(3)}, a.options());
    parallel_for(a.size(0) * groups, 1, [&](int64_t first, int64_t last) {
        at::AutoDispatchBelowADInplaceOrView unrecorded;
        for (int64_t head = first; head < last; ++head) {
            auto part = out[head / groups][head % groups];
            at::mm_out(part, a[head / groups][head % groups], b[head / groups][head % groups]);
        }
    });
    return out;
}

/// Q Kᵀ · scale, bounded by the soft cap.
at::Tensor capped_scores(const at::Tensor &q, const at::Tensor &k, const AttentionPlan &plan) {
    auto scores = head_products(q, k.transpose(2, 3)).mul_(plan.scale);
    return plan.soft_cap > 0 ? stable_tanh(scores.div_(plan.soft_cap)).mul_(plan.soft_cap) : scores;
}

/// softmax over the keys, [K, G, t, s], and where there are sinks over each head's in a last column, [K, G, t, s + 1].
at::Tensor all_weights(const at::Tensor &scores, const at::Tensor &sinks) {
    if (!sinks.defined()) return at::softmax(scores, -1);
    int64_t shared = scores.size(0), groups = scores.size(1);
    auto column = sinks.to(scores.scalar_type()).view({shared, groups, 1, 1}).expand({shared, groups, scores.size(2), 1});
    return at::softmax(at::cat({scores, column}, -1), -1);
}

/// The weights of keys among `all_weights`.
at::Tensor weights_of_keys(const at::Tensor &all, const AttentionPart &part) { return all.narrow(-1, 0, part.keys); }

struct ByWeights : torch::autograd::Function<ByWeights> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
        const std::optional<at::Tensor> &given, const std::optional<at::Tensor> &given_sinks, const SharedPlan &plan,
        bool keeps) {
        int64_t shared = k.size(1), groups = q.size(1) / shared;
        auto table = given.value_or(at::Tensor()), sinks = given_sinks.value_or(at::Tensor());
        auto out = at::empty({q.size(0), q.size(1), v.size(2)}, q.options());
        variable_list saved{q, k, v, table, sinks};
        auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
        for (size_t i = 0; i < plan->parts.size(); ++i) {
            const auto &part = plan->parts[i];
            auto scores = capped_scores(queries_of(wide_q, part, shared), keys_of(wide_k, part, groups), *plan);
            if (auto added = plan->addend(part, wide_q, shared, table)) scores.add_(*added);
            auto all = all_weights(scores, sinks);
            auto weights = weights_of_keys(all, part);  // [K, G, t, s]
            auto kept = plan->dropout > 0 ? dropped(weights, plan->dropout, plan->part_key(i)) : weights;
            queries_of(out, part, shared).copy_(head_products(kept, keys_of(wide_v, part, groups)));
            if (keeps) saved.push_back(all);
        }
        context->save_for_backward(saved);
        context->saved_data["plan"] = c10::IValue::make_capsule(plan);
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto plan = c10::static_intrusive_pointer_cast<AttentionPlan>(context->saved_data["plan"].toCapsule());
        auto q = computable(saved[0]), k = computable(saved[1]), v = computable(saved[2]);
        const auto &table = saved[3], &sinks = saved[4];
        bool learns_table = table.defined() && context->needs_input_grad(3);
        // Gradients are counted without tensors that are not there.
        bool learns_sinks = sinks.defined() && context->needs_input_grad(table.defined() ? 4 : 3);
        int64_t shared = k.size(1), groups = q.size(1) / shared;
        auto dy = computable(gradients[0].contiguous());
        auto dq = at::zeros_like(saved[0]), dk = at::zeros_like(saved[1]), dv = at::zeros_like(saved[2]);
        at::Tensor d_table, d_sinks;
        if (learns_table) d_table = at::zeros(table.sizes(), table.options().dtype(wide_type(table)));
        if (learns_sinks) d_sinks = at::zeros(sinks.sizes(), sinks.options().dtype(wide_type(sinks)));
        for (size_t i = 0; i < plan->parts.size(); ++i) {
            const auto &part = plan->parts[i];
            const auto &all = saved[5 + i];
            auto weights = weights_of_keys(all, part);
            auto part_q = queries_of(q, part, shared), part_k = keys_of(k, part, groups);
            auto part_dy = queries_of(dy, part, shared);
            auto drop = [&](const at::Tensor &x) {
                return plan->dropout > 0 ? dropped(x, plan->dropout, plan->part_key(i)) : x;
            };
            add_up_keys(dv, part, head_products(drop(weights).transpose(2, 3), part_dy));
            auto d_weights = drop(head_products(part_dy, keys_of(v, part, groups).transpose(2, 3)));
            // libtorch's own gradient of softmax changes its bits with the number of threads.
            auto mean = (weights * d_weights).sum(-1, true);
            auto d_scores = (d_weights - mean).mul_(weights);
            if (learns_sinks) {
                auto by_place = (all.narrow(-1, part.keys, 1) * mean).to(d_sinks.scalar_type());  // [K, G, t, 1]
                d_sinks.sub_(by_place.flatten(2).sum(-1).flatten());
            }
            if (learns_table) {
                auto by_place = d_scores.flatten(0, 1).permute({1, 2, 0}).flatten(0, 1);  // [t · s, H]
                d_table.index_add_(0, plan->bucket_rows(part, q.device()).flatten(), by_place.to(d_table.scalar_type()));
            }
            if (plan->soft_cap > 0) {
                auto share = capped_scores(part_q, part_k, *plan).div_(plan->soft_cap);
                d_scores.mul_(share.square_().neg_().add_(1));
            }
            d_scores.mul_(plan->scale);
            queries_of(dq, part, shared).copy_(head_products(d_scores, part_k));
            add_up_keys(dk, part, head_products(d_scores.transpose(2, 3), part_q));
        }
        if (learns_table) d_table = d_table.to(table.scalar_type());
        if (learns_sinks) d_sinks = d_sinks.to(sinks.scalar_type());
        return {dq, dk, dv, d_table, d_sinks, {}, {}};
    }
};

}  // namespace

at::Tensor attention_by_weights(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const at::Tensor &sinks,
    const SharedPlan &plan) {
    auto given = [](const at::Tensor &x) { return x.defined() ? std::optional(x) : std::nullopt; };
    auto learns = [](const at::Tensor &x) { return x.defined() && x.requires_grad(); };
    bool keeps = at::GradMode::is_enabled() && (learns(q) || learns(k) || learns(v) || learns(table) || learns(sinks));
    return ByWeights::apply(q, k, v, given(table), given(sinks), plan, keeps);
}

at::Tensor composed_attention(
    const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const at::Tensor &sinks,
    const AttentionPlan &plan) {
    int64_t shared = k.size(1), groups = q.size(1) / shared;
    auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
    std::vector<at::Tensor> outputs;
    for (size_t i = 0; i < plan.parts.size(); ++i) {
        const auto &part = plan.parts[i];
        auto scores = at::matmul(
            queries_of(wide_q, part, shared), keys_of(wide_k, part, groups).transpose(2, 3)) * plan.scale;
        if (plan.soft_cap > 0) scores = at::tanh(scores / plan.soft_cap) * plan.soft_cap;
        if (auto added = plan.addend(part, wide_q, shared, table)) scores = scores + *added;
        // A bias widens scores of 16 bits.
        auto weights = weights_of_keys(all_weights(scores, sinks), part).to(wide_v.scalar_type());
        if (plan.dropout > 0) weights = dropped_with_gradient(weights, plan.dropout, plan.part_key(i));
        auto y = at::matmul(weights, keys_of(wide_v, part, groups));  // [K, G, t, E]
        outputs.push_back(y.permute({2, 0, 1, 3}).flatten(1, 2));
    }
    return at::cat(outputs, 0).to(q.scalar_type());
}

}  // namespace ctorch
