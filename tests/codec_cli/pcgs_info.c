/* Reads a .pcgs stream from a file or standard input with nothing but pcgs.h and prints what it holds.
 * usage: pcgs_info [FILE|-] [upto] [threads]; exit 4 when the stream cannot be read. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/api/pcgs.h"

static unsigned char* read_all(FILE* file, size_t* size) {
  size_t capacity = 1 << 16;
  unsigned char* data = malloc(capacity);
  *size = 0;
  while (data != NULL) {
    const size_t got = fread(data + *size, 1, capacity - *size, file);
    *size += got;
    if (got == 0) return data;
    if (*size == capacity) data = realloc(data, capacity *= 2);
  }
  return NULL;
}

static double sum(const float* values, size_t n) {
  double total = 0;
  for (size_t i = 0; i < n; ++i) total += values[i];
  return total;
}

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "-";
  FILE* file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
  if (file == NULL) {
    fprintf(stderr, "pcgs_info: cannot open %s\n", name);
    return 3;
  }
  size_t size;
  unsigned char* data = read_all(file, &size);
  pcgs_options options = {argc > 2 ? atoi(argv[2]) : 0, argc > 3 ? atoi(argv[3]) : 1, 0};
  char error[256];
  pcgs_scene* scene = pcgs_decode(data, size, &options, error, sizeof error);
  free(data);
  if (scene == NULL) {
    fprintf(stderr, "pcgs_info: error: %s\n", error);
    return 4;
  }
  const size_t n = pcgs_anchor_count(scene);
  const size_t f = (size_t)pcgs_feature_count(scene), k = (size_t)pcgs_offset_count(scene);
  printf("level %d of %d%s\n", (int)pcgs_level(scene), (int)pcgs_levels_in_file(scene),
         pcgs_truncated(scene) ? " (truncated)" : "");
  printf("hash %016" PRIx64 "\n", pcgs_symbol_hash(scene));
  printf("anchors %zu features %zu offsets %zu\n", n, f, k);
  printf("sums %.6g %.6g %.6g %.6g\n", sum(pcgs_anchors(scene), n * 3), sum(pcgs_features(scene), n * f),
         sum(pcgs_log_scales(scene), n * 6), sum(pcgs_offsets(scene), n * k * 3));
  printf("residuals %d\n", (int)pcgs_residual_count(scene));
  static const char* const layers[] = {"hidden", "opacity", "color", "cov"};
  for (int which = PCGS_HIDDEN; which <= PCGS_COV; ++which) {
    const pcgs_layer layer = pcgs_head(scene, which);
    printf("%s %d x %d, sums %.6g %.6g\n", layers[which], (int)layer.outputs, (int)layer.inputs,
           sum(layer.weight, (size_t)layer.outputs * (size_t)layer.inputs),
           sum(layer.bias, (size_t)layer.outputs));
  }
  printf("cameras %zu%s%s\n", pcgs_camera_count(scene), pcgs_camera_count(scene) > 0 ? " first " : "",
         pcgs_camera_count(scene) > 0 ? pcgs_camera_at(scene, 0).name : "");
  printf("metadata %s\n", pcgs_metadata(scene));
  pcgs_free(scene);
  return 0;
}
