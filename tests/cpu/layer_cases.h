// Layers with random parameters, and with gradients on both sides: of the kernels, and of the reference.
#pragma once

#include "reference.h"
#include "separable.h"

namespace xception {

// The length of the difference as a share of the expected length.
template <class T, class U>
double Distance(const std::vector<T> &found, const std::vector<U> &expected) {
  double difference = 0, length = 1e-30;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double error = ToFloat(found[i]) - static_cast<double>(expected[i]);
    difference += error * error;
    length += static_cast<double>(expected[i]) * expected[i];
  }
  return std::sqrt(difference / length);
}

template <class T>
std::vector<float> Rounded(std::vector<float> values) {
  for (float &value : values) {
    T narrow;
    Set(narrow, value);
    value = ToFloat(narrow);
  }
  return values;
}

// A batch norm's parameters and gradients on both sides.
struct NormCase {
  bool frozen;
  std::vector<float> gamma, beta, mean, variance, moved_mean, moved_variance, dgamma, dbeta, statistics;
  Node gamma_node, beta_node;
  Reference::Statistics given, found;
  Index count = 0;
  NormCase(Index channels, bool frozen)
      : frozen(frozen),
        gamma(RandomValues<float>(channels)),
        beta(RandomValues<float>(channels)),
        mean(RandomValues<float>(channels)),
        variance(RandomValues<float>(channels)),
        moved_mean(channels),
        moved_variance(channels),
        dgamma(channels),
        dbeta(channels),
        statistics(2 * channels) {
    for (float &value : variance) value = 0.5F + value * value;
  }
  NormParameters Parameters() {
    return {gamma.data(), beta.data(), mean.data(), variance.data(), frozen, moved_mean.data(), moved_variance.data()};
  }
  NormGradients Gradients() { return {dgamma.data(), dbeta.data()}; }
  Node Apply(Reference &reference, const Node &x) {
    given = {{mean.begin(), mean.end()}, {variance.begin(), variance.end()}};
    gamma_node = reference.Parameter(gamma);
    beta_node = reference.Parameter(beta);
    count = x->shape.Pixels();
    return reference.Norm(x, gamma_node, beta_node, frozen ? &given : nullptr, &found);
  }
  void Check(double tolerance, const char *name) const {
    std::vector<double> moved[2] = {given.mean, given.variance};
    for (std::size_t i = 0; i < gamma.size() && !frozen; ++i) {
      moved[0][i] = 0.9 * moved[0][i] + 0.1 * found.mean[i];
      moved[1][i] = 0.9 * moved[1][i] + 0.1 * found.variance[i] * count / std::max<Index>(count - 1, 1);
    }
    CHECK(Distance(moved_mean, moved[0]) <= tolerance, "%s %g", name, Distance(moved_mean, moved[0]));
    CHECK(Distance(moved_variance, moved[1]) <= tolerance, "%s %g", name, Distance(moved_variance, moved[1]));
    CHECK(Distance(dgamma, gamma_node->gradients) <= tolerance, "%s %g", name,
          Distance(dgamma, gamma_node->gradients));
    CHECK(Distance(dbeta, beta_node->gradients) <= tolerance, "%s %g", name, Distance(dbeta, beta_node->gradients));
  }
};

// Weights of a convolution with their gradient, as the products have them.
struct WeightCase {
  std::vector<float> values, gradients;
  Node node;
  WeightCase(Index count, double spread) : values(RandomValues<float>(count, spread)), gradients(values.size()) {}
  template <class T>
  Node Use(Reference &reference) {
    node = reference.Parameter(Rounded<T>(values));
    return node;
  }
  void Check(double tolerance, const char *name) const {
    CHECK(Distance(gradients, node->gradients) <= tolerance, "%s %g", name, Distance(gradients, node->gradients));
  }
};

template <class T>
struct UnitCase {
  WeightCase depthwise, pointwise;
  NormCase norm;
  std::vector<T> kept_depthwise, kept_pointwise;
  Index in, out;
  UnitCase(const Shape &x, Index in, Index out, bool frozen)
      : depthwise(in * 9, 1 / 3.0),
        pointwise(in * out, 1 / std::sqrt(in)),
        norm(out, frozen),
        kept_depthwise(x.Pixels() * in),
        kept_pointwise(x.Pixels() * out),
        in(in),
        out(out) {}
  UnitParameters Parameters() {
    return {in, out, depthwise.values.data(), pointwise.values.data(), norm.Parameters()};
  }
  UnitGradients Gradients() { return {depthwise.gradients.data(), pointwise.gradients.data(), norm.Gradients()}; }
  KeptUnit<T> Kept() { return {kept_depthwise.data(), kept_pointwise.data(), norm.statistics.data()}; }
  Node Apply(Reference &reference, const Node &x) {
    const Node d = reference.Kept<T>(reference.Depthwise(x, depthwise.Use<float>(reference)));
    return norm.Apply(reference, reference.Kept<T>(reference.Pointwise(d, pointwise.Use<T>(reference), out)));
  }
  void Check(double tolerance) const {
    depthwise.Check(tolerance, "depthwise");
    pointwise.Check(tolerance, "pointwise");
    norm.Check(tolerance, "norm");
  }
};

template <class T>
std::vector<double> Doubles(const std::vector<T> &values) {
  std::vector<double> result;
  for (const T &value : values) result.push_back(ToFloat(value));
  return result;
}

}  // namespace xception
