#include "block_code.h"

#include "guard.h"
#include "parallel.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace ctorch {

namespace {

constexpr int kSteps = 65536;

/// The nearest entry of a sorted code for each step.
std::vector<uint8_t> steps_of(const float *code) {
    std::vector<uint8_t> table(kSteps);
    int entry = 0;
    for (int step = 0; step < kSteps; ++step) {
        float value = -1.0f + (2.0f * step) / (kSteps - 1);
        while (entry < 255 && 0.5f * (code[entry] + code[entry + 1]) < value) ++entry;
        table[step] = uint8_t(entry);
    }
    return table;
}

inline uint16_t step_of(float quotient) {
    float value = std::clamp(quotient, -1.0f, 1.0f);
    return uint16_t(std::fma((value + 1.0f) * 0.5f, float(kSteps - 1), 0.5f));
}

/// A tensor on the processor: itself, or a copy that takes its changes back to the device.
struct OnProcessor {
    at::Tensor there, here;
    explicit OnProcessor(const at::Tensor &x) : there(x), here(x.cpu()) {}
    void give_back() const {
        if (!there.is_cpu()) there.copy_(here);
    }
};

}  // namespace

void encode_blocks(
    const at::Tensor &x, const at::Tensor &code, int64_t block, const at::Tensor &bytes, const at::Tensor &absmax) {
    const auto table = steps_of(static_cast<const float *>(code.const_data_ptr()));
    const float *values = static_cast<const float *>(x.const_data_ptr());
    uint8_t *out = static_cast<uint8_t *>(bytes.mutable_data_ptr());
    float *largest = static_cast<float *>(absmax.mutable_data_ptr());
    const int64_t count = x.numel();
    parallel_for((count + block - 1) / block, std::max<int64_t>(1, 32768 / block), [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b) {
            const int64_t start = b * block, end = std::min(start + block, count);
            float top = 0;
            for (int64_t i = start; i < end; ++i) top = std::max(top, std::fabs(values[i]));
            largest[b] = top;
            const float inverse = 1.0f / top;
            for (int64_t i = start; i < end; ++i) out[i] = top == 0 ? 0 : table[step_of(values[i] * inverse)];
        }
    });
}

at::Tensor decode_blocks(const at::Tensor &bytes, const at::Tensor &code, int64_t block, const at::Tensor &absmax) {
    at::Tensor result = at::empty(bytes.sizes(), bytes.options().dtype(at::kFloat));
    const uint8_t *from = static_cast<const uint8_t *>(bytes.const_data_ptr());
    const float *entries = static_cast<const float *>(code.const_data_ptr());
    const float *largest = static_cast<const float *>(absmax.const_data_ptr());
    float *out = static_cast<float *>(result.mutable_data_ptr());
    const int64_t count = bytes.numel();
    parallel_for((count + block - 1) / block, std::max<int64_t>(1, 32768 / block), [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b) {
            const float scale = largest[b];
            for (int64_t i = b * block, end = std::min(i + block, count); i < end; ++i) out[i] = entries[from[i]] * scale;
        }
    });
    return result;
}

}  // namespace ctorch

using namespace ctorch;

int ct_adamw_8bit(
    ct_tensor parameter, ct_tensor gradient, const ct_8bit_state *average, const ct_8bit_state *square, int64_t step,
    double rate, double beta1, double beta2, double decay, double epsilon) {
    return guarded([&] {
        at::NoGradGuard no_gradient;
        constexpr int64_t block = 256;
        const OnProcessor weights_of(ref(parameter).view({-1}));
        const OnProcessor average_bytes(ref(average->bytes).view({-1})), average_absmax(ref(average->absmax));
        const OnProcessor square_bytes(ref(square->bytes).view({-1})), square_absmax(ref(square->absmax));
        const at::Tensor p = weights_of.here, g = ref(gradient).reshape({-1}).cpu();
        const at::Tensor m8 = average_bytes.here, v8 = square_bytes.here;
        const at::Tensor m_code = ref(average->code).cpu(), v_code = ref(square->code).cpu();
        const double correction1 = 1 - std::pow(beta1, double(step));
        const double correction2 = std::sqrt(1 - std::pow(beta2, double(step)));
        // In pieces: the moments in float32 are never whole in memory.
        constexpr int64_t piece = block * 1024;
        for (int64_t start = 0; start < p.numel(); start += piece) {
            const int64_t length = std::min(piece, p.numel() - start);
            const int64_t first = start / block, blocks = (length + block - 1) / block;
            auto part = [&](const at::Tensor &x) { return x.narrow(0, start, length); };
            const at::Tensor m_scale = average_absmax.here.narrow(0, first, blocks);
            const at::Tensor v_scale = square_absmax.here.narrow(0, first, blocks);
            at::Tensor m = decode_blocks(part(m8), m_code, block, m_scale);
            at::Tensor v = decode_blocks(part(v8), v_code, block, v_scale);
            at::Tensor weights = part(p), slope = part(g);
            m.mul_(beta1).add_(slope, 1 - beta1);
            v.mul_(beta2).addcmul_(slope, slope, 1 - beta2);
            at::Tensor denominator = (v.sqrt() / correction2).add_(epsilon);
            if (decay > 0) weights.mul_(1 - rate * decay);
            weights.addcdiv_(m, denominator, -rate / correction1);
            encode_blocks(m, m_code, block, part(m8), m_scale);
            encode_blocks(v, v_code, block, part(v8), v_scale);
        }
        for (const auto *changed : {&weights_of, &average_bytes, &average_absmax, &square_bytes, &square_absmax}) {
            changed->give_back();
        }
        return 0;
    });
}
ct_tensor ct_encode_blocks(ct_tensor x, ct_tensor code, int64_t block, ct_tensor *absmax) {
    return guarded([&] {
        at::NoGradGuard no_gradient;
        TORCH_CHECK(ref(code).numel() == 256 && block > 0, "encode_blocks: a code of ", ref(code).numel(), " numbers");
        const auto device = ref(x).device();
        at::Tensor values = ref(x).cpu().to(at::kFloat).contiguous();
        at::Tensor bytes = at::empty(values.sizes(), values.options().dtype(at::kByte));
        at::Tensor largest = at::empty({(values.numel() + block - 1) / block}, values.options());
        encode_blocks(values, ref(code).cpu().contiguous(), block, bytes, largest);
        *absmax = own(largest.to(device));
        return own(bytes.to(device));
    });
}
ct_tensor ct_decode_blocks(ct_tensor bytes, ct_tensor code, int64_t block, ct_tensor absmax) {
    return guarded([&] {
        auto values = decode_blocks(
            ref(bytes).cpu().contiguous(), ref(code).cpu().contiguous(), block, ref(absmax).cpu().contiguous());
        return own(values.to(ref(absmax).device()));
    });
}
