// The functions of oneDNN that are used, as its headers declare them, with int for its enumerations.
#pragma once

#include <cstddef>
#include <cstdint>

struct dnnl_memory_desc;
struct dnnl_primitive;
struct dnnl_primitive_attr;
struct dnnl_primitive_desc;
struct dnnl_engine;
struct dnnl_memory;
struct dnnl_post_ops;
struct dnnl_stream;

extern "C" {
struct OneDnnArgument {
  int role;
  dnnl_memory *memory;
};
struct OneDnnVersionNumbers {
  int major, minor, patch;
  const char *hash;
  unsigned cpu_runtime, gpu_runtime;
};
using Sizes = const std::int64_t[12];

const OneDnnVersionNumbers *dnnl_version();
int dnnl_get_effective_cpu_isa();
int dnnl_engine_create(dnnl_engine **, int kind, std::size_t index);
int dnnl_threadpool_interop_stream_create(dnnl_stream **, dnnl_engine *, void *pool);
int dnnl_threadpool_interop_set_max_concurrency(int threads);
int dnnl_threadpool_interop_get_max_concurrency(int *threads);
int dnnl_stream_wait(dnnl_stream *);
int dnnl_stream_destroy(dnnl_stream *);
int dnnl_memory_desc_create_with_tag(dnnl_memory_desc **, int rank, Sizes, int type, int tag);
int dnnl_memory_desc_clone(dnnl_memory_desc **, const dnnl_memory_desc *);
int dnnl_memory_desc_destroy(dnnl_memory_desc *);
int dnnl_memory_desc_equal(const dnnl_memory_desc *, const dnnl_memory_desc *);
std::size_t dnnl_memory_desc_get_size(const dnnl_memory_desc *);
int dnnl_memory_create(dnnl_memory **, const dnnl_memory_desc *, dnnl_engine *, void *data);
int dnnl_memory_destroy(dnnl_memory *);
int dnnl_memory_set_data_handle(dnnl_memory *, void *data);
int dnnl_post_ops_create(dnnl_post_ops **);
int dnnl_post_ops_destroy(dnnl_post_ops *);
int dnnl_post_ops_append_sum(dnnl_post_ops *, float scale, std::int32_t zero, int type);
int dnnl_primitive_attr_create(dnnl_primitive_attr **);
int dnnl_primitive_attr_destroy(dnnl_primitive_attr *);
int dnnl_primitive_attr_set_scratchpad_mode(dnnl_primitive_attr *, int mode);
int dnnl_primitive_attr_set_post_ops(dnnl_primitive_attr *, const dnnl_post_ops *);
int dnnl_primitive_desc_destroy(dnnl_primitive_desc *);
const dnnl_memory_desc *dnnl_primitive_desc_query_md(const dnnl_primitive_desc *, int what, int index);
int dnnl_primitive_create(dnnl_primitive **, const dnnl_primitive_desc *);
int dnnl_primitive_destroy(dnnl_primitive *);
int dnnl_primitive_execute(const dnnl_primitive *, dnnl_stream *, int count, const OneDnnArgument *);
int dnnl_convolution_forward_primitive_desc_create(
    dnnl_primitive_desc **, dnnl_engine *, int propagation, int algorithm, const dnnl_memory_desc *x,
    const dnnl_memory_desc *weight, const dnnl_memory_desc *bias, const dnnl_memory_desc *y, Sizes strides,
    Sizes dilations, Sizes before, Sizes after, const dnnl_primitive_attr *);
int dnnl_convolution_backward_data_primitive_desc_create(
    dnnl_primitive_desc **, dnnl_engine *, int algorithm, const dnnl_memory_desc *dx, const dnnl_memory_desc *weight,
    const dnnl_memory_desc *dy, Sizes strides, Sizes dilations, Sizes before, Sizes after,
    const dnnl_primitive_desc *forward, const dnnl_primitive_attr *);
int dnnl_convolution_backward_weights_primitive_desc_create(
    dnnl_primitive_desc **, dnnl_engine *, int algorithm, const dnnl_memory_desc *x, const dnnl_memory_desc *dweight,
    const dnnl_memory_desc *dbias, const dnnl_memory_desc *dy, Sizes strides, Sizes dilations, Sizes before,
    Sizes after, const dnnl_primitive_desc *forward, const dnnl_primitive_attr *);
int dnnl_matmul_primitive_desc_create(dnnl_primitive_desc **, dnnl_engine *, const dnnl_memory_desc *a,
                                      const dnnl_memory_desc *b, const dnnl_memory_desc *bias,
                                      const dnnl_memory_desc *product, const dnnl_primitive_attr *);
int dnnl_reorder_primitive_desc_create(dnnl_primitive_desc **, const dnnl_memory_desc *from, dnnl_engine *,
                                       const dnnl_memory_desc *to, dnnl_engine *, const dnnl_primitive_attr *);
}

namespace xception {

// Throws if a function has failed to do what is told.
void Check(int status, const char *what);
dnnl_engine *Engine();

}  // namespace xception
