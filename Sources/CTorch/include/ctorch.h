// The C face of libtorch: handles in, handles out, no policy. Every function that can fail returns null (or -1) and
// leaves a message for `ct_error_message`; no C++ exception crosses this header. Handles are owned by the caller.
#ifndef CTORCH_H
#define CTORCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ct_tensor_s *ct_tensor;
typedef struct ct_generator_s *ct_generator;

// --- errors, process ------------------------------------------------------------------------------------------------
enum { CT_ERROR_TORCH = 1, CT_ERROR_OUT_OF_MEMORY = 2, CT_ERROR_OTHER = 3 };
int ct_error_kind(void);
const char *ct_error_message(void);
const char *ct_torch_version(void);
void ct_set_threads(int count);
int ct_threads(void);
/// Loads the kernels of CUDA; 0 when they are there and a device answers.
int ct_load_cuda(void);
/// The form by which this thread computes fused operations on the processor, for tests: 0 its kernels, 1 those of CUDA,
/// 2 composed forms, also on devices; -1 leaves it to the device.
void ct_set_form(int form);
int ct_form(void);
/// Compiles the kernels of a CUDA device for an element type: why operations on it are computed by composed forms, empty
/// where they are not.
const char *ct_kernel_note(int device_index, int dtype);
/// Compiles the kernels of every type for an architecture such as "sm_90", on any machine with CUDA's run-time compiler:
/// the bytes of their code, or -1.
int64_t ct_compile_kernels(const char *architecture);
int64_t ct_live_tensors(void);
/// Bytes that tensors on a device take now and took at most, and bytes that the device has free and in all.
int ct_device_memory(int device_type, int device_index, int64_t out[4]);
/// Keeps freed memory for the next large tensor instead of giving it back to the system.
void ct_keep_heap(void);
/// Bounds the machine code that products on the CPU leave behind; to be called before the first product.
void ct_bound_product_code(void);

// --- profiles -------------------------------------------------------------------------------------------------------
/// Times every operation from now on.
int ct_profile_start(void);
/// Ends that, and tells of each operation how often it was called, the seconds that it took itself, and of products their
/// shapes, the floating-point operations of a call, and, if asked, the shortest time of a call alone.
int ct_profile_end(
    bool measures_products,
    void (*tell)(
        void *context, const char *name, const char *shapes, int64_t calls, double seconds, double operations,
        double alone),
    void *context);

// --- making tensors -------------------------------------------------------------------------------------------------
// dtype: c10::ScalarType's number. device_type: c10::DeviceType's number.
ct_tensor ct_empty(const int64_t *shape, int rank, int dtype, int device_type, int device_index);
ct_tensor ct_full(const int64_t *shape, int rank, double value, int dtype, int device_type, int device_index);
ct_tensor ct_copy_from(const void *data, const int64_t *shape, int rank, int dtype);
/// A tensor over memory of the caller; `release(owner)` is called when the last view of it is gone.
ct_tensor ct_borrow(
    const void *data, const int64_t *shape, int rank, int dtype, void *owner, void (*release)(void *));
ct_tensor ct_arange(int64_t start, int64_t end, int dtype, int device_type, int device_index);
void ct_free(ct_tensor x);
ct_tensor ct_alias(ct_tensor x);

// --- looking at tensors ---------------------------------------------------------------------------------------------
int ct_rank(ct_tensor x);
void ct_shape(ct_tensor x, int64_t *out);
int64_t ct_element_count(ct_tensor x);
int ct_dtype(ct_tensor x);
int ct_device_type(ct_tensor x);
int ct_device_index(ct_tensor x);
bool ct_is_contiguous(ct_tensor x);
void *ct_data(ct_tensor x);
int ct_item(ct_tensor x, double *out);
/// Copies all elements, converted to `dtype`, into `out`.
int ct_read(ct_tensor x, int dtype, void *out);
/// 1 when both hold the same bits, 0 when not.
int ct_equal(ct_tensor a, ct_tensor b);

// --- autograd -------------------------------------------------------------------------------------------------------
bool ct_gradient_enabled(void);
void ct_set_gradient_enabled(bool enabled);
bool ct_requires_gradient(ct_tensor x);
int ct_set_requires_gradient(ct_tensor x, bool value);
ct_tensor ct_gradient(ct_tensor x);  // null without error kind when there is none
int ct_set_gradient(ct_tensor x, ct_tensor gradient);  // of the same shape, type and device
void ct_clear_gradient(ct_tensor x);
int ct_backward(ct_tensor x, ct_tensor gradient);      // gradient may be null
ct_tensor ct_detach(ct_tensor x);

