/* What pcgs.h promises about NULL and short buffers. Reads a whole stream on stdin; prints "ok" or the line
 * that fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/api/pcgs.h"

#define CHECK(condition)                             \
  do {                                               \
    if (!(condition)) {                              \
      printf("line %d: %s\n", __LINE__, #condition); \
      return 1;                                      \
    }                                                \
  } while (0)

static int null_scene(void) {
  float rgb[3] = {1, 1, 1};
  const pcgs_layer head = pcgs_head(NULL, PCGS_HIDDEN);
  const pcgs_camera camera = pcgs_camera_at(NULL, 0);
  pcgs_free(NULL);
  CHECK(pcgs_level(NULL) == 0 && pcgs_levels_in_file(NULL) == 0 && pcgs_truncated(NULL) == 0);
  CHECK(pcgs_symbol_hash(NULL) == 0 && pcgs_anchor_count(NULL) == 0);
  CHECK(pcgs_feature_count(NULL) == 0 && pcgs_residual_count(NULL) == 0 && pcgs_offset_count(NULL) == 0);
  CHECK(pcgs_anchors(NULL) == NULL && pcgs_features(NULL) == NULL && pcgs_log_scales(NULL) == NULL);
  CHECK(pcgs_offsets(NULL) == NULL && pcgs_gaussian_levels(NULL) == NULL);
  CHECK(head.inputs == 0 && head.outputs == 0 && head.weight == NULL && head.bias == NULL);
  CHECK(pcgs_distance_scale(NULL) == 0 && pcgs_camera_count(NULL) == 0 &&
        strcmp(pcgs_metadata(NULL), "") == 0);
  CHECK(camera.width == 0 && strcmp(camera.name, "") == 0);
  pcgs_background(NULL, rgb);
  pcgs_background(NULL, NULL);
  CHECK(rgb[0] == 0 && rgb[1] == 0 && rgb[2] == 0);
  return 0;
}

static int short_buffers(const unsigned char* data, size_t size) {
  char error[8] = "xxxxxxx";
  pcgs_options options = {-1, 1, 0};
  CHECK(pcgs_decode(NULL, 0, NULL, NULL, 0) == NULL);
  CHECK(pcgs_decode(NULL, 12, NULL, error, sizeof error) == NULL && strcmp(error, "no data") == 0);
  CHECK(pcgs_decode(data, 0, NULL, error, sizeof error) == NULL && strcmp(error, "the str") == 0);
  memset(error, 'x', sizeof error);
  CHECK(pcgs_decode("hello", 5, NULL, error, 1) == NULL && error[0] == 0 && error[1] == 'x');
  error[0] = 'y';
  CHECK(pcgs_decode("hello", 5, NULL, error, 0) == NULL && error[0] == 'y');
  CHECK(pcgs_decode("hello", 5, NULL, NULL, 100) == NULL);
  CHECK(pcgs_decode(data, size, &options, error, sizeof error) == NULL && strcmp(error, "levels ") == 0);
  options.upto = 9;
  CHECK(pcgs_decode(data, size, &options, error, sizeof error) == NULL);
  options.upto = 0;
  options.max_memory = 100;
  CHECK(pcgs_decode(data, size, &options, error, sizeof error) == NULL && strcmp(error, "decodin") == 0);
  for (size_t n = 0; n < 1000 && n < size;
       ++n) { /* the exact bytes, so that a sanitizer sees reads beyond them */
    unsigned char* part = malloc(n + 1);
    memcpy(part, data, n);
    CHECK(pcgs_decode(part, n, NULL, error, sizeof error) == NULL && strlen(error) == 7);
    free(part);
  }
  return 0;
}

static int whole_scene(const unsigned char* data, size_t size) {
  pcgs_scene* scene = pcgs_decode(data, size, NULL, NULL, 0);
  CHECK(scene != NULL);
  for (int which = -2; which < 7; ++which) {
    const pcgs_layer head = pcgs_head(scene, which);
    CHECK((head.weight != NULL) == (which >= PCGS_HIDDEN && which <= PCGS_COV));
  }
  CHECK(pcgs_camera_count(scene) == 2 && pcgs_camera_at(scene, 1).width > 0);
  CHECK(strcmp(pcgs_camera_at(scene, 2).name, "") == 0 && pcgs_camera_at(scene, (size_t)-1).width == 0);
  pcgs_background(scene, NULL);
  pcgs_free(scene);
  return 0;
}

