// Which keys a query sees, and what is added to its scores.

#include "attention.h"
#include "elements.h"

namespace ctorch {

namespace {

/// From the host without waiting for the device.
at::Tensor uploaded(const at::Tensor &host, const at::Device &device) {
    return device.is_cuda() ? host.pin_memory().to(device, /*non_blocking=*/true) : host.to(device);
}

/// How far each key lies behind its query (negative: before it), [t, s]. The queries are the last positions.
at::Tensor distances(const AttentionPart &part, const at::Device &device) {
    auto whole = at::TensorOptions().dtype(at::kLong).device(device);
    auto own = at::arange(part.keys - part.queries, part.keys, whole);
    return at::arange(part.keys, whole).unsqueeze(0) - own.unsqueeze(1);
}

}  // namespace

AttentionPlan::AttentionPlan(
    const ct_attention_options &options, const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
    const at::Tensor &table)
    : causal(options.causal), window(options.window), scale(options.scale), dropout(options.dropout),
      soft_cap(options.soft_cap), key(options.key), rounds_slopes(options.rounds_slopes),
      buckets(options.bucket_count), reach(options.bucket_reach),
      buckets_both_sides(options.buckets_both_sides) {
    TORCH_CHECK(
        q.dim() == 3 && k.dim() == 3 && v.dim() == 3 && k.size(0) == v.size(0) && k.size(1) == v.size(1) &&
            k.size(2) == q.size(2) && k.size(1) > 0 && q.size(1) % k.size(1) == 0,
        "attention: wanted q [T, H, E], k and v [T', K, E] with H a multiple of K, got ", q.sizes(), ", ", k.sizes(),
        ", ", v.sizes());
    TORCH_CHECK(options.count > 0, "attention: the boundaries name no sequence");
    int64_t queries = 0, keys = 0, covered = 0;
    for (int i = 0; i < options.count; ++i) {
        AttentionPart part{
            options.query_bounds[i], options.query_bounds[i + 1] - options.query_bounds[i], options.key_starts[i],
            options.key_lengths[i]};
        TORCH_CHECK(
            part.query == queries && part.queries >= 0 && part.key >= keys && part.keys >= 0,
            "attention: the boundaries do not follow each other at sequence ", i);
        TORCH_CHECK(
            !(causal || window > 0 || buckets > 0) || part.queries <= part.keys, "attention: sequence ", i, " has ", part.queries, " queries and ",
            part.keys, " keys; a query whose place counts is itself among the keys");
        queries += part.queries;
        keys = part.key + part.keys;
        covered += part.keys;
        parts.push_back(part);
    }
    TORCH_CHECK(
        queries == q.size(0) && keys <= k.size(0), "attention: the boundaries do not fit ", q.size(0), " queries and ",
        k.size(0), " keys: they end at ", queries, " and ", keys);
    covers_keys = covered == k.size(0);
    TORCH_CHECK(dropout >= 0 && dropout < 1, "attention: the probability of dropout must be in [0, 1), got ", dropout);
    TORCH_CHECK(window >= 0 && soft_cap >= 0, "attention: a window and a soft cap must be above 0");
    if (options.slopes) slopes.assign(options.slopes, options.slopes + options.slope_count);
    TORCH_CHECK(
        slopes.empty() || int64_t(slopes.size()) == q.size(1), "attention: ", slopes.size(), " slopes for ", q.size(1),
        " heads");
    TORCH_CHECK(
        table.defined() == (buckets > 0), "attention: a bias table and its buckets are given together or not at all");
    if (!table.defined()) return;
    TORCH_CHECK(
        table.dim() == 2 && table.size(0) == buckets && table.size(1) == q.size(1) && table.is_floating_point(),
        "attention: the bias table has shape ", table.sizes(), ", wanted [", buckets, ", ", q.size(1), "]");
    int64_t exact = (buckets_both_sides ? buckets / 2 : buckets) / 2;
    TORCH_CHECK(
        exact > 0 && reach > exact, "attention: ", buckets, " buckets cannot share out distances up to ", reach);
}

int64_t AttentionPlan::longest(int64_t AttentionPart::*length) const {
    int64_t result = 0;
    for (const auto &part : parts) result = std::max(result, part.*length);
    return result;
}

bool AttentionPlan::is_triangle(const AttentionPart &part, const at::Tensor &table) const {
    bool is_biased = table.defined() || !slopes.empty();
    return causal && !is_biased && part.queries == part.keys && (window == 0 || part.keys <= window);
}

std::optional<at::Tensor> AttentionPlan::addend(
    const AttentionPart &part, const at::Tensor &like, int64_t shared, const at::Tensor &table) const {
    int64_t t = part.queries, s = part.keys;
    auto options = like.options(), wide = options.dtype(wide_type(like));
    std::optional<at::Tensor> open;
    auto restrict = [&](const at::Tensor &x) { open = open ? open->logical_and(x) : x; };
    auto all = [&] { return at::ones({t, s}, options.dtype(at::kBool)); };
    if (causal && t > 1) restrict(all().tril(s - t));
    if (window > 0 && s > window) restrict(all().triu(s - t - window + 1));
    if (window > 0 && !causal && s > window) restrict(all().tril(s - t + window - 1));

    std::optional<at::Tensor> bias;  // [H, t, s]
    auto plus = [&](const at::Tensor &x) { bias = bias ? *bias + x : x; };
    if (!slopes.empty()) {
        auto heads = uploaded(at::tensor(slopes), like.device()).view({-1, 1, 1});
        if (rounds_slopes) {
            // By places from the start: rounded, a place is more than what distances say of it. Divided as Falcon divides.
            auto places = at::arange(s, options.dtype(at::kLong)).to(at::kBFloat16);
            auto product = (heads.to(at::kBFloat16) * places).to(wide.dtype()) / (1 / scale);
            plus(product.expand({product.size(0), t, s}));
        } else {
            plus(distances(part, like.device()).abs().neg().to(wide.dtype()) * heads.to(wide.dtype()));
        }
    }
    if (table.defined()) {
        auto rows = bucket_rows(part, like.device());
        plus(at::embedding(table, rows).permute({2, 0, 1}).to(wide.dtype()));
    }
    if (!bias) {
        if (!open) return std::nullopt;
        return at::zeros({t, s}, options).masked_fill_(open->logical_not(), -INFINITY);
    }
    auto sum = open ? bias->masked_fill(open->logical_not(), -INFINITY) : *bias;
    return sum.unflatten(0, {shared, sum.size(0) / shared});  // [K, G, t, s]
}

// T5's: half of the buckets are for one distance each, the others grow with its logarithm up to `reach`. Raffel et al.
// 2019, arXiv 1910.10683.
at::Tensor AttentionPlan::bucket_rows(const AttentionPart &part, const at::Device &device) const {
    if (part.queries == 0 || part.keys == 0) {
        return at::zeros({part.queries, part.keys}, at::TensorOptions().dtype(at::kLong).device(device));
    }
    // On the processor: a logarithm's last bit decides between two buckets, and is not every device's.
    auto all = at::arange(1 - part.keys, part.keys, at::TensorOptions().dtype(at::kLong));
    auto rows = at::zeros_like(all);
    int64_t count = buckets;
    at::Tensor far;
    if (buckets_both_sides) {
        count /= 2;
        rows = all.gt(0).to(at::kLong) * count;
        far = all.abs();
    } else {
        far = all.clamp_max(0).neg();
    }
    int64_t exact = count / 2;
    // In float32, as the models were trained.
    auto grown = at::log(far.to(at::kFloat) / double(exact)) / std::log(double(reach) / double(exact)) * double(count - exact);
    auto large = (grown.clamp_min(0).to(at::kLong) + exact).clamp_max(count - 1);
    rows = rows + at::where(far.lt(exact), far, large);
    return uploaded(rows, device).index({distances(part, device) + (part.keys - 1)});
}

}  // namespace ctorch
