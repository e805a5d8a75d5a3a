/* The C ABI of the engine: a boxed entry point into the ATen dispatcher, and functions that are not operators.
 *
 * Rules: exceptions do not cross the ABI in either direction; every function that can fail returns a status and stores a message for
 * rt_last_error(). A tensor is passed as an owned TensorImpl reference (void*), freed by rt_tensor_free. Arguments are borrowed,
 * results
 * are owned. */
#ifndef RETOUCH_TORCH_H
#define RETOUCH_TORCH_H
#include <stdint.h>

#define RT_ABI_VERSION 6
#define RT_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

enum rt_status { RT_OK = 0, RT_FAILED = 1, RT_OUT_OF_MEMORY = 2, RT_CALLBACK_FAILED = 3 };

enum rt_tag {
  RT_NONE = 0,
  RT_DEFAULT = 1, /* the schema's default */
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
RT_API const char* rt_torch_version(void);  /* libtorch version that this shim was compiled against */
RT_API int rt_torch_is_known(void);         /* 0 if that version is outside the tested range */
RT_API const char* rt_last_error(void);     /* of this thread; valid until its next failing call */

/* Managed functions. They return null, or a handle of an exception, which this library owns and frees with the function set here.
   rt_last_failure is the handle behind this thread's last status RT_CALLBACK_FAILED, valid until its next call. An exception of a release
   function called in a destructor (of a tensor's last owner) fails the next call of that thread. */
typedef void* (*rt_backward_fn)(void* context, void* const* grads, int32_t ngrads, void** grad_inputs, int32_t ninputs);
typedef void* (*rt_release_fn)(void* context);
RT_API void rt_failure_free_set(void (*free_failure)(void* failure));
RT_API void* rt_last_failure(void);

/* Operators. */
RT_API int rt_operator_find(const char* name, const char* overload, void** op);  /* the handle is valid for the life of the process */
RT_API int rt_operator_schema(void* op, char** text);                            /* malloc'ed */
RT_API int rt_call(void* op, const rt_value* args, int32_t nargs, rt_value* results, int32_t nresults);
/* The same call repeated in a C++ loop that keeps `hold` results and then frees them, as a tensor scope does: the baseline for the overhead
   of managed calls. For operators whose last result is a tensor. */
RT_API int rt_call_repeat(void* op, const rt_value* args, int32_t nargs, int64_t times, int64_t hold);

/* Tensors. */
RT_API void rt_tensor_free(void* tensor);
RT_API void rt_tensors_free(void* const* tensors, int32_t n); /* frees many tensors in one call; nulls are skipped */
RT_API void* rt_tensor_share(void* tensor); /* adds a reference */
RT_API int rt_tensor_info_get(void* tensor, rt_tensor_info* info);
/* release is called once, whether or not the call succeeds; null if the memory lives as long as the process. */
RT_API int rt_tensor_from_blob(void* data, const int64_t* sizes, int32_t dim, int32_t dtype, rt_release_fn release, void* context,
                               void** tensor);
RT_API int rt_tensor_set_requires_grad(void* tensor, int32_t value);
RT_API int rt_tensor_grad(void* tensor, void** grad); /* null without a gradient */
RT_API int rt_tensor_set_grad(void* tensor, void* grad);
RT_API void rt_list_free(void* list);

/* Autograd. */
RT_API int rt_grad_mode_get(void);
RT_API void rt_grad_mode_set(int32_t enabled);
RT_API int rt_backward(void* const* outputs, int32_t n, void* const* grads, int32_t retain_graph, int32_t create_graph);
RT_API int rt_grad(void* const* outputs, int32_t n, void* const* inputs, int32_t m, void* const* grads, int32_t retain_graph,
                   int32_t create_graph, int32_t allow_unused, void** results);
/* Inserts a node with a callback as its backward between inputs and outputs; results are new tensors that share the outputs' data.
   release is called once: after backward, if the graph is not retained, else when the graph is freed, and also if the call fails. */
RT_API int rt_custom_function(void* const* inputs, int32_t n, void* const* outputs, int32_t m, rt_backward_fn backward,
                              rt_release_fn release, void* context, void** results);

/* Autocast mode of this thread for a device type. Scopes nest; leaving one restores the enclosing mode. */
typedef struct rt_autocast_mode {
  int32_t device_type;
  int32_t enabled;
  int32_t dtype;
} rt_autocast_mode;
RT_API int rt_autocast_enter(int32_t device_type, int32_t enabled, int32_t dtype, rt_autocast_mode* outer);
RT_API int rt_autocast_leave(const rt_autocast_mode* outer);
RT_API void rt_autocast_clear_cache(void);

/* Generators. */
RT_API int rt_generator_new(int32_t device_type, int32_t device_index, uint64_t seed, void** generator);
RT_API void rt_generator_free(void* generator);
RT_API int rt_generator_set_seed(void* generator, uint64_t seed);
RT_API int rt_generator_get_state(void* generator, void** tensor);
RT_API int rt_generator_set_state(void* generator, void* tensor);

/* Devices. A device that does not exist is an error. */
typedef struct rt_device_memory_info {
  int64_t free_bytes;       /* of the device, across all processes; -1 if unknown */
  int64_t total_bytes;      /* -1 if unknown */
  int64_t allocated_bytes;  /* of this process's tensors; -1 if this shim was compiled without access to it */
  int64_t reserved_bytes;   /* reserved by libtorch's allocator, tensors included */
  int64_t peak_bytes;       /* peak of allocated_bytes since the last reset */
} rt_device_memory_info;

RT_API int rt_cuda_is_built(void); /* whether libtorch was built with CUDA */
RT_API int rt_cuda_count(void);    /* usable GPUs; 0 if there are none or the query fails */
/* CUDA error of the device query: code -1 without a runtime; text malloc'ed. */
RT_API int rt_cuda_status(int32_t* code, char** text);
RT_API int rt_cuda_memory(int32_t index, int32_t reset_peak, rt_device_memory_info* info);
RT_API int rt_cuda_release_cache(void); /* releases unused blocks of libtorch's allocator */
RT_API int rt_cuda_synchronize(int32_t index);

/* Kernels of devices other than the processor. */
/* Launches a kernel of native/torch/kernels by name, for the type numbered as RETOUCH_STORED in kernels/common.h. `arguments` points to
   `count` arguments of the given sizes. Null, or an error that stays valid. */
typedef const char* (*rt_launch_fn)(const char* kernel, int32_t stored, int32_t blocks, int32_t threads, void* const* arguments,
                                    const int32_t* sizes, int32_t count);
RT_API int rt_launcher_set(int32_t device_type, rt_launch_fn function); /* for a device type, not the CPU; null: none */
RT_API int rt_kernels_can_compile(void); /* whether NVRTC loads */
/* Compiles the kernels of all sources and types with NVRTC for an architecture such as sm_80, which needs no GPU; `cache` is the folder of
   compiled code, or empty. text: a line for each with its size, malloc'ed. */
RT_API int rt_kernels_compile(const char* architecture, const char* cache, char** text);
/* Why a GPU has no kernels; empty if it has, or was not asked for them. malloc'ed. */
RT_API int rt_kernels_failure(int32_t index, char** text);

/* Processes that train together. Without c10d in libtorch every function fails with the reason. Functions that communicate block; a peer
   that has gone or does not answer within the group's time is an error. */
/* Why a backend, gloo or nccl, is missing; empty if it is not; malloc'ed. */
RT_API int rt_distributed_reason(const char* backend, char** text);
/* A TCP store, which one process serves, on any free port if the port is 0. `prefix` precedes all keys. */
RT_API int rt_store_new(const char* host, int32_t port, int32_t serves, const char* prefix, int64_t timeout_ms, void** store);
RT_API int rt_store_port(void* store);
RT_API void rt_store_free(void* store);
RT_API int rt_store_set(void* store, const char* key, const void* data, int64_t n);
RT_API int rt_store_get(void* store, const char* key, int64_t timeout_ms, void** data, int64_t* n); /* waits for the key; malloc'ed */
RT_API int rt_store_has(void* store, const char* key, int32_t* found);
RT_API int rt_store_add(void* store, const char* key, int64_t amount, int64_t* sum);
/* A group of all processes. `name` is one of several groups on a store; `address` is this process's own for Gloo, or empty. */
RT_API int rt_group_new(void* store, const char* backend, const char* name, int32_t rank, int32_t size, int64_t timeout_ms,
                        const char* address, void** group);
RT_API void rt_group_free(void* group);
RT_API int rt_group_all_reduce(void* group, void* tensor, int32_t maximum); /* sum or maximum, in place */
RT_API int rt_group_broadcast(void* group, void* tensor, int32_t root);     /* in place */
RT_API int rt_group_all_gather(void* group, void* tensor, void* const* outputs, int32_t n);
RT_API int rt_group_barrier(void* group);
/* Sums of gradients in buckets of at most `bytes` (or one parameter), during backward. Armed buckets are sent when their gradients have
   arrived. flush sends the rest and returns how many had been sent before; finish waits and, the last time of a step, replaces the
   gradients by their sums. With owners (a rank for each parameter, or NULL) sums reach the owner only, over all passes of the step, and
   gradients are freed when they are sent. */
RT_API int rt_buckets_new(void* group, void* const* parameters, int32_t n, int64_t bytes, const int32_t* owners, void** buckets);
RT_API void rt_buckets_free(void* buckets);
RT_API int64_t rt_buckets_count(void* buckets);
RT_API int rt_buckets_arm(void* buckets);
RT_API int rt_buckets_flush(void* buckets, int64_t* sent);
RT_API int rt_buckets_finish(void* buckets, int32_t last);

/* Arithmetic: TF32 for float32 products on tensor cores; deterministic algorithms only. */
RT_API int rt_arithmetic_set(int32_t allow_tf32, int32_t deterministic);

/* Machine. */
RT_API void rt_threads_set(int32_t n);
RT_API int rt_threads_get(void);
RT_API int rt_host_cache_set(int32_t enabled); /* whether large CPU tensors use a cache of reused blocks, process-wide */
RT_API int rt_show_config(char** text); /* build configuration and parallel settings; malloc'ed */
RT_API void rt_string_free(char* text);

#ifdef __cplusplus
}
#endif
#endif
