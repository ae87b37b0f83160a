// How oneDNN is asked for each computation.
#include <algorithm>

#include "onednn.h"
#include "onednn_functions.h"

namespace xception {
namespace {

constexpr int kUsersScratch = 1, kDirect = 1, kForwardTraining = 64, kForwardInference = 96;

class Attributes {
 public:
  explicit Attributes(bool sum = false) {
    Check(dnnl_primitive_attr_create(&attributes_), "make attributes");
    Check(dnnl_primitive_attr_set_scratchpad_mode(attributes_, kUsersScratch), "take scratch memory");
    if (sum) {
      dnnl_post_ops *after = nullptr;
      Check(dnnl_post_ops_create(&after), "add to a result");
      const int appended = dnnl_post_ops_append_sum(after, 1.0F, 0, 0);
      const int set = dnnl_primitive_attr_set_post_ops(attributes_, after);
      dnnl_post_ops_destroy(after);
      Check(appended ? appended : set, "add to a result");
    }
  }
  Attributes(const Attributes &) = delete;
  Attributes &operator=(const Attributes &) = delete;
  ~Attributes() { dnnl_primitive_attr_destroy(attributes_); }
  const dnnl_primitive_attr *Get() const { return attributes_; }

 private:
  dnnl_primitive_attr *attributes_ = nullptr;
};

struct ConvolutionLayouts {
  explicit ConvolutionLayouts(const ConvolutionSizes &sizes)
      : x({sizes.x.images, sizes.in, sizes.x.height, sizes.x.width}, sizes.type, Order::kChannelsLast),
        y({sizes.y.images, sizes.out, sizes.y.height, sizes.y.width}, sizes.type, Order::kChannelsLast),
        weight({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, sizes.type, Order::kAny),
        dweight({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, Type::kFloat32, Order::kAny),
        bias({sizes.out}, Type::kFloat32, Order::kVector),
        strides{sizes.stride, sizes.stride} {}
  Layout x, y, weight, dweight, bias;
  std::int64_t strides[12];
  static constexpr std::int64_t kNone[12] = {};
};

dnnl_primitive_desc *ForwardDesc(const ConvolutionSizes &sizes, bool for_training, Extras extras) {
  const ConvolutionLayouts layouts(sizes);
  const Attributes attributes(extras.sum);
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_forward_primitive_desc_create(
            &desc, Engine(), for_training ? kForwardTraining : kForwardInference, kDirect, layouts.x.Get(),
            layouts.weight.Get(), extras.bias ? layouts.bias.Get() : nullptr, layouts.y.Get(), layouts.strides,
            layouts.kNone, layouts.kNone, layouts.kNone, attributes.Get()),
        "convolve");
  return desc;
}

std::shared_ptr<dnnl_primitive_desc> Owned(dnnl_primitive_desc *desc) {
  return std::shared_ptr<dnnl_primitive_desc>(desc, dnnl_primitive_desc_destroy);
}

}  // namespace

Primitive MakeForward(const ConvolutionSizes &sizes, bool for_training, Extras extras) {
  return Primitive(ForwardDesc(sizes, for_training, extras));
}

Primitive MakeBackwardData(const ConvolutionSizes &sizes) {
  const ConvolutionLayouts layouts(sizes);
  const auto forward = Owned(ForwardDesc(sizes, true, {}));
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_backward_data_primitive_desc_create(
            &desc, Engine(), kDirect, layouts.x.Get(), layouts.weight.Get(), layouts.y.Get(), layouts.strides,
            layouts.kNone, layouts.kNone, layouts.kNone, forward.get(), attributes.Get()),
        "convolve backward");
  return Primitive(desc);
}

Primitive MakeBackwardWeight(const ConvolutionSizes &sizes) {
  const ConvolutionLayouts layouts(sizes);
  const auto forward = Owned(ForwardDesc(sizes, true, {}));
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_backward_weights_primitive_desc_create(
            &desc, Engine(), kDirect, layouts.x.Get(), layouts.dweight.Get(), nullptr, layouts.y.Get(),
            layouts.strides, layouts.kNone, layouts.kNone, layouts.kNone, forward.get(), attributes.Get()),
        "convolve backward");
  return Primitive(desc);
}

Primitive MakeReorder(const Layout &from, const Layout &to) {
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_reorder_primitive_desc_create(&desc, from.Get(), Engine(), to.Get(), Engine(), attributes.Get()),
        "reorder");
  return Primitive(desc);
}

Primitive MakeMatrixProduct(const Layout &a, const Layout &b, const Layout &product) {
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_matmul_primitive_desc_create(&desc, Engine(), a.Get(), b.Get(), nullptr, product.Get(), attributes.Get()),
        "multiply matrices");
  return Primitive(desc);
}

}  // namespace xception
