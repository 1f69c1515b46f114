// Projection of Gaussians and its gradient, kLanes Gaussians at a time.
#include <cstdint>

#include "common/simd.hpp"
#include "raster/raster.hpp"

namespace gspc::GSPC_ISA_NAMESPACE {
namespace {

using namespace gspc::raster;

constexpr float kTiny = 1e-30f;

// The 2x3 affine map of one Gaussian's unit sphere to pixels and everything on the way, kLanes lanes each.
struct Footprint {
  Floats x, y, z, inv_z;      // camera space
  Floats tx, ty;              // x / z, y / z clamped as in gsplat
  Mask free_x, free_y;        // not clamped
  Floats j00, j02, j11, j12;  // Jacobian of the projection
  Floats p[2][3];             // Jacobian times the camera's rotation
  Floats quat[4], inv_norm;   // normalized
  Floats rot[3][3];
  Floats scale[3];
  Floats n[2][3];  // p * rot
  Floats m[2][3];  // n * diag(scale)
};

struct Limits {
  float x_low, x_high, y_low, y_high;
};

Limits tangent_limits(const View& v) {
  const float tan_x = 0.5f * static_cast<float>(v.width) / v.fx,
              tan_y = 0.5f * static_cast<float>(v.height) / v.fy;
  return {-(v.cx / v.fx + 0.3f * tan_x), (static_cast<float>(v.width) - v.cx) / v.fx + 0.3f * tan_x,
          -(v.cy / v.fy + 0.3f * tan_y), (static_cast<float>(v.height) - v.cy) / v.fy + 0.3f * tan_y};
}

// Smallest whole number not below a, for a >= 0; at most 10^9.
GSPC_INLINE Floats ceiling(Floats a) {
  const Floats bounded = vmin(a, splat(1e9f));
  const Floats whole = __builtin_convertvector(truncate(bounded), Floats);
  return whole + zero_unless(gt(bounded, whole), splat(1.0f));
}

GSPC_INLINE Footprint footprint(const Scene& scene, const View& view, const Limits& lim, Ints index) {
  Footprint f;
  const Floats mx = gather(scene.means, index, 3), my = gather(scene.means + 1, index, 3),
               mz = gather(scene.means + 2, index, 3);
  const float* r = view.rotation;
  f.x = fma(splat(r[0]), mx, fma(splat(r[1]), my, fma(splat(r[2]), mz, splat(view.translation[0]))));
  f.y = fma(splat(r[3]), mx, fma(splat(r[4]), my, fma(splat(r[5]), mz, splat(view.translation[1]))));
  f.z = fma(splat(r[6]), mx, fma(splat(r[7]), my, fma(splat(r[8]), mz, splat(view.translation[2]))));
  f.inv_z = splat(1.0f) / f.z;
  const Floats ux = f.x * f.inv_z, uy = f.y * f.inv_z;
  f.tx = vmin(vmax(ux, splat(lim.x_low)), splat(lim.x_high));
  f.ty = vmin(vmax(uy, splat(lim.y_low)), splat(lim.y_high));
  f.free_x = both(ge(ux, splat(lim.x_low)), ge(splat(lim.x_high), ux));
  f.free_y = both(ge(uy, splat(lim.y_low)), ge(splat(lim.y_high), uy));
  f.j00 = splat(view.fx) * f.inv_z;
  f.j11 = splat(view.fy) * f.inv_z;
  f.j02 = -f.j00 * f.tx;
  f.j12 = -f.j11 * f.ty;
  for (int k = 0; k < 3; ++k) {
    f.p[0][k] = fma(f.j02, splat(r[6 + k]), f.j00 * splat(r[k]));
    f.p[1][k] = fma(f.j12, splat(r[6 + k]), f.j11 * splat(r[3 + k]));
  }
  Floats norm = splat(0.0f);
  for (int k = 0; k < 4; ++k) {
    f.quat[k] = gather(scene.quats + k, index, 4);
    norm = fma(f.quat[k], f.quat[k], norm);
  }
  f.inv_norm = zero_unless(ge(norm, splat(kTiny)), splat(1.0f) / vsqrt(norm));
  for (int k = 0; k < 4; ++k) f.quat[k] = f.quat[k] * f.inv_norm;
  const Floats w = f.quat[0], x = f.quat[1], y = f.quat[2], z = f.quat[3], two = splat(2.0f),
               one = splat(1.0f);
  f.rot[0][0] = fnma(two, fma(y, y, z * z), one);
  f.rot[0][1] = two * (x * y - w * z);
  f.rot[0][2] = two * (x * z + w * y);
  f.rot[1][0] = two * (x * y + w * z);
  f.rot[1][1] = fnma(two, fma(x, x, z * z), one);
  f.rot[1][2] = two * (y * z - w * x);
  f.rot[2][0] = two * (x * z - w * y);
  f.rot[2][1] = two * (y * z + w * x);
  f.rot[2][2] = fnma(two, fma(x, x, y * y), one);
  for (int k = 0; k < 3; ++k) {
    f.scale[k] = gather(scene.scales + k, index, 3);
    for (int i = 0; i < 2; ++i) {
      f.n[i][k] = fma(f.p[i][0], f.rot[0][k], fma(f.p[i][1], f.rot[1][k], f.p[i][2] * f.rot[2][k]));
      f.m[i][k] = f.n[i][k] * f.scale[k];
    }
  }
  return f;
}

struct Covariance {
  Floats a, b, c, det;  // with the blur; det by Cauchy-Binet: a sum of non-negative terms
};

GSPC_INLINE Covariance covariance(const Footprint& f) {
  const Floats a = fma(f.m[0][0], f.m[0][0], fma(f.m[0][1], f.m[0][1], f.m[0][2] * f.m[0][2]));
  const Floats c = fma(f.m[1][0], f.m[1][0], fma(f.m[1][1], f.m[1][1], f.m[1][2] * f.m[1][2]));
  const Floats b = fma(f.m[0][0], f.m[1][0], fma(f.m[0][1], f.m[1][1], f.m[0][2] * f.m[1][2]));
  const Floats m01 = f.m[0][0] * f.m[1][1] - f.m[0][1] * f.m[1][0];
  const Floats m02 = f.m[0][0] * f.m[1][2] - f.m[0][2] * f.m[1][0];
  const Floats m12 = f.m[0][1] * f.m[1][2] - f.m[0][2] * f.m[1][1];
  const Floats blur = splat(kBlur);
  const Floats det = fma(m01, m01, fma(m02, m02, fma(m12, m12, fma(blur, a + c, blur * blur))));
  return {a + blur, b, c + blur, det};
}

GSPC_INLINE Ints lane_index(std::int64_t begin, std::int64_t end) {
  int index[kLanes];
  for (int l = 0; l < kLanes; ++l) index[l] = static_cast<int>(begin + l < end ? begin + l : end - 1);
  return load(index);
}

// log2 in double, one lane: libm has no vector version we may count on, and this runs once per Gaussian.
float log2_of(float x) { return static_cast<float>(__builtin_log2(static_cast<double>(x))); }

}  // namespace

void raster_project(const Scene& scene, const View& view, std::int64_t begin, std::int64_t end,
                    float* records, std::int32_t* radii, float* depths) {
  const Limits lim = tangent_limits(view);
  for (std::int64_t i = begin; i < end; i += kLanes) {
    const Ints index = lane_index(i, end);
    const Footprint f = footprint(scene, view, lim, index);
    const Covariance cov = covariance(f);
    const Floats opacity = gather(scene.opacities, index, 1);
    const Floats red = gather(scene.colors, index, 3), green = gather(scene.colors + 1, index, 3),
                 blue = gather(scene.colors + 2, index, 3);
    const Floats mx = fma(f.j00, f.x, splat(view.cx)), my = fma(f.j11, f.y, splat(view.cy));
    // Zero times anything finite is zero: one comparison finds every inf and NaN.
    const Floats zero = splat(0.0f);
    Floats finite = (cov.a + cov.c) * zero + cov.det * zero + (mx + my) * zero + opacity * zero +
                    (red + green + blue) * zero;
    for (int k = 0; k < 3; ++k) finite = finite + f.scale[k] * zero;
    Mask seen = both(both(ge(f.z, splat(kNear)), ge(splat(kFar), f.z)), ge(opacity, splat(kMinAlpha)));
    seen = both(both(seen, gt(f.inv_norm, zero)), ge(finite, zero));
    if (bits(seen) == 0) {
      for (int l = 0; l < kLanes && i + l < end; ++l) radii[i + l] = 0;
      continue;
    }
    alignas(64) float lane[14][kLanes];
    store(lane[0], opacity);
    for (int l = 0; l < kLanes; ++l) lane[1][l] = lane[0][l] >= kMinAlpha ? log2_of(lane[0][l]) : 0.0f;
    const Floats log_opacity = load(lane[1]);
    // Squared Mahalanobis radius at which alpha falls below 1/255; for the tile tests slightly enlarged
    // against rounding.
    const Floats exact = vmax(log_opacity + splat(-kLog2MinAlpha), zero) * splat(1.3862944f);
    const Floats level = exact + splat(1e-4f);
    const Floats reach = vmin(splat(3.33f), vsqrt(exact));
    const Floats half_x = ceiling(reach * vsqrt(cov.a)), half_y = ceiling(reach * vsqrt(cov.c));
    seen = both(seen, both(gt(mx + half_x, zero), gt(splat(static_cast<float>(view.width)), mx - half_x)));
    seen = both(seen, both(gt(my + half_y, zero), gt(splat(static_cast<float>(view.height)), my - half_y)));
    seen = both(seen, gt(vmax(half_x, half_y), zero));
    const Floats inv_c = splat(1.0f) / cov.c;
    const Floats h = splat(-0.72134752f);  // -log2(e) / 2
    const Floats curve_y = h * inv_c, curve_u = h * cov.c / cov.det, slope = cov.b * inv_c;
    const Floats height = fma(vsqrt(level * cov.c), splat(1.00001f), splat(1e-3f));
    const Floats tip = cov.b * vsqrt(level / cov.a);
    Floats sound = curve_u * zero + slope * zero + tip * zero + height * zero;
    seen = both(seen, both(ge(sound, zero), gt(zero, curve_u)));
    store(lane[kX], mx);
    store(lane[kY], my);
    store(lane[kSlope], slope);
    store(lane[kCurveU], curve_u);
    store(lane[kCurveY], curve_y);
    store(lane[kLogOpacity], log_opacity);
    store(lane[kRed], red);
    store(lane[kGreen], green);
    store(lane[kBlue], blue);
    store(lane[kHeight], height);
    store(lane[kTip], tip);
    store(lane[kUnused], vmax(half_x, half_y));
    store(lane[12], f.z);
    const unsigned mask = bits(seen);
    for (int l = 0; l < kLanes && i + l < end; ++l) {
      if ((mask >> l & 1u) == 0) {
        radii[i + l] = 0;
        continue;
      }
      float* record = records + (i + l) * kRecord;
      for (int k = 0; k < kRecord; ++k) record[k] = lane[k][l];
      radii[i + l] = static_cast<std::int32_t>(lane[kUnused][l]);
      depths[i + l] = lane[12][l];
    }
  }
}

namespace {

struct Pull {  // gradients of one vector of Gaussians
  Floats mean[3], quat[4], scale[3];
};

// Back through pixel mean and 2D covariance (symmetric, full-matrix gradient va, vb, vc) to the parameters.
GSPC_INLINE Pull pull(const Footprint& f, const View& view, Floats vx, Floats vy, Floats va, Floats vb,
                      Floats vc) {
  Pull g;
  Floats vp[2][3], vrot[3][3];
  for (int i = 0; i < 2; ++i)
    for (int k = 0; k < 3; ++k) vp[i][k] = splat(0.0f);
  const Floats two = splat(2.0f);
  for (int k = 0; k < 3; ++k) {
    const Floats vm0 = two * fma(va, f.m[0][k], vb * f.m[1][k]);
    const Floats vm1 = two * fma(vb, f.m[0][k], vc * f.m[1][k]);
    g.scale[k] = fma(vm0, f.n[0][k], vm1 * f.n[1][k]);
    const Floats vn0 = vm0 * f.scale[k], vn1 = vm1 * f.scale[k];
    for (int j = 0; j < 3; ++j) {
      vp[0][j] = fma(vn0, f.rot[j][k], vp[0][j]);
      vp[1][j] = fma(vn1, f.rot[j][k], vp[1][j]);
      vrot[j][k] = fma(f.p[0][j], vn0, f.p[1][j] * vn1);
    }
  }
  const float* r = view.rotation;
  Floats vj00 = splat(0.0f), vj02 = vj00, vj11 = vj00, vj12 = vj00;
  for (int k = 0; k < 3; ++k) {
    vj00 = fma(vp[0][k], splat(r[k]), vj00);
    vj02 = fma(vp[0][k], splat(r[6 + k]), vj02);
    vj11 = fma(vp[1][k], splat(r[3 + k]), vj11);
    vj12 = fma(vp[1][k], splat(r[6 + k]), vj12);
  }
  // j00 = fx / z, j02 = -fx t / z with t = x / z or a constant.
  const Floats sx = zero_unless(f.free_x, splat(1.0f)), sy = zero_unless(f.free_y, splat(1.0f));
  const Floats ux = f.x * f.inv_z, uy = f.y * f.inv_z;
  const Floats cx = f.j00 * fnma(sx * vj02, f.inv_z, vx);
  const Floats cy = f.j11 * fnma(sy * vj12, f.inv_z, vy);
  const Floats tx_twice = fma(sx, ux, f.tx), ty_twice = fma(sy, uy, f.ty);
  const Floats cz = f.j00 * (-vx * ux + (vj02 * tx_twice - vj00) * f.inv_z) +
                    f.j11 * (-vy * uy + (vj12 * ty_twice - vj11) * f.inv_z);
  for (int k = 0; k < 3; ++k)
    g.mean[k] = fma(splat(r[k]), cx, fma(splat(r[3 + k]), cy, splat(r[6 + k]) * cz));

  const Floats w = f.quat[0], x = f.quat[1], y = f.quat[2], z = f.quat[3];
  Floats q[4];
  q[0] =
      two * (x * (vrot[2][1] - vrot[1][2]) + y * (vrot[0][2] - vrot[2][0]) + z * (vrot[1][0] - vrot[0][1]));
  q[1] = two * (y * (vrot[1][0] + vrot[0][1]) + z * (vrot[2][0] + vrot[0][2]) +
                w * (vrot[2][1] - vrot[1][2]) - two * x * (vrot[1][1] + vrot[2][2]));
  q[2] = two * (x * (vrot[1][0] + vrot[0][1]) + z * (vrot[2][1] + vrot[1][2]) +
                w * (vrot[0][2] - vrot[2][0]) - two * y * (vrot[0][0] + vrot[2][2]));
  q[3] = two * (x * (vrot[2][0] + vrot[0][2]) + y * (vrot[2][1] + vrot[1][2]) +
                w * (vrot[1][0] - vrot[0][1]) - two * z * (vrot[0][0] + vrot[1][1]));
  const Floats along = q[0] * w + q[1] * x + q[2] * y + q[3] * z;
  for (int k = 0; k < 4; ++k) g.quat[k] = fnma(along, f.quat[k], q[k]) * f.inv_norm;
  return g;
}

GSPC_INLINE void scatter(float* out, int stride, Floats value, unsigned mask, std::int64_t begin,
                         std::int64_t end) {
  alignas(64) float lane[kLanes];
  store(lane, value);
  for (int l = 0; l < kLanes && begin + l < end; ++l)
    out[(begin + l) * stride] = (mask >> l & 1u) != 0 ? lane[l] : 0.0f;
}

}  // namespace

void raster_project_backward(const State& state, const Scene& scene, std::int64_t begin, std::int64_t end,
                             const float* slots, const std::uint8_t* used, const Gradients& out) {
  const View& view = state.view;
  const Limits lim = tangent_limits(view);
  const std::int32_t* first_slot = state.first_slot.get();
  for (std::int64_t i = begin; i < end; i += kLanes) {
    alignas(64) float sums[kLanes][16] = {};
    unsigned mask = 0;
    for (int l = 0; l < kLanes && i + l < end; ++l) {
      for (std::int32_t s = first_slot[i + l]; s < first_slot[i + l + 1]; ++s) {
        if (used[s] == 0) continue;
        mask |= 1u << l;
        const float* slot = slots + static_cast<std::int64_t>(s) * kSlot;
        for (int k = 0; k < kMoments; ++k) sums[l][k] += slot[k];
      }
    }
    const Ints index = lane_index(i, end);
    Floats s[kMoments];
    for (int k = 0; k < kMoments; ++k) {
      alignas(64) float column[kLanes];
      for (int l = 0; l < kLanes; ++l) column[l] = sums[l][k];
      s[k] = load(column);
    }
    for (int k = 0; k < 3; ++k) scatter(out.colors + k, 3, s[kGradRed + k], mask, i, end);
    if (mask == 0) {
      for (int k = 0; k < 3; ++k) scatter(out.means + k, 3, s[0], 0, i, end);
      for (int k = 0; k < 4; ++k) scatter(out.quats + k, 4, s[0], 0, i, end);
      for (int k = 0; k < 3; ++k) scatter(out.scales + k, 3, s[0], 0, i, end);
      for (int k = 0; k < 2; ++k) scatter(out.means2d + k, 2, s[0], 0, i, end);
      scatter(out.opacities, 1, s[0], 0, i, end);
      continue;
    }
    const Footprint f = footprint(scene, view, lim, index);
    const Covariance cov = covariance(f);
    const Floats inv_det = splat(1.0f) / cov.det;
    const Floats ka = cov.c * inv_det, kb = -cov.b * inv_det, kc = cov.a * inv_det;  // the conic
    const Floats vx = fma(ka, s[kDx], kb * s[kDy]), vy = fma(kb, s[kDx], kc * s[kDy]);
    // dLoss / dcovariance = conic * moments * conic / 2
    const Floats half = splat(0.5f);
    const Floats r00 = fma(ka, s[kDxx], kb * s[kDxy]), r01 = fma(ka, s[kDxy], kb * s[kDyy]);
    const Floats r10 = fma(kb, s[kDxx], kc * s[kDxy]), r11 = fma(kb, s[kDxy], kc * s[kDyy]);
    const Floats va = half * fma(r00, ka, r01 * kb), vb = half * fma(r00, kb, r01 * kc),
                 vc = half * fma(r10, kb, r11 * kc);
    const Pull g = pull(f, view, vx, vy, va, vb, vc);
    for (int k = 0; k < 3; ++k) scatter(out.means + k, 3, g.mean[k], mask, i, end);
    for (int k = 0; k < 4; ++k) scatter(out.quats + k, 4, g.quat[k], mask, i, end);
    for (int k = 0; k < 3; ++k) scatter(out.scales + k, 3, g.scale[k], mask, i, end);
    scatter(out.means2d, 2, vx, mask, i, end);
    scatter(out.means2d + 1, 2, vy, mask, i, end);
    scatter(out.opacities, 1, s[kSum] / gather(scene.opacities, index, 1), mask, i, end);
  }
}

}  // namespace gspc::GSPC_ISA_NAMESPACE
