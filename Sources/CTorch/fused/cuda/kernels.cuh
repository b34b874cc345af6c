// The kernels of the fused operations on CUDA, each written once: the run-time compiler makes machine code of this file
// behind `device.cuh`, once for each element type; `kernels.h` takes it as C++, so that tests run the same lines on the
// processor. T is the element type, A what is computed in. Blocks have a power of two of threads, at most `most_threads`.
//
// The arithmetic and its order of roundings are those of the processor's kernels in the files beside this folder.

/// Every thread's x together, for every thread.
template <class V, class Combine> FUNCTION V over_block(V x, Combine combine) {
    __shared__ V parts[most_threads];
    parts[threadIdx.x] = x;
    __syncthreads();
    for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) parts[threadIdx.x] = combine(parts[threadIdx.x], parts[threadIdx.x + half]);
        __syncthreads();
    }
    V all = parts[0];
    __syncthreads();
    return all;
}

template <class V> struct Plus {
    __device__ V operator()(V a, V b) const { return a + b; }
};
template <class V> struct Larger {
    __device__ V operator()(V a, V b) const { return a > b ? a : b; }
};
template <class V> FUNCTION V sum_over_block(V x) { return over_block(x, Plus<V>()); }
template <class V> FUNCTION V largest_of_block(V x) { return over_block(x, Larger<V>()); }

// --- RMSNorm: a block for each row -------------------------------------------------------------------------------------

KERNEL rms_norm_forward(T *y, A *scales, const T *x, const T *w, int64 width, double epsilon) {
    const T *in = x + blockIdx.x * width;
    T *out = y + blockIdx.x * width;
    A sum = 0;
    for (int64 i = threadIdx.x; i < width; i += blockDim.x) sum += load(in + i) * load(in + i);
    A scale = A(1) / sqrt(sum_over_block(sum) / A(width) + A(epsilon));
    if (threadIdx.x == 0) scales[blockIdx.x] = scale;
    for (int64 i = threadIdx.x; i < width; i += blockDim.x) store(out + i, load(w + i) * rounded<T>(load(in + i) * scale));
}

KERNEL rms_norm_backward(T *dx, const T *dy, const T *x, const T *w, const A *scales, int64 width) {
    const T *in = x + blockIdx.x * width, *gradient = dy + blockIdx.x * width;
    T *out = dx + blockIdx.x * width;
    A scale = scales[blockIdx.x], dot = 0;
    for (int64 i = threadIdx.x; i < width; i += blockDim.x) dot += load(gradient + i) * load(w + i) * load(in + i);
    A factor = sum_over_block(dot) * scale * scale * scale / A(width);
    for (int64 i = threadIdx.x; i < width; i += blockDim.x)
        store(out + i, load(gradient + i) * load(w + i) * scale - load(in + i) * factor);
}

// --- Rotary positions: a block for each token --------------------------------------------------------------------------

KERNEL rotate(T *y, const T *x, const float *cosines, const float *sines, unsigned heads, unsigned half, double direction) {
    const float *c = cosines + int64(blockIdx.x) * half, *s = sines + int64(blockIdx.x) * half;
    int64 token = int64(blockIdx.x) * heads * 2 * half;
    for (unsigned i = threadIdx.x; i < heads * half; i += blockDim.x) {
        unsigned head = i / half, place = i - head * half;
        const T *in = x + token + int64(head) * 2 * half + place;
        T *out = y + token + int64(head) * 2 * half + place;
        A first = load(in), second = load(in + half), cosine = c[place], sine = A(direction) * A(s[place]);
        store(out, first * cosine - second * sine);
        store(out + half, second * cosine + first * sine);
    }
}

// --- Elementwise: as many blocks as there are, in strides ----------------------------------------------------------------