static int null_reader(void) {
  double box[6];
  const pcgs_range range = pcgs_wanted(NULL);
  pcgs_close(NULL);
  CHECK(pcgs_feed(NULL, "x", 1) == 0 && pcgs_feed_at(NULL, 0, "x", 1) == 0);
  CHECK(range.offset == 0 && range.size == 0 && pcgs_slice_range(NULL, 1, 0).size == 0);
  CHECK(pcgs_next_level(NULL) == 0 && pcgs_ready(NULL) == 0 && pcgs_levels(NULL) == 0);
  CHECK(pcgs_take_level(NULL) == NULL && pcgs_take_slices(NULL) == NULL);
  CHECK(strcmp(pcgs_error(NULL), "") == 0 && pcgs_level_end(NULL, 1) == 0);
  CHECK(pcgs_slice_count(NULL) == 0 && pcgs_slice_box(NULL, 0, box) == 0);
  CHECK(pcgs_choose_slices(NULL, NULL, 0) == 0);
  return 0;
}

static int early_questions(void) {
  const pcgs_options options = {-1, 1, 0};
  double box[6];
  pcgs_reader* reader = pcgs_open(&options);
  CHECK(reader != NULL && strcmp(pcgs_error(reader), "levels count from 1") == 0);
  CHECK(pcgs_feed(reader, "x", 1) == 0 && pcgs_next_level(reader) == 0 && pcgs_wanted(reader).size == 0);
  pcgs_close(reader);
  reader = pcgs_open(NULL);
  CHECK(reader != NULL && strcmp(pcgs_error(reader), "") == 0);
  CHECK(pcgs_next_level(reader) == 1 && pcgs_ready(reader) == 0 && pcgs_wanted(reader).size == 36);
  CHECK(pcgs_levels(reader) == 0 && pcgs_slice_count(reader) == 0 && pcgs_slice_box(reader, 0, box) == 0);
  CHECK(pcgs_level_end(reader, 1) == 0 && pcgs_slice_range(reader, 1, 0).size == 0);
  CHECK(pcgs_choose_slices(reader, NULL, 0) == 0 && pcgs_take_slices(reader) == NULL);
  CHECK(pcgs_take_level(reader) == NULL && strcmp(pcgs_error(reader), "level 1 is not whole yet") == 0);
  CHECK(pcgs_feed(reader, NULL, 5) == 1 && pcgs_feed(reader, "x", 0) == 1);
  CHECK(pcgs_feed(reader, "hello world!", 12) == 0 && strstr(pcgs_error(reader), "bad magic") != NULL);
  CHECK(pcgs_wanted(reader).size == 0 && pcgs_take_level(reader) == NULL);
  pcgs_close(reader);
  reader = pcgs_open(NULL);
  CHECK(pcgs_feed_at(reader, UINT64_MAX, "xx", 2) == 0 && strstr(pcgs_error(reader), "end") != NULL);
  pcgs_close(reader);
  return 0;
}

