// Included by network_isa.cpp in namespaces that define Vec and kTileRows; no include guard on purpose.

// A tile of kTileRows rows and N vectors of outputs stays in registers over all inputs.
template <size_t N>
inline void tile(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out, const int16_t* x,
                 size_t stride, int32_t* y) {
  Vec sum[kTileRows][N];
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t j = 0; j < N; ++j) sum[r][j] = Vec::load(bias + j * Vec::width);
  for (size_t p = 0; p < pairs; ++p) {
    Vec w[N];
    for (size_t j = 0; j < N; ++j) w[j] = Vec::load(weight + (p * out + j * Vec::width) * 2);
    for (size_t r = 0; r < kTileRows; ++r) {
      const Vec a = Vec::broadcast(x + r * stride + 2 * p);
      for (size_t j = 0; j < N; ++j) sum[r][j].add_products(a, w[j]);
    }
  }
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t j = 0; j < N; ++j) sum[r][j].store(y + r * out + j * Vec::width);
}

inline void linear_tiles(const int16_t* weight, const int32_t* bias, size_t pairs, size_t out,
                         const int16_t* x, size_t stride, size_t rows, int32_t* y) {
  for (size_t o = 0; o < out;) {
    const bool two = out - o >= 2 * Vec::width;
    for (size_t r = 0; r < rows; r += kTileRows) {
      if (two) tile<2>(weight + 2 * o, bias + o, pairs, out, x + r * stride, stride, y + r * out + o);
      else tile<1>(weight + 2 * o, bias + o, pairs, out, x + r * stride, stride, y + r * out + o);
    }
    o += two ? 2 * Vec::width : Vec::width;
  }
}
