// A simulated accelerator for tests: tensors of libtorch's device type for third-party backends (PrivateUse1), with elements in host
// memory and the CPU's operators. As on a GPU, operators with mixed devices fail, backward runs on a thread of the device, and the host
// reads elements only by a transfer. Every such read fails unless it was announced, so that tests can enforce the list of reads. Not
// part of the engine: a separate library, loaded only by the tests, before any differentiation.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/NativeFunctions.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <unordered_set>
#include <vector>

#include "versions.h"

namespace {

using retouch::Optional;

const c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);
constexpr auto kType = c10::DeviceType::PrivateUse1;

std::atomic<int64_t> announced_reads{0};

void read_by_host(const char* what) {
  if (announced_reads.fetch_sub(1) > 0) return;
  announced_reads = 0;
  TORCH_CHECK(false, "the host reads from the device (", what, "), which stalls a GPU");
}

class Memory final : public retouch::HostAllocatorBase {
 public:
  at::DeleterFnPtr raw_deleter() const override { return &std::free; }

 private:
  at::DataPtr make(size_t bytes) const override {
    void* data = bytes == 0 ? nullptr : std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    return {data, data, &std::free, c10::Device(kType, 0)};
  }
};

Memory memory;

bool is_ours(const at::Tensor& x) { return x.defined() && x.device().type() == kType; }

// The same elements as a CPU tensor.
at::Tensor on_host(const at::Tensor& x) {
  if (!is_ours(x)) return x;
  return at::from_blob(x.data_ptr(), x.sizes(), x.strides(), [keep = x](void*) {}, x.options().device(at::kCPU));
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, c10::ScalarType type) {
  return at::detail::empty_strided_generic(sizes, strides, &memory, kKeys, type);
}

at::Tensor on_device(const at::Tensor& x) {
  if (!x.defined()) return x;
  const auto dense = x.is_non_overlapping_and_dense() ? x : x.contiguous();
  auto result = empty_strided(dense.sizes(), dense.strides(), dense.scalar_type());
  on_host(result).copy_(dense);
  return result;
}

// Moves an operator's output into an empty tensor that it should have resized.
void adopt(const at::Tensor& target, const at::Tensor& result) {
  const auto moved = on_device(result);
  target.unsafeGetTensorImpl()->set_storage_keep_dtype(moved.storage());
  target.unsafeGetTensorImpl()->set_sizes_and_strides(moved.sizes(), moved.strides());
}

void check_device(const c10::OperatorHandle& op, const at::Tensor& x) {
  // Zero-dimensional tensors can stay on the host, as with CUDA.
  TORCH_CHECK(!x.defined() || is_ours(x) || (x.is_cpu() && x.dim() == 0), op.schema().name(),
              ": expected all tensors to be on the same device, but found at least two, privateuseone and ", x.device());
}

// Operators whose output shape or value needs a transfer to the host.
bool reads(const std::string& name) {
  static const std::unordered_set<std::string> names = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal",
                                                        "aten::_unique2", "aten::unique_dim", "aten::bincount", "aten::is_nonzero"};
  return names.count(name) > 0;
}

void run_on_host(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const auto& schema = op.schema();
  if (reads(schema.name())) read_by_host(schema.name().c_str());
  const size_t first = stack->size() - schema.arguments().size();
  std::vector<c10::IValue> given(stack->begin() + static_cast<int64_t>(first), stack->end());
  std::vector<std::pair<at::Tensor, at::Tensor>> resized;
  // An operator with several outputs returns references to arguments that libtorch has released by then, so they are kept alive here.
  std::vector<at::Tensor> outputs;
  for (size_t k = 0; k < given.size(); ++k) {
    auto& slot = (*stack)[first + k];
    const auto* alias = schema.arguments()[k].alias_info();
    if (given[k].isTensor()) {
      const auto x = given[k].toTensor();
      check_device(op, x);
      if (alias != nullptr && alias->isWrite() && is_ours(x) && x.numel() == 0) {
        resized.emplace_back(x, at::empty(x.sizes(), x.options().device(at::kCPU)));
        slot = resized.back().second;
      } else {
        slot = on_host(x);
        if (alias != nullptr && alias->isWrite()) outputs.push_back(slot.toTensor());
      }
    } else if (given[k].isTensorList()) {
      std::vector<at::Tensor> list;
      for (const auto& x : given[k].toTensorVector()) {
        check_device(op, x);
        list.push_back(on_host(x));
      }
      slot = list;
    } else if (given[k].isOptionalTensorList()) {
      c10::List<Optional<at::Tensor>> list;
      for (const Optional<at::Tensor>& x : given[k].toOptionalTensorList()) {
        if (x.has_value()) check_device(op, *x);
        list.push_back(x.has_value() ? Optional<at::Tensor>(on_host(*x)) : x);
      }
      slot = list;
    } else if (given[k].isDevice()) {
      slot = c10::Device(at::kCPU);
    }
  }
  const at::AutoDispatchBelowADInplaceOrView below;
  op.callBoxed(stack);
  for (const auto& [target, result] : resized)
    if (result.numel() > 0) adopt(target, result);
  const size_t returned = stack->size() - schema.returns().size();
  for (size_t r = 0; r < schema.returns().size(); ++r) {
    auto& slot = (*stack)[returned + r];
    const auto* alias = schema.returns()[r].alias_info();
    if (alias != nullptr) {
      TORCH_CHECK(alias->isWrite(), schema.name(), " returns a view, for which the simulated device has no kernel");
      for (size_t k = 0; k < given.size(); ++k) {
        const auto* own = schema.arguments()[k].alias_info();
        if (own != nullptr && own->beforeSets() == alias->beforeSets()) slot = given[k];
      }
    } else if (slot.isTensor()) {
      slot = on_device(slot.toTensor());
    } else if (slot.isTensorList()) {
      std::vector<at::Tensor> list;
      for (const auto& x : slot.toTensorVector()) list.push_back(on_device(x));
      slot = list;
    }
  }
}

