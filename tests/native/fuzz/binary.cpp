// The adaptive binary coder: whatever the bytes are, what was decoded is coded again and decodes to the same.
#include <cstdlib>
#include <memory>
#include <vector>

#include "codec/entropy/binary.hpp"

using namespace gspc;

namespace {

struct Models {
  BinaryModel bits[4];
  ExpGolombModel numbers[2];
};

// One value of each kind after another, as the plan's bytes say; both directions are this one traversal.
template <class Coder>
void traverse(Coder& coder, const std::vector<uint8_t>& plan, std::vector<uint32_t>& values) {
  const auto models = std::make_unique<Models>();
  for (size_t i = 0; i < plan.size(); ++i) {
    const uint32_t with = plan[i] >> 3, value = values[i];
    switch (plan[i] & 7) {
      case 0:
      case 1:
        values[i] = static_cast<uint32_t>(coder.bit(models->bits[with & 3], static_cast<int>(value)));
        break;
      case 2: values[i] = static_cast<uint32_t>(coder.code(1 + with * 2000, static_cast<int>(value))); break;
      case 3: values[i] = coder.raw(value, static_cast<int>(with)); break;
      case 4: values[i] = coder.uniform(value, 1 + with * 97); break;
      case 5:
        values[i] =
            static_cast<uint32_t>(coder.signed_number(models->numbers[0], static_cast<int32_t>(value)));
        break;
      default: values[i] = coder.number(models->numbers[1], value);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  const size_t count = std::min<size_t>(data[0], size - 1);
  const std::vector<uint8_t> plan(data + 1, data + 1 + count), bytes(data + 1 + count, data + size);
  std::vector<uint32_t> values(count);
  BinaryDecoder decoder(bytes.data(), bytes.size());
  traverse(decoder, plan, values);
  if (decoder.overrun()) return 0;  // no encoder wrote these bytes
  for (size_t i = 0; i < count; ++i)
    if ((plan[i] & 7) > 5 && values[i] == ~0u) return 0;  // beyond what the coder takes
  std::vector<uint32_t> coded = values, again(count);
  BinaryEncoder encoder;
  traverse(encoder, plan, coded);
  const std::vector<uint8_t> written = encoder.finish();
  BinaryDecoder second(written.data(), written.size());
  traverse(second, plan, again);
  if (again != values || second.overrun()) std::abort();
  return 0;
}
