// Attention inside each sequence of a flat batch: softmax(cap(Q Kᵀ · scale) + bias) V, without padding.
// On the CPU a loop over the sequences around libtorch's flash kernel; on CUDA its variable-length flash kernel. What
// neither has is computed by products that keep the weights. Fewer key/value heads than query heads are shared by
// consecutive query heads (GQA) where they lie.
// Gain: work and memory of a padded batch's padding (1.3 to 3 times on mixed lengths). Cost: the files attention*.

#include "../guard.h"
#include "../ordering.h"

#include "attention.h"
#include "elements.h"
#include "forms.h"
#include "products.h"

namespace ctorch {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

SharedPlan plan_of(AutogradContext *context) {
    return c10::static_intrusive_pointer_cast<AttentionPlan>(context->saved_data["plan"].toCapsule());
}

/// Gradients of sequences up to this long are computed in float32: for 16 bits libtorch's kernel asks oneDNN for a product
/// anew for each block of each head. Beside that, float32 takes 0.2 of the time for 64 keys, 0.6 for 282, 1.5 for 494 (heads
/// of 64, a Xeon with tiles).
constexpr int64_t widened_keys = 384;

/// `table` takes no gradient here.
struct FlashCPU : torch::autograd::Function<FlashCPU> {
    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
        const std::optional<at::Tensor> &given, const SharedPlan &plan) {
        int64_t shared = k.size(1), groups = q.size(1) / shared;
        auto table = given.value_or(at::Tensor());
        auto out = at::empty(q.sizes(), q.options());
        variable_list saved{q, k, v, out, table};
        auto wide_q = computable(q), wide_k = computable(k), wide_v = computable(v);
        for (const auto &part : plan->parts) {
            saved.emplace_back();
            if (part.queries == 0) continue;
            auto to = queries_of(out, part, shared);
            if (part.keys == 0) {
                to.zero_();
                continue;
            }
            bool is_triangle = plan->is_triangle(part, table);
            auto mask = is_triangle ? std::nullopt : plan->addend(part, wide_q, shared, table);
            auto [y, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(
                queries_of(wide_q, part, shared), keys_of(wide_k, part, groups), keys_of(wide_v, part, groups), 0.0,
                is_triangle, mask, plan->scale);
            to.copy_(y);
            saved.back() = logsumexp;
        }
        context->save_for_backward(saved);
        context->saved_data["plan"] = c10::IValue::make_capsule(plan);
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto saved = context->get_saved_variables();
        auto plan = plan_of(context);
        auto q = computable(saved[0]), k = computable(saved[1]), v = computable(saved[2]), out = computable(saved[3]);
        const auto &table = saved[4];
        int64_t shared = k.size(1), groups = q.size(1) / shared;
        auto dy = computable(gradients[0].contiguous());
        auto dq = at::zeros_like(saved[0]), dk = at::zeros_like(saved[1]), dv = at::zeros_like(saved[2]);
        for (size_t i = 0; i < plan->parts.size(); ++i) {
            const auto &part = plan->parts[i];
            if (part.queries == 0 || part.keys == 0) continue;
            bool is_triangle = plan->is_triangle(part, table);
            auto in_type = [&](const at::Tensor &x) { return part.keys <= widened_keys ? x.to(wide_type(x)) : x; };
            AttentionPart alone{0, part.queries, 0, part.keys};
            auto heads = [&](const at::Tensor &x) {
                return queries_of(in_type(x.narrow(0, part.query, part.queries)), alone, shared);
            };
            auto keys = [&](const at::Tensor &x) {
                return keys_of(in_type(x.narrow(0, part.key, part.keys)), alone, groups);
            };
            auto queries = heads(q);
            auto mask = is_triangle ? std::nullopt : plan->addend(part, queries, shared, table);
            auto [a, b, c] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
                heads(dy), queries, keys(k), keys(v), heads(out), saved[5 + i], 0.0, is_triangle, mask, plan->scale);
            queries_of(dq, part, shared).copy_(a);
            add_up_keys(dk, part, b);
            add_up_keys(dv, part, c);
        }
        return {dq, dk, dv, {}, {}};
    }
};

struct FlashCUDA : torch::autograd::Function<FlashCUDA> {
    /// The kernel counts the keys before the query's own, and where a token sees both sides those behind it.
    static std::optional<int64_t> limit(const AttentionPlan &plan, bool behind) {
        if (plan.window == 0 || (behind && plan.causal)) return std::nullopt;
        return plan.window - 1;
    }

