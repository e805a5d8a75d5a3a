/* The C ABI of the engine: one boxed entry point into the ATen dispatcher, and the few things that are no operators.
 *
 * Rules: no C++ exception crosses; every function that can fail returns a status and leaves its message for rt_last_error().
 * A tensor crosses as an owned TensorImpl reference (void*), freed by rt_tensor_free. Arguments are borrowed, results are owned. */
#ifndef RETOUCH_TORCH_H
#define RETOUCH_TORCH_H
#include <stdint.h>

#define RT_ABI_VERSION 2
#define RT_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

enum rt_tag {
  RT_NONE = 0,
  RT_DEFAULT = 1, /* the default of the operator's schema */
  RT_TENSOR = 2,
  RT_INT = 3,
  RT_DOUBLE = 4,
  RT_BOOL = 5,
  RT_INT_LIST = 6,             /* const int64_t* */
  RT_DOUBLE_LIST = 7,          /* const double* */
  RT_BOOL_LIST = 8,            /* const int64_t*, nonzero is true */
  RT_TENSOR_LIST = 9,          /* void* const*; as a result: malloc'ed, freed by rt_list_free */
  RT_OPTIONAL_TENSOR_LIST = 10, /* void* const*, null is None */
  RT_STRING = 11,              /* UTF-8, length in bytes */
  RT_GENERATOR = 12,
  RT_DEVICE = 13 /* type << 32 | (uint32) index */
};

typedef struct rt_value {
  int32_t tag;
  int32_t length;
  union {
    int64_t i;
    double d;
    const void* p;
  };
} rt_value;

#define RT_MAX_DIM 16

typedef struct rt_tensor_info {
  int64_t count;
  int64_t sizes[RT_MAX_DIM];
  void* data;
  int32_t dim;
  int32_t dtype;
  int32_t device_type;
  int32_t device_index;
  int32_t contiguous;
  int32_t requires_grad;
  int64_t storage_bytes;
} rt_tensor_info;

RT_API int rt_abi_version(void);
RT_API const char* rt_torch_version(void);  /* of the libtorch that this shim was compiled against */
RT_API const char* rt_last_error(void);     /* of this thread; valid until its next failing call */

/* Operators. */
RT_API int rt_operator_find(const char* name, const char* overload, void** op);  /* the handle lives as long as the process */
RT_API int rt_operator_schema(void* op, char** text);                            /* malloc'ed */
RT_API int rt_call(void* op, const rt_value* args, int32_t nargs, rt_value* results, int32_t nresults);
/* The same call repeated in a C++ loop that keeps `hold` results and then frees them, as a scope does: what the crossing from managed code costs is
   measured against it. For operators whose last result is a tensor. */
RT_API int rt_call_repeat(void* op, const rt_value* args, int32_t nargs, int64_t times, int64_t hold);

/* Tensors. */
RT_API void rt_tensor_free(void* tensor);
RT_API void rt_tensors_free(void* const* tensors, int32_t n); /* one crossing for a scope's worth; nulls are skipped */
RT_API void* rt_tensor_share(void* tensor); /* one more reference */
RT_API void rt_tensor_info_get(void* tensor, rt_tensor_info* info);
RT_API int rt_tensor_from_blob(void* data, const int64_t* sizes, int32_t dim, int32_t dtype, void (*release)(void*), void* context, void** tensor);
RT_API int rt_tensor_set_requires_grad(void* tensor, int32_t value);
RT_API int rt_tensor_grad(void* tensor, void** grad); /* null where there is none */
RT_API int rt_tensor_set_grad(void* tensor, void* grad);
RT_API void rt_list_free(void* list);

/* Autograd. */
typedef int (*rt_backward_fn)(void* context, void* const* grads, int32_t ngrads, void** grad_inputs, int32_t ninputs);
RT_API int rt_grad_mode_get(void);
RT_API void rt_grad_mode_set(int32_t enabled);
RT_API int rt_backward(void* const* outputs, int32_t n, void* const* grads, int32_t retain_graph, int32_t create_graph);
RT_API int rt_grad(void* const* outputs, int32_t n, void* const* inputs, int32_t m, void* const* grads, int32_t retain_graph,
                   int32_t create_graph, int32_t allow_unused, void** results);
/* Puts a node between inputs and outputs whose backward is a callback; results are fresh tensors that share the outputs' data. */
RT_API int rt_custom_function(void* const* inputs, int32_t n, void* const* outputs, int32_t m, rt_backward_fn backward,
                              void (*release)(void*), void* context, void** results);
RT_API int rt_autocast_set(int32_t device_type, int32_t enabled, int32_t dtype);
RT_API void rt_autocast_clear_cache(void);

/* Generators. */
RT_API int rt_generator_new(int32_t device_type, int32_t device_index, uint64_t seed, void** generator);
RT_API void rt_generator_free(void* generator);
RT_API int rt_generator_set_seed(void* generator, uint64_t seed);
RT_API int rt_generator_get_state(void* generator, void** tensor);
RT_API int rt_generator_set_state(void* generator, void* tensor);

/* Machine. */
RT_API void rt_threads_set(int32_t n);
RT_API int rt_threads_get(void);
RT_API int rt_cuda_count(void);
RT_API int rt_cuda_memory(int64_t* free_bytes, int64_t* total_bytes); /* of the current device, by the CUDA runtime */
RT_API int rt_cuda_synchronize(int32_t index);
RT_API int rt_show_config(char** text); /* build configuration and parallel settings; malloc'ed */
RT_API void rt_string_free(char* text);

#ifdef __cplusplus
}
#endif
#endif