// --- random ---------------------------------------------------------------------------------------------------------
ct_generator ct_generator_new(uint64_t seed);
void ct_generator_free(ct_generator g);
int ct_uniform(ct_tensor x, double low, double high, ct_generator g);
int ct_normal(ct_tensor x, double mean, double deviation, ct_generator g);
/// Ones with the given probabilities, else zeros.
ct_tensor ct_bernoulli(ct_tensor probabilities, ct_generator g);
/// Numbers from 0 to below the largest of int64.
ct_tensor ct_random_integers(int64_t count, ct_generator g);
/// The numbers below `count` in random order.
ct_tensor ct_randperm(int64_t count, ct_generator g);

// --- operations -----------------------------------------------------------------------------------------------------
#define CT_UNARY(name) ct_tensor ct_##name(ct_tensor x)
CT_UNARY(neg); CT_UNARY(exp); CT_UNARY(log); CT_UNARY(sqrt); CT_UNARY(rsqrt); CT_UNARY(abs); CT_UNARY(tanh);
CT_UNARY(sigmoid); CT_UNARY(silu); CT_UNARY(relu); CT_UNARY(sin); CT_UNARY(cos); CT_UNARY(contiguous);
CT_UNARY(clone); CT_UNARY(isfinite); CT_UNARY(logical_not); CT_UNARY(softplus);
#undef CT_UNARY
#define CT_BINARY(name) ct_tensor ct_##name(ct_tensor a, ct_tensor b)
CT_BINARY(add); CT_BINARY(sub); CT_BINARY(mul); CT_BINARY(div); CT_BINARY(matmul); CT_BINARY(eq); CT_BINARY(lt);
CT_BINARY(gt); CT_BINARY(ge);
#undef CT_BINARY
ct_tensor ct_add_scalar(ct_tensor x, double value);
ct_tensor ct_mul_scalar(ct_tensor x, double value);
ct_tensor ct_pow_scalar(ct_tensor x, double exponent);
ct_tensor ct_lt_scalar(ct_tensor x, double value);
int ct_add_in_place(ct_tensor x, ct_tensor y, double scale);
int ct_mul_in_place(ct_tensor x, double value);
int ct_copy_in_place(ct_tensor x, ct_tensor source);
int ct_fill_in_place(ct_tensor x, double value);
ct_tensor ct_where(ct_tensor condition, ct_tensor a, ct_tensor b);
ct_tensor ct_masked_fill(ct_tensor x, ct_tensor mask, double value);

ct_tensor ct_reshape(ct_tensor x, const int64_t *shape, int rank);
ct_tensor ct_transpose(ct_tensor x, int64_t a, int64_t b);
ct_tensor ct_permute(ct_tensor x, const int64_t *axes, int rank);
ct_tensor ct_narrow(ct_tensor x, int64_t axis, int64_t start, int64_t length);
ct_tensor ct_select(ct_tensor x, int64_t axis, int64_t index);
ct_tensor ct_unsqueeze(ct_tensor x, int64_t axis);
ct_tensor ct_squeeze(ct_tensor x, int64_t axis);
ct_tensor ct_expand(ct_tensor x, const int64_t *shape, int rank);
ct_tensor ct_cat(const ct_tensor *tensors, int count, int64_t axis);
ct_tensor ct_stack(const ct_tensor *tensors, int count, int64_t axis);
ct_tensor ct_index_select(ct_tensor x, int64_t axis, ct_tensor index);
/// x[index[i]] = source[i] in place.
int ct_index_copy_in_place(ct_tensor x, ct_tensor index, ct_tensor source);
ct_tensor ct_gather(ct_tensor x, int64_t axis, ct_tensor index);
ct_tensor ct_scatter(ct_tensor x, int64_t axis, ct_tensor index, ct_tensor source);
ct_tensor ct_embedding(ct_tensor weight, ct_tensor ids);
ct_tensor ct_to_dtype(ct_tensor x, int dtype);
ct_tensor ct_to_device(ct_tensor x, int device_type, int device_index);

ct_tensor ct_sum(ct_tensor x);
ct_tensor ct_sum_axis(ct_tensor x, int64_t axis, bool keep);
ct_tensor ct_mean(ct_tensor x);
ct_tensor ct_mean_axis(ct_tensor x, int64_t axis, bool keep);
ct_tensor ct_max(ct_tensor x);
ct_tensor ct_amax(ct_tensor x, int64_t axis, bool keep);
ct_tensor ct_argmax(ct_tensor x, int64_t axis);
ct_tensor ct_cumsum(ct_tensor x, int64_t axis);
ct_tensor ct_softmax(ct_tensor x, int64_t axis);
ct_tensor ct_log_softmax(ct_tensor x, int64_t axis);
int ct_sort(ct_tensor x, int64_t axis, bool descending, ct_tensor *values, ct_tensor *indices);
int ct_topk(ct_tensor x, int64_t k, ct_tensor *values, ct_tensor *indices);
ct_tensor ct_cross_entropy_sum(ct_tensor logits, ct_tensor labels);
/// U of the singular value decomposition; `s` and `v` (transposed) receive the rest.
ct_tensor ct_svd(ct_tensor x, ct_tensor *s, ct_tensor *v);
/// Q of the QR decomposition; `r` receives R.
ct_tensor ct_qr(ct_tensor x, ct_tensor *r);
// --- matrices of adapters
/// X of A X = B, or of X A = B.
ct_tensor ct_solve(ct_tensor a, ct_tensor b, bool left);
// X of (I + L) X = B, where L is what lies below the diagonal of a; the rest of a is not looked at.
ct_tensor ct_solve_unit_lower(ct_tensor a, ct_tensor b);

