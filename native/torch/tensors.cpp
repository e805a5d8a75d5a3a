// Tensors and their metadata, generators: functions that are not dispatcher operators.
#include <ATen/CPUGeneratorImpl.h>

#include "internal.h"
#include "versions.h"

using namespace retouch;

namespace {

// Managed memory, released when the last tensor that shares it is freed.
struct ForeignMemory {
  ForeignMemory(rt_release_fn function, void* argument) : release_data(function), context(argument) {}
  ForeignMemory(const ForeignMemory&) = delete;
  ForeignMemory& operator=(const ForeignMemory&) = delete;
  ~ForeignMemory() {
    if (release_data != nullptr) postpone_failure(release_data(context));
  }

  rt_release_fn release_data;
  void* context;
};

// The memory of a tensor that has all of it.
c10::StorageImpl& whole_storage(void* handle) {
  const auto tensor = borrow(handle);
  auto& storage = *tensor.storage().unsafeGetStorageImpl();
  const auto bytes = static_cast<size_t>(tensor.numel()) * tensor.element_size();
  TORCH_CHECK(tensor.storage_offset() == 0 && tensor.is_contiguous() && (storage.nbytes() == bytes || storage.nbytes() == 0),
              "the tensor shares its memory with others, so that it cannot be released");
  return storage;
}

}  // namespace

extern "C" {

int rt_abi_version(void) { return RT_ABI_VERSION; }
const char* rt_torch_version(void) { return TORCH_VERSION; }

void rt_tensor_free(void* tensor) {
  if (tensor == nullptr) return;
  TensorPtr::reclaim(static_cast<at::TensorImpl*>(tensor));
}

void rt_tensors_free(void* const* tensors, int32_t n) {
  for (int32_t k = 0; k < n; ++k) rt_tensor_free(tensors[k]);
}

void* rt_tensor_share(void* tensor) { return release(borrow(tensor)); }

int rt_tensor_info_get(void* handle, rt_tensor_info* info) {
  return guarded([&] {
    const auto tensor = borrow(handle);
    TORCH_CHECK(tensor.dim() <= RT_MAX_DIM, "a tensor of ", tensor.dim(), " dimensions: at most ", RT_MAX_DIM, " can be handled");
    info->count = tensor.numel();
    info->dim = static_cast<int32_t>(tensor.dim());
    for (int32_t k = 0; k < info->dim; ++k) info->sizes[k] = tensor.size(k);
    info->dtype = static_cast<int32_t>(tensor.scalar_type());
    info->device_type = static_cast<int32_t>(tensor.device().type());
    info->device_index = tensor.device().index();
    info->contiguous = tensor.is_contiguous() ? 1 : 0;
    info->requires_grad = tensor.requires_grad() ? 1 : 0;
    const bool backed = tensor.has_storage() && !tensor.is_meta();
    info->data = backed && tensor.storage().nbytes() > 0 ? tensor.data_ptr() : nullptr;
    info->storage_bytes = backed ? static_cast<int64_t>(tensor.storage().nbytes()) : 0;
  });
}

int rt_tensor_release_memory(void* handle) {
  return guarded([&] {
    auto& storage = whole_storage(handle);
    storage.set_data_ptr_noswap(at::DataPtr(nullptr, storage.device()));
    storage.set_nbytes(0);
  });
}

int rt_tensor_allocate_memory(void* handle) {
  return guarded([&] {
    auto& storage = whole_storage(handle);
    const auto tensor = borrow(handle);
    const auto bytes = static_cast<size_t>(tensor.numel()) * tensor.element_size();
    if (storage.nbytes() == bytes) return;
    auto* allocator = storage.allocator() != nullptr ? storage.allocator() : c10::GetAllocator(tensor.device().type());
    const c10::DeviceGuard guard(tensor.device());
    storage.set_data_ptr_noswap(allocator->allocate(bytes));
    storage.set_nbytes(bytes);
  });
}

int rt_tensor_from_blob(void* data, const int64_t* sizes, int32_t dim, int32_t dtype, rt_release_fn release_data, void* context,
                        void** tensor) {
  // Released once, whether or not the tensor is created.
  auto memory = std::shared_ptr<ForeignMemory>();
  return guarded([&] {
    memory = std::make_shared<ForeignMemory>(release_data, context);
    auto options = at::TensorOptions().dtype(static_cast<c10::ScalarType>(dtype));
    c10::IntArrayRef shape(sizes, static_cast<size_t>(dim));
    *tensor = release(at::from_blob(data, shape, [owner = std::move(memory)](void*) mutable { owner.reset(); }, options));
  });
}

int rt_tensor_set_requires_grad(void* tensor, int32_t value) {
  return guarded([&] { borrow(tensor).set_requires_grad(value != 0); });
}

int rt_tensor_grad(void* tensor, void** grad) {
  return guarded([&] { *grad = release(borrow(tensor).grad()); });
}

int rt_tensor_set_grad(void* tensor, void* grad) {
  return guarded([&] { borrow(tensor).mutable_grad() = borrow(grad); });
}

int rt_generator_new(int32_t device_type, int32_t device_index, uint64_t seed, void** generator) {
  return guarded([&] {
    if (static_cast<c10::DeviceType>(device_type) == c10::DeviceType::CPU) {
      *generator = new at::Generator(at::make_generator<at::CPUGeneratorImpl>(seed));
      return;
    }
    const c10::Device device(static_cast<c10::DeviceType>(device_type), static_cast<c10::DeviceIndex>(device_index));
    auto fresh = at::globalContext().defaultGenerator(device).clone();
    fresh.set_current_seed(seed);
    *generator = new at::Generator(fresh);
  });
}

void rt_generator_free(void* generator) { delete static_cast<at::Generator*>(generator); }

int rt_generator_set_seed(void* generator, uint64_t seed) {
  return guarded([&] { static_cast<at::Generator*>(generator)->set_current_seed(seed); });
}

int rt_generator_get_state(void* generator, void** tensor) {
  return guarded([&] { *tensor = release(static_cast<at::Generator*>(generator)->get_state()); });
}

int rt_generator_set_state(void* generator, void* tensor) {
  return guarded([&] { static_cast<at::Generator*>(generator)->set_state(borrow(tensor)); });
}

}  // extern "C"