/* The loop that pcgs.h shows, and scenes that outlive their reader. */
static int level_by_level(const unsigned char* data, size_t size) {
  pcgs_reader* reader = pcgs_open(NULL);
  pcgs_scene* scenes[3] = {NULL, NULL, NULL};
  double box[6];
  int taken = 0;
  while (pcgs_next_level(reader)) {
    const pcgs_range need = pcgs_wanted(reader);
    if (need.size) {
      CHECK(need.offset + need.size <= size && strcmp(pcgs_error(reader), "") == 0);
      CHECK(pcgs_feed_at(reader, need.offset, data + need.offset, (size_t)need.size));
    } else {
      CHECK(pcgs_ready(reader) && taken < 3 && pcgs_level_end(reader, taken + 1) <= size);
      scenes[taken] = pcgs_take_level(reader);
      CHECK(scenes[taken] != NULL && pcgs_level(scenes[taken]) == taken + 1);
      ++taken;
    }
  }
  CHECK(taken == 3 && pcgs_levels(reader) == 3 && pcgs_level_end(reader, 3) == size);
  CHECK(pcgs_level_end(reader, 0) == 0 && pcgs_level_end(reader, 4) == 0);
  CHECK(pcgs_slice_box(reader, 0, box) == 1 && box[0] <= box[3] && pcgs_slice_box(reader, 0, NULL) == 0);
  CHECK(pcgs_slice_box(reader, pcgs_slice_count(reader), box) == 0);
  CHECK(pcgs_slice_range(reader, 1, 0).size > 0 && pcgs_slice_range(reader, 9, 0).size == 0);
  CHECK(pcgs_take_level(reader) == NULL && pcgs_choose_slices(reader, data, 0) == 0);
  pcgs_close(reader);
  for (int i = 0; i < 3; ++i) {
    const pcgs_options options = {i + 1, 1, 0};
    pcgs_scene* whole = pcgs_decode(data, size, &options, NULL, 0);
    const size_t n = pcgs_anchor_count(scenes[i]), f = (size_t)pcgs_feature_count(scenes[i]);
    CHECK(pcgs_symbol_hash(whole) == pcgs_symbol_hash(scenes[i]) && pcgs_anchor_count(whole) == n);
    CHECK(memcmp(pcgs_features(whole), pcgs_features(scenes[i]), n * f * sizeof(float)) == 0);
    CHECK(pcgs_truncated(scenes[i]) == 0 && pcgs_levels_in_file(scenes[i]) == 3);
    pcgs_free(whole);
    pcgs_free(scenes[i]);
  }
  return 0;
}

static int32_t never(void* asked) {
  ++*(int*)asked;
  return 0;
}

static int32_t always(void* asked) {
  ++*(int*)asked;
  return 1;
}

static int costs_and_limits(const unsigned char* data, size_t size) {
  char error[64] = "";
  const pcgs_options first = {1, 1, 0};
  pcgs_cost all = {0, 0}, one = {0, 0};
  int asked = 0;
  CHECK(pcgs_estimate(data, size, NULL, &all, error, sizeof error) == 1 && all.memory > 0 && all.work > 0);
  CHECK(pcgs_estimate(data, size, &first, &one, NULL, 0) == 1 && one.work < all.work);
  CHECK(pcgs_estimate(data, size, NULL, NULL, NULL, 0) == 1);
  CHECK(pcgs_estimate("hello", 5, NULL, &all, error, sizeof error) == 0 &&
        strstr(error, "bad magic") != NULL);
  pcgs_limit_work(NULL, 1);
  pcgs_on_work(NULL, never, NULL);
  pcgs_reader* reader = pcgs_open(NULL);
  pcgs_limit_work(reader, one.work);
  pcgs_on_work(reader, never, &asked);
  CHECK(pcgs_feed(reader, data, size));
  pcgs_scene* scene = pcgs_take_level(reader);
  CHECK(scene != NULL && asked > 0);
  CHECK(pcgs_take_level(reader) == NULL && strstr(pcgs_error(reader), "of work") != NULL);
  pcgs_close(reader);
  pcgs_free(scene);
  reader = pcgs_open(NULL);
  pcgs_on_work(reader, always, &asked);
  CHECK(pcgs_feed(reader, data, size));
  CHECK(pcgs_take_level(reader) == NULL && strcmp(pcgs_error(reader), "canceled") == 0);
  CHECK(pcgs_take_level(reader) == NULL);
  pcgs_close(reader);
  reader = pcgs_open(NULL);
  pcgs_on_work(reader, always, &asked);
  pcgs_on_work(reader, NULL, NULL);
  CHECK(pcgs_feed(reader, data, size) && (scene = pcgs_take_level(reader)) != NULL);
  pcgs_close(reader);
  pcgs_free(scene);
  return 0;
}

int main(void) {
  static unsigned char data[1 << 16];
  const size_t size = fread(data, 1, sizeof data, stdin);
  if (null_scene() || short_buffers(data, size) || whole_scene(data, size)) return 1;
  if (null_reader() || early_questions() || level_by_level(data, size)) return 1;
  if (costs_and_limits(data, size)) return 1;
  puts("ok");
  return 0;
}