    static at::Tensor forward(
        AutogradContext *context, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
        const at::Tensor &query_bounds, const at::Tensor &key_bounds, const std::optional<at::Tensor> &key_lengths,
        const SharedPlan &plan) {
        std::optional<at::Tensor> slopes;
        if (!plan->slopes.empty()) {
            slopes = at::tensor(plan->slopes).pin_memory().to(q.device(), /*non_blocking=*/true);
        }
        auto [out, logsumexp, seed, unused, debug] = at::_flash_attention_forward(
            q, k, v, query_bounds, key_bounds, plan->longest(&AttentionPart::queries), plan->longest(&AttentionPart::keys),
            0.0, plan->causal, false, plan->scale, limit(*plan, false), limit(*plan, true), key_lengths, slopes);
        context->save_for_backward({q, k, v, out, logsumexp, query_bounds, key_bounds, seed, unused});
        context->saved_data["plan"] = c10::IValue::make_capsule(plan);
        return out;
    }

    static variable_list backward(AutogradContext *context, variable_list gradients) {
        auto s = context->get_saved_variables();
        auto plan = plan_of(context);
        // Else the gradient of the queries is added up in the order in which blocks happen to end.
        InOneOrder in_one_order;
        auto [dq, dk, dv] = at::_flash_attention_backward(
            gradients[0].contiguous(), s[0], s[1], s[2], s[3], s[4], s[5], s[6],
            plan->longest(&AttentionPart::queries), plan->longest(&AttentionPart::keys), 0.0, plan->causal, s[7], s[8],
            plan->scale, limit(*plan, false), limit(*plan, true));
        return {dq, dk, dv, {}, {}, {}, {}};
    }
};

/// What libtorch's flash kernels have: no soft cap, no dropout that repeats, one head size; biases without gradients.
bool has_flash_form(const at::Tensor &q, const at::Tensor &v, const AttentionPlan &plan) {
    return plan.soft_cap == 0 && plan.dropout == 0 && q.size(2) == v.size(2);
}

/// Of CUDA's kernel: 16 bits, no table, slopes and keys with gaps in the forward pass alone.
bool suits_cuda(const at::Tensor &q, const at::Tensor &table, const AttentionPlan &plan, bool records) {
    bool is_short = q.scalar_type() == at::kHalf || q.scalar_type() == at::kBFloat16;
    // It multiplies slopes by distances itself, and rounds none.
    if (!plan.slopes.empty() && plan.rounds_slopes) return false;
    bool is_plain = plan.slopes.empty() && plan.covers_keys;
    return q.is_cuda() && is_short && q.size(2) % 8 == 0 && q.size(2) <= 256 && !table.defined() &&
        (is_plain || !records);
}

}  // namespace

}  // namespace ctorch

ct_tensor ct_attention(
    ct_tensor q_, ct_tensor k_, ct_tensor v_, ct_tensor table_, ct_tensor sinks_, const ct_attention_options *options) {
    using namespace ctorch;
    return guarded([&] {
        const auto &q = ref(q_), &k = ref(k_), &v = ref(v_);
        auto table = optional(table_), sinks = optional(sinks_);
        auto plan = c10::make_intrusive<AttentionPlan>(*options, q, k, v, table);
        TORCH_CHECK(
            !sinks.defined() || (sinks.dim() == 1 && sinks.size(0) == q.size(1) && sinks.is_floating_point()),
            "attention: the sinks have the shape ", sinks.sizes(), ", wanted one for each of ", q.size(1), " heads");
        if (composes()) return own(composed_attention(q, k, v, table, sinks, *plan));
        // Whose weights do not add up to one.
        if (sinks.defined()) return own(attention_by_weights(q, k, v, table, sinks, plan));
        bool learns = at::GradMode::is_enabled();
        bool records = learns && (q.requires_grad() || k.requires_grad() || v.requires_grad());
        bool learns_table = learns && table.defined() && table.requires_grad();
        if (!records) {
            if (auto out = attention_of_one_query(q, k, v, table, *plan)) return own(*out);
        }
        if (has_flash_form(q, v, *plan) && !learns_table) {
            if (q.is_cpu()) {
                return own(FlashCPU::apply(q, k, v, table.defined() ? std::optional(table) : std::nullopt, plan));
            }
            if (suits_cuda(q, table, *plan, records)) {
                auto given = [](ct_tensor x) { return x ? std::optional(ref(x)) : std::nullopt; };
                TORCH_CHECK(
                    options->query_tensor && options->key_tensor && (plan->covers_keys || options->key_length_tensor),
                    "attention: the boundaries must lie on the device too");
                return own(FlashCUDA::apply(
                    q, k, v, ref(options->query_tensor), ref(options->key_tensor),
                    plan->covers_keys ? std::nullopt : given(options->key_length_tensor), plan));
            }
        }
        return own(attention_by_weights(q, k, v, table, sinks, plan));
    });
}
