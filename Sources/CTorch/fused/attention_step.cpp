// Attention of the one token that each sequence adds when texts are continued: its query heads read the keys and values of
// the sequence where they lie, all sequences and heads in one parallel region.
// Gain: a flash kernel for each sequence costs more in calls than in sums, and 16 bits would be widened for all tokens
// anew with every step (Docs/benchmarks/decode.md). Cost: this file.

#include "attention.h"
#include "elements.h"
#include "exponential.h"

namespace ctorch {

namespace {

constexpr int lanes = 16;

/// One head of keys and values, and the query heads that share it: row `t` of k and v begins at `t * stride`.
template <class T, class A> struct SharedHead {
    const T *q, *k, *v;
    T *out;
    int64_t heads, keys, size, value_size, key_stride, value_stride;
    A scale;
};

/// `room` takes heads · (size + keys + value_size) + max(size, value_size) numbers. A row of k or v is read once for all heads.
template <class T, class A> CT_INLINE void attend_one(const SharedHead<T, A> &head, A *room) {
    A *q = room, *weights = q + head.heads * head.size, *sums = weights + head.heads * head.keys;
    A *wide = sums + head.heads * head.value_size;
    for (int64_t i = 0; i < head.heads * head.size; ++i) q[i] = A(load(head.q + i)) * head.scale;
    for (int64_t t = 0; t < head.keys; ++t) {
        for (int64_t i = 0; i < head.size; ++i) wide[i] = A(load(head.k + t * head.key_stride + i));
        for (int64_t h = 0; h < head.heads; ++h) {
            A part[lanes] = {};
            for (int64_t i = 0; i < head.size; i += lanes)
                for (int l = 0; l < lanes; ++l) part[l] += q[h * head.size + i + l] * wide[i + l];
            for (int half = lanes / 2; half > 0; half /= 2)
                for (int l = 0; l < half; ++l) part[l] += part[l + half];
            weights[h * head.keys + t] = part[0];
        }
    }
    for (int64_t h = 0; h < head.heads; ++h) {
        A *row = weights + h * head.keys, most = row[0], total = 0;
        for (int64_t t = 1; t < head.keys; ++t) most = row[t] > most ? row[t] : most;
        for (int64_t t = 0; t < head.keys; ++t) row[t] = fast_exp(row[t] - most);
        for (int64_t t = 0; t < head.keys; ++t) total += row[t];
        for (int64_t t = 0; t < head.keys; ++t) row[t] /= total;
    }
    for (int64_t i = 0; i < head.heads * head.value_size; ++i) sums[i] = 0;
    for (int64_t t = 0; t < head.keys; ++t) {
        for (int64_t i = 0; i < head.value_size; ++i) wide[i] = A(load(head.v + t * head.value_stride + i));
        for (int64_t h = 0; h < head.heads; ++h) {
            A weight = weights[h * head.keys + t], *sum = sums + h * head.value_size;
            for (int64_t i = 0; i < head.value_size; ++i) sum[i] += weight * wide[i];
        }
    }
    for (int64_t i = 0; i < head.heads * head.value_size; ++i) store(head.out + i, sums[i]);
}

#define CT_ATTEND(T, A, attribute) \
    attribute void attend(const SharedHead<T, A> &head, A *room) { attend_one(head, room); }
CT_ATTEND(float, float, CT_SIMD)
CT_ATTEND(BFloat16Bits, float, CT_SIMD)
CT_ATTEND(at::Half, float, )
CT_ATTEND(double, double, )
#undef CT_ATTEND

/// Whether it is this case, and the rows lie so that the kernel can read them.
bool suits(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const AttentionPlan &plan) {
    if (!q.is_cpu() || !k.is_cpu() || !v.is_cpu()) return false;
    if (table.defined() || !plan.slopes.empty() || plan.dropout > 0 || plan.soft_cap > 0) return false;
    if (q.scalar_type() != k.scalar_type() || q.scalar_type() != v.scalar_type() || q.size(2) % lanes != 0) return false;
    if (k.stride(2) != 1 || v.stride(2) != 1) return false;
    return std::all_of(plan.parts.begin(), plan.parts.end(), [](const auto &part) { return part.queries == 1 && part.keys > 0; });
}

}  // namespace

std::optional<at::Tensor> attention_of_one_query(
    const at::Tensor &given, const at::Tensor &k, const at::Tensor &v, const at::Tensor &table, const AttentionPlan &plan) {
    if (!suits(given, k, v, table, plan)) return std::nullopt;
    auto q = given.contiguous();
    int64_t shared = k.size(1), heads = q.size(1) / shared, size = q.size(2), value_size = v.size(2);
    auto out = at::empty({q.size(0), q.size(1), value_size}, q.options());
    with_elements(q, "attention", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        using A = typename Arithmetic<T>::Type;
        parallel_for(q.size(0) * shared, 1, [&](int64_t a, int64_t b) {
            static thread_local std::vector<A> room;
            for (int64_t i = a; i < b; ++i) {
                int64_t shared_head = i % shared;
                const auto &part = plan.parts[size_t(i / shared)];
                int64_t keys = plan.window > 0 ? std::min(part.keys, plan.window) : part.keys;
                int64_t first = part.key + part.keys - keys, row = part.query * q.size(1) + shared_head * heads;
                room.resize(size_t(heads * (size + keys + value_size) + std::max(size, value_size)));
                attend(
                    SharedHead<T, A>{
                        data<T>(q) + row * size, data<T>(k) + first * k.stride(0) + shared_head * k.stride(1),
                        data<T>(v) + first * v.stride(0) + shared_head * v.stride(1), data<T>(out) + row * value_size, heads,
                        keys, size, value_size, k.stride(0), v.stride(0), A(plan.scale)},
                    room.data());
            }
        });
    });
    return out;
}

}  // namespace ctorch