// --- sparse and spectral adapters -----------------------------------------------------------------------------------
/// The standard deviation of all elements, with one less than their count below the sum of squares.
ct_tensor ct_std(ct_tensor x);
/// The real part of the inverse Fourier transform of a matrix.
ct_tensor ct_ifft2_real(ct_tensor x);
/// y[t, m, k] = Σ_n Σ_i x[t, n, i] · w[m, n, (i - k) mod b]
ct_tensor ct_circular_correlation(ct_tensor x, ct_tensor w);
/// x [N, C, H, W] with filters [C, C', h, w], each step of x apart by `stride` in the output.
ct_tensor ct_conv_transpose2d(ct_tensor x, ct_tensor filters, int64_t stride);

// --- optimizer ------------------------------------------------------------------------------------------------------
int ct_fused_adamw(
    const ct_tensor *parameters, const ct_tensor *gradients, const ct_tensor *averages, const ct_tensor *squares,
    const ct_tensor *steps, int count, double rate, double beta1, double beta2, double decay, double epsilon);
/// Numbers as bytes of a code of 256 sorted values, and a largest magnitude for each block of 256.
typedef struct {
    ct_tensor bytes;   // uint8
    ct_tensor absmax;  // float32
    ct_tensor code;    // float32 [256]
} ct_8bit_state;
/// One step of AdamW on a float32 parameter whose moments are bytes.
int ct_adamw_8bit(
    ct_tensor parameter, ct_tensor gradient, const ct_8bit_state *average, const ct_8bit_state *square, int64_t step,
    double rate, double beta1, double beta2, double decay, double epsilon);
/// The bytes of float32 values; `absmax` receives the largest magnitudes of the blocks.
ct_tensor ct_encode_blocks(ct_tensor x, ct_tensor code, int64_t block, ct_tensor *absmax);
ct_tensor ct_decode_blocks(ct_tensor bytes, ct_tensor code, int64_t block, ct_tensor absmax);
/// The 2-norm over all tensors together.
ct_tensor ct_total_norm(const ct_tensor *tensors, int count);
int ct_scale_all(const ct_tensor *tensors, int count, ct_tensor factor);

// --- fused (Sources/CTorch/fused) -----------------------------------------------------------------------------------
/// y = x Wᵀ + b
ct_tensor ct_linear(ct_tensor x, ct_tensor weight, ct_tensor bias);
/// y = x Wᵀ + b + scale · (drop(x) Aᵀ) Bᵀ. `key` seeds the dropout mask; probability 0 drops nothing.
ct_tensor ct_lora_linear(
    ct_tensor x, ct_tensor weight, ct_tensor bias, ct_tensor a, ct_tensor b, double scale, double probability,
    uint64_t key);
/// What attention looks at. Scores are `cap · tanh(q · k · scale / cap)`, then biases, then -inf for unseen keys.
typedef struct {
    int count;                          // sequences
    const int32_t *query_bounds;        // offsets of the queries, count + 1
    const int32_t *key_starts;          // rows of k and v, count of each; there may be room between sequences
    const int32_t *key_lengths;
    ct_tensor query_tensor;             // query_bounds, key_starts with the end of the last, key_lengths as int32 on the
    ct_tensor key_tensor;               // device of q; null on the CPU
    ct_tensor key_length_tensor;
    bool causal;                        // the queries are the last positions of their sequence
    int64_t window;                     // a query sees so many keys up to its own, of both sides without causal; 0: all
    double scale;
    double dropout;                     // weights are dropped by chance, by the mask of `key`
    uint64_t key;
    double soft_cap;                    // 0: none
    const float *slopes;                // a head's slope times the distance is taken off; null: none
    int slope_count;
    bool rounds_slopes;                 // slope times the key's place in bfloat16, and scaled, is added instead
    int64_t bucket_count;               // rows of the bias table; 0: no table
    int64_t bucket_reach;               // the distance from which on all share a bucket
    bool buckets_both_sides;            // whether keys behind a query have buckets of their own
} ct_attention_options;
/// softmax(scores) v inside each sequence of a flat batch. q [T, H, E], k and v [T', K, E], table [buckets, H] or null,
/// sinks [H] or null: of each head a score beside those of the keys, which has a weight and no value.
ct_tensor ct_attention(
    ct_tensor q, ct_tensor k, ct_tensor v, ct_tensor table, ct_tensor sinks, const ct_attention_options *options);
