// Numbers into four or eight bits, as bitsandbytes 0.50 does it on a CPU: the same bits.
// Dettmers et al. 2023 (QLoRA), arXiv 2305.14314; Dettmers et al. 2022 (LLM.int8), arXiv 2208.07339.

#include "../guard.h"
#include "../parallel.h"
#include "elements.h"
#include "forms.h"

#include <array>
#include <cmath>

namespace ctorch {

namespace {

constexpr int lanes = 16;
/// What bitsandbytes divides by where all numbers of a block are zero.
constexpr float smallest = 1e-38f;

template <class T> CT_INLINE float largest(const T *x, int64_t count) {
    float most[lanes] = {};
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (int l = 0; l < lanes; ++l) most[l] = std::max(most[l], std::fabs(float(load(x + i + l))));
    float all = 0;
    for (; i < count; ++i) all = std::max(all, std::fabs(float(load(x + i))));
    for (int l = 0; l < lanes; ++l) all = std::max(all, most[l]);
    return all;
}

/// The sixteen codes in ascending order: the bounds between neighbours, and which code each interval stands for.
struct FourBits {
    float bounds[15];
    uint8_t order[16];

    explicit FourBits(const at::Tensor &code) {
        auto ascending = code.argsort();
        auto sorted = code.index_select(0, ascending).contiguous();
        const auto *places = ascending.data_ptr<int64_t>();
        const auto *values = sorted.data_ptr<float>();
        for (int i = 0; i < 16; ++i) order[i] = uint8_t(places[i]);
        for (int i = 0; i < 15; ++i) bounds[i] = (values[i] + values[i + 1]) / 2;
    }
};

/// How many bounds lie below each number, a share of the block's largest.
template <class T>
CT_INLINE void intervals(uint8_t *out, const T *x, int64_t count, float factor, float divisor, const float *bounds) {
    for (int64_t i = 0; i < count; ++i) {
        float share = float(load(x + i)) * factor / divisor;
        share = std::min(std::max(share, -1.0f), 1.0f);
        int32_t below = 0;
        for (int k = 0; k < 15; ++k) below += share > bounds[k];
        out[i] = uint8_t(below);
    }
}

#define CT_LEAVES(T, attribute) \
    attribute float largest_of(const T *x, int64_t count) { return largest<T>(x, count); } \
    attribute void intervals_of(uint8_t *out, const T *x, int64_t n, float f, float d, const float *bounds) { \
        intervals<T>(out, x, n, f, d, bounds); \
    }
CT_LEAVES(float, CT_SIMD)
CT_LEAVES(BFloat16Bits, CT_SIMD)
CT_LEAVES(at::Half, )
CT_LEAVES(double, )
#undef CT_LEAVES

/// One block: its largest number, and its codes in pairs, the first in the high half of a byte.
template <class T> float four_bit_block(uint8_t *out, const T *x, int64_t count, bool is_whole, const FourBits &four) {
    uint8_t found[4096];
    float most = largest_of(x, count);
    // A block at the end that is not whole is divided; whole ones are multiplied by the reciprocal.
    if (!is_whole) most = std::max(most, smallest);
    float reciprocal = 1.0f / std::max(most, smallest);
    for (int64_t first = 0; first < count; first += 4096) {
        int64_t part = std::min<int64_t>(4096, count - first);
        if (is_whole) {
            intervals_of(found, x + first, part, reciprocal, 1.0f, four.bounds);
        } else {
            intervals_of(found, x + first, part, 1.0f, most, four.bounds);
        }
        int64_t i = 0;
        for (; i + 2 <= part; i += 2) {
            out[(first + i) / 2] = uint8_t(four.order[found[i]] << 4 | four.order[found[i + 1]]);
        }
        if (i < part) {
            int32_t zero = 0;
            for (int k = 0; k < 15; ++k) zero += 0.0f > four.bounds[k];
            out[(first + i) / 2] = uint8_t(four.order[found[i]] << 4 | four.order[zero]);
        }
    }
    return most;
}

at::Tensor quantize_4bit(const at::Tensor &x_, const at::Tensor &code, int64_t block, at::Tensor &absmax) {
    TORCH_CHECK(block > 0 && block % 2 == 0, "quantize_4bit: blocks of ", block, " numbers; the size must be even");
    auto x = x_.contiguous();
    int64_t count = x.numel(), blocks = (count + block - 1) / block;
    auto packed = at::empty({(count + 1) / 2, 1}, x.options().dtype(at::kByte));
    absmax = at::empty({blocks}, x.options().dtype(at::kFloat));
    FourBits four(code);
    with_elements(x, "quantize_4bit", [&](auto *type) {
        using T = std::remove_pointer_t<decltype(type)>;
        const auto *in = data<T>(x);
        auto *out = data<uint8_t>(packed);
        auto *most = data<float>(absmax);
        parallel_for(blocks, std::max<int64_t>(1, 16384 / block), [&](int64_t a, int64_t b) {
            for (int64_t i = a; i < b; ++i) {
                int64_t first = i * block, size = std::min(block, count - first);
                most[i] = four_bit_block(out + first / 2, in + first, size, size == block, four);
            }
        });
    });
    return packed;
}

at::Tensor composed_4bit(const at::Tensor &x, const at::Tensor &code, int64_t block, at::Tensor &absmax) {
    auto flat = x.reshape(-1).to(at::kFloat);
    int64_t count = flat.numel(), whole = count / block * block;
    auto blocks = flat.narrow(0, 0, whole).view({-1, block});
    absmax = blocks.numel() > 0 ? blocks.abs().amax(-1) : at::empty({0}, flat.options());
    auto share = (blocks * absmax.clamp_min(smallest).reciprocal().unsqueeze(1)).reshape(-1);
    if (whole < count) {
        auto rest = flat.narrow(0, whole, count - whole);
        auto most = rest.abs().amax().clamp_min(smallest);
        absmax = at::cat({absmax, most.view(1)});
        share = at::cat({share, rest / most});
    }
    share = share.clamp(-1, 1);
    if (count % 2) share = at::cat({share, at::zeros({1}, share.options())});
    auto order = code.argsort();
    auto sorted = code.index_select(0, order);
    auto bounds = (sorted.narrow(0, 0, 15) + sorted.narrow(0, 1, 15)) / 2;
    auto found = order.index_select(0, at::bucketize(share, bounds)).to(at::kByte).view({-1, 2});
    return found.select(1, 0).mul(16).add(found.select(1, 1)).unsqueeze(1);
}

/// The mean as libtorch makes it on one thread, whatever the number of threads: inside a parallel region it starts none.
double mean_on_one_thread(const at::Tensor &x) {
    double mean = 0;
    parallel_for(2, 1, [&](int64_t first, int64_t) {
        if (first == 0) mean = x.mean().item<float>();
    });
    return mean;
}

at::Tensor quantize_rows(const at::Tensor &x, at::Tensor &absmax) {
    TORCH_CHECK(x.dim() == 2, "quantize_rows: got the shape ", x.sizes(), ", wanted a matrix");
    auto half = x.to(at::kHalf);
    absmax = half.abs().amax(1).to(at::kFloat);
    // Python's 127 / x is x.reciprocal() · 127, which is rounded twice.
    auto scaled = half.to(at::kFloat) * absmax.reciprocal().mul_(127.0).unsqueeze(1);
    return scaled.masked_fill_(absmax.unsqueeze(1) == 0, 0).round_().to(at::kChar);
}

}  // namespace

}  // namespace ctorch

using namespace ctorch;

ct_tensor ct_quantize_4bit(ct_tensor x, ct_tensor code, int64_t block, ct_tensor *absmax) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        at::Tensor most;
        auto packed = takes_kernel(ref(x)) ? quantize_4bit(ref(x), ref(code), block, most)
                                           : composed_4bit(ref(x), ref(code), block, most);
        *absmax = own(most);
        return own(packed);
    });
}

int ct_mean_on_one_thread(ct_tensor x, double *mean) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        *mean = mean_on_one_thread(ref(x).cpu());
        return 0;
    });
}

ct_tensor ct_quantize_rows(ct_tensor x, ct_tensor *absmax) {
    return guarded([&] {
        at::NoGradGuard unrecorded;
        at::Tensor most;
        auto numbers = quantize_rows(ref(x), most);
        *absmax = own(most);
        return own(numbers);
    });
}