at::Tensor empty(at::IntArrayRef sizes, Optional<at::ScalarType> type, Optional<at::Layout>, Optional<at::Device>, Optional<bool>,
                 Optional<at::MemoryFormat> format) {
  return at::detail::empty_generic(sizes, &memory, kKeys, c10::dtype_or_default(type), format);
}

at::Tensor empty_with_strides(at::IntArrayRef sizes, at::IntArrayRef strides, Optional<at::ScalarType> type, Optional<at::Layout>,
                              Optional<at::Device>, Optional<bool>) {
  return empty_strided(sizes, strides, c10::dtype_or_default(type));
}

at::Tensor copy_from(const at::Tensor& source, const at::Tensor& target, bool) {
  if (target.is_cpu()) read_by_host("copy");
  on_host(target).copy_(on_host(source));
  return target;
}

at::Tensor convolution(const at::Tensor& x, const at::Tensor& weight, const Optional<at::Tensor>& bias, at::IntArrayRef stride,
                       at::IntArrayRef padding, at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups) {
  for (const auto& t : {x, weight, bias.has_value() && bias->defined() ? *bias : x})
    TORCH_CHECK(is_ours(t), "convolution of tensors on two devices");
  const auto offset = bias.has_value() ? Optional<at::Tensor>(on_host(*bias)) : bias;
  return on_device(at::convolution(on_host(x), on_host(weight), offset, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> convolution_backward(
    const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding,
    at::IntArrayRef dilation, bool transposed, at::IntArrayRef output_padding, int64_t groups, std::array<bool, 3> mask) {
  const std::vector<int64_t> channels = {grad.size(1)};
  auto [dx, dw, db] = at::convolution_backward(on_host(grad), on_host(x), on_host(weight), at::OptionalIntArrayRef(channels), stride,
                                               padding, dilation, transposed, output_padding, groups, mask);
  return {on_device(dx), on_device(dw), on_device(db)};
}

at::Tensor as_strided(const at::Tensor& x, at::IntArrayRef sizes, at::IntArrayRef strides, Optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(x, sizes, strides, offset);
}

at::Tensor view(const at::Tensor& x, at::IntArrayRef sizes) { return at::native::view(x, sizes); }

at::Tensor unfold(const at::Tensor& x, int64_t dimension, int64_t size, int64_t step) {
  return at::native::unfold(x, dimension, size, step);
}

at::Tensor reshape_alias(const at::Tensor& x, at::IntArrayRef sizes, at::IntArrayRef strides) {
  return at::native::as_strided_tensorimpl(x, sizes, strides, Optional<int64_t>());
}

// One device with one stream, on which everything is complete when it returns.
class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kType; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  c10::Device exchangeDevice(c10::Device) const override { return only(); }
  c10::Device getDevice() const override { return only(); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }

 private:
  static c10::Device only() { return {kType, 0}; }
  static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, only()); }
};

}  // namespace

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

extern "C" {

// Allows a number of reads from now on.
__attribute__((visibility("default"))) void rt_pretended_announce(int64_t reads_to_come) { announced_reads = reads_to_come; }

// Number of the device type, which differs between versions of libtorch.
__attribute__((visibility("default"))) int rt_pretended_type(void) { return static_cast<int>(kType); }

}  // extern "C"

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&run_on_host>()); }

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  c10::SetAllocator(kType, &memory);
  retouch::register_third_party_backend();
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_with_strides);
  m.impl("_copy_from", copy_from);
  m.impl("convolution_overrideable", convolution);
  m.impl("convolution_backward_overrideable", convolution_backward);
  m.impl("as_strided", as_strided);
  m.impl("view", view);
  m.impl("_reshape_alias", reshape_alias);
  m.impl("unfold", unfold);
}