/// (x - mean) / √(variance + ε) · weight + bias over the last axis.
ct_tensor ct_layer_norm(ct_tensor x, ct_tensor weight, ct_tensor bias, double epsilon);
/// x Φ(x), or its approximation by tanh.
ct_tensor ct_gelu(ct_tensor x, bool approximates);
/// Σ over all elements of log(1 + eˣ) - x · target.
ct_tensor ct_binary_cross_entropy_sum(ct_tensor logits, ct_tensor targets);
ct_tensor ct_rms_norm(ct_tensor x, ct_tensor weight, double epsilon);
/// silu(gate) · up
ct_tensor ct_swiglu(ct_tensor gate, ct_tensor up);
/// Rotates pairs (i, i + E/2) of x [T, H, E] by the angles whose cosines and sines are [T, E/2].
ct_tensor ct_rope(ct_tensor x, ct_tensor cosines, ct_tensor sines);
/// x · mask / (1 - p) with the mask of `key`.
ct_tensor ct_dropout(ct_tensor x, double probability, uint64_t key);
/// Σ_i weight_i · CE(x_i Wᵀ, label_i) over N rows, logits made in chunks of `chunk` rows and never kept.
/// With `smoothing` ε each is (1-ε) CE + ε times its mean over all labels; `is_dynamic` multiplies it by the label's
/// probability. `losses` receives each row's part of the sum, `hits` 1 where the label is the argmax, else 0.
ct_tensor ct_linear_cross_entropy(
    ct_tensor x, ct_tensor weight, ct_tensor labels, ct_tensor row_weights, int64_t chunk, double smoothing,
    bool is_dynamic, ct_tensor *losses, ct_tensor *hits);
/// CE(x_i Wᵀ, label_i) of each row, [N], logits made in chunks; `means` receives the mean of each row's logits, [N].
ct_tensor ct_linear_token_losses(ct_tensor x, ct_tensor weight, ct_tensor labels, int64_t chunk, ct_tensor *means);
/// The generalised Jensen-Shannon divergence between softmax(logits / temperature) and the teacher's, of each row of
/// [N, V]: [N], differentiable in `logits` alone. β 0 is KL(teacher‖student), 1 is KL(student‖teacher).
ct_tensor ct_divergence(ct_tensor logits, ct_tensor teacher, double beta, double temperature);
/// A matrix [rows, columns] in four or eight bits: numbers are `code[index] · absmax` of their block of `block` numbers,
/// or `number / 127 · absmax` of their row.
typedef struct {
    ct_tensor packed;        // two indices a byte, the first in its high half; or int8
    ct_tensor code;          // float32 [16]; null for int8
    ct_tensor absmax;        // float32; or uint8, indices of `absmax_code`
    ct_tensor absmax_code;   // float32 [256]; null where absmax are float32
    ct_tensor absmax_scale;  // of each `absmax_block` absmax the largest distance from `offset`
    double offset;
    int64_t block, absmax_block, rows, columns;
} ct_quantized;
/// The indices of the nearest of 16 codes, two a byte; `absmax` receives the largest absolute value of each block.
ct_tensor ct_quantize_4bit(ct_tensor x, ct_tensor code, int64_t block, ct_tensor *absmax);
/// int8 by rows: `round(127 x / absmax)`.
ct_tensor ct_quantize_rows(ct_tensor x, ct_tensor *absmax);
int ct_mean_on_one_thread(ct_tensor x, double *mean);
ct_tensor ct_dequantize(const ct_quantized *matrix, int dtype);
/// x Wᵀ + b in the type `dtype`, with the type of x.
ct_tensor ct_quantized_linear(ct_tensor x, const ct_quantized *matrix, ct_tensor bias, int dtype);
/// The same + scale · (drop(x) Aᵀ) Bᵀ, as `ct_lora_linear`.
ct_tensor ct_quantized_lora_linear(
    ct_tensor x, const ct_quantized *matrix, ct_tensor bias, int dtype, ct_tensor a, ct_tensor b, double scale,
    double probability, uint64_t key);
/// Runs `body` now without recording it, and again with recording when its gradient is asked for.
/// `body` gets handles it owns and returns a handle; null means failure. `release` ends the context.
ct_tensor ct_checkpoint(
    const ct_tensor *inputs, int count, void *context,
    ct_tensor (*body)(void *context, const ct_tensor *inputs, int count), void (*release)(void *context));
// x, whose backward pass also gives the scalar loss the gradient 1.
ct_tensor ct_carry_loss(ct_tensor x, ct_tensor loss);

#ifdef __cplusplus
}
#endif
#endif