#define CT_FOR_ELEMENTS(i, count) \
    for (int64 i = int64(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += int64(gridDim.x) * blockDim.x)

KERNEL swiglu_forward(T *y, const T *g, const T *u, int64 count) {
    CT_FOR_ELEMENTS(i, count) {
        A gate = load(g + i);
        store(y + i, rounded<T>(gate / (A(1) + exp(-gate))) * load(u + i));
    }
}

KERNEL swiglu_backward(T *dg, T *du, const T *dy, const T *g, const T *u, int64 count) {
    CT_FOR_ELEMENTS(i, count) {
        A gate = load(g + i), gradient = load(dy + i), up = load(u + i);
        A sigmoid = A(1) / (A(1) + exp(-gate));
        store(du + i, gradient * rounded<T>(gate * sigmoid));
        store(dg + i, rounded<T>(gradient * up) * sigmoid * (A(1) + gate * (A(1) - sigmoid)));
    }
}

/// The mix of dropout.cpp.
FUNCTION unsigned mixed(unsigned counter, unsigned low, unsigned high) {
    unsigned h = counter + low;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    h = (h ^ (h >> 16)) + high;
    h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
    h = (h ^ (h >> 13)) * 0xC2B2AE35u;
    return h ^ (h >> 16);
}

/// out = x · mask · scale, or that much more.
KERNEL drop(
    T *out, const T *x, int64 count, unsigned low, unsigned high, unsigned threshold, float scale, bool accumulates) {
    CT_FOR_ELEMENTS(i, count) {
        A kept = mixed(unsigned(i), low, high) >= threshold ? load(x + i) * A(scale) : A(0);
        store(out + i, accumulates ? load(out + i) + kept : kept);
    }
}

/// The largest absolute value of a block of numbers.
FUNCTION float block_factor(
    const float *absmax, const unsigned char *indices, const float *code, const float *scales, float offset,
    int64 group, int64 block) {
    if (!indices) return absmax[block];
    float share = code[indices[block]] * scales[block / group];
    return share + offset;
}

/// The numbers start ..< start + count of a matrix in four bits, or in eight where there is no code. Each thread makes
/// `run` of them, since to divide by the size of a block is slow.
KERNEL dequantize(
    T *out, const unsigned char *bytes, const float *code, const float *absmax, const unsigned char *indices,
    const float *absmax_code, const float *absmax_scales, float offset, int64 absmax_block, int64 block, int64 start,
    int64 count, bool rounds) {
    const int64 run = 8;
    CT_FOR_ELEMENTS(part, (count + run - 1) / run) {
        int64 number = start + part * run, last = start + count < number + run ? start + count : number + run;
        int64 at = number / block, place = number - at * block;
        float factor = block_factor(absmax, indices, absmax_code, absmax_scales, offset, absmax_block, at);
        for (; number < last; ++number, ++place) {
            if (place == block) {
                place = 0;
                factor = block_factor(absmax, indices, absmax_code, absmax_scales, offset, absmax_block, ++at);
            }
            float value;
            if (code) {
                unsigned char pair = bytes[number / 2];
                value = code[number % 2 ? pair & 15 : pair >> 4] * factor;
            } else {
                value = float((signed char)(bytes[number])) * (factor * float(1.0 / 127.0));
            }
            store(out + (number - start), rounds ? rounded<BFloat16Bits>(value) : value);
        }
    }
}

// --- Cross entropy: a block for each row ---------------------------------------------------------------------------------

/// As `loss_rows` of cross_entropy.cpp; a label that is no id makes its loss no number, as a device cannot refuse.
KERNEL cross_entropy(
    T *logits, const int64 *labels, const float *weights, A *losses, unsigned char *hits, int64 vocabulary,
    bool wants_gradient, double smoothing, bool is_dynamic) {
    T *x = logits + blockIdx.x * vocabulary;
    int64 label = labels[blockIdx.x];
    bool is_id = label >= 0 && label < vocabulary;
    if (!is_id) label = 0;
    A target = load(x + label), lowest = -A(infinity), top = lowest, sum = 0;
    for (int64 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        A value = load(x + i);
        if (value > top) {
            sum = sum * exp(top - value) + A(1);
            top = value;
        } else if (value != lowest) {
            sum += exp(value - top);
        }
    }
    A highest = largest_of_block(top);
    sum = sum_over_block(sum * exp(top - highest));
    A loss = is_id ? highest + log(sum) - target : A(infinity) - A(infinity);
    A factor = weights[blockIdx.x], own = 1, even = 0;
    if (is_dynamic) {
        A probability = exp(-loss);
        loss *= probability;
        factor *= probability;
    } else if (smoothing > 0) {
        double total = 0;
        for (int64 i = threadIdx.x; i < vocabulary; i += blockDim.x) total += double(load(x + i));
        A mean = A(sum_over_block(total) / double(vocabulary));
        own = A(1 - smoothing);
        loss = own * loss + A(smoothing) * (highest + log(sum) - mean);
        even = factor * A(smoothing) / A(vocabulary);
    }
    // The argmax is the first of equal logits.
    float is_beaten = 0;
    if (target == highest) {
        for (int64 i = threadIdx.x; i < label; i += blockDim.x)
            if (load(x + i) == highest) is_beaten = 1;
        is_beaten = largest_of_block(is_beaten);
    }
    if (threadIdx.x == 0) {
        losses[blockIdx.x] = loss;
        hits[blockIdx.x] = is_id && target == highest && is_beaten == 0;
    }
    if (!wants_gradient) return;
    A scale = factor / sum;
    for (int64 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        A gradient = exp(load(x + i) - highest) * scale - even;
        store(x + i, i == label ? gradient - factor * own : gradient);
    }
}
