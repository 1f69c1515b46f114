/* What an eye sees of a decoded scene, for viewers on the web: built into pcgs.wasm beside the core.
 *
 * A view holds some anchors of one level. What does not depend on the eye is computed once, when it is made:
 * where the Gaussians lie, and what the features give the hidden layer. pcgs_view_look does the rest.
 * Gaussians are those alive at the level, by anchor, then offset; whatever the eye, they are the same M.
 * The results are laid out as textures hold them.
 */
#ifndef PCGS_VIEW_H
#define PCGS_VIEW_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pcgs_view pcgs_view;

typedef struct pcgs_view_sizes {
  int32_t anchors, features, offsets, hidden; /* N, F, K, H; H is that of one head */
} pcgs_view_sizes;

/* NULL when there is no memory. Arrays are those of pcgs.h: anchors [N, 3], features [N, F],
 * log_scales [N, 6], offsets [N, K, 3], levels [N, K]. weights: those of hidden [3H, F + 4],
 * opacity [K, H], color [3K, H] and cov [7K, H] one after another, each followed by its biases. All are
 * copied. */
pcgs_view* pcgs_view_make(const pcgs_view_sizes* sizes, const float* anchors, const float* features,
                          const float* log_scales, const float* offsets, const uint8_t* levels,
                          const float* weights, float distance_scale);
void pcgs_view_free(pcgs_view* view);

int32_t pcgs_view_count(const pcgs_view* view);      /* M */
const float* pcgs_view_means(const pcgs_view* view); /* [M, 3] */

/* Evaluates the heads for an eye; 1, or 0 for no view. */
int32_t pcgs_view_look(pcgs_view* view, float x, float y, float z);
const uint16_t* pcgs_view_shapes(const pcgs_view* view); /* [M, 8] half floats: scale, quaternion wxyz, 0 */
const uint16_t* pcgs_view_colors(const pcgs_view* view); /* [M, 4] half floats: RGB, opacity; 0: not drawn */

/* A camera to bake for. */
typedef struct pcgs_eye {
  float world_to_camera[12];                                 /* three rows of [R | t], OpenCV axes */
  float focal_x, focal_y, center_x, center_y, width, height; /* pixels */
} pcgs_eye;

/* Finds the plain Gaussians that look most like the scene from some cameras, with harmonics of a degree from
 * 0 to 3; 1, or 0 for no view, no camera, no such degree or no memory. */
int32_t pcgs_view_bake(pcgs_view* view, const pcgs_eye* cameras, int32_t count, int32_t degree);
/* [M, 8]: scale, quaternion wxyz, opacity; 0: no camera saw it. */
const float* pcgs_view_plain(const pcgs_view* view);
/* [M, (degree + 1)^2, 3] as 3DGS has them: color = 0.5 + sum over the basis. */
const float* pcgs_view_harmonics(const pcgs_view* view);

#ifdef __cplusplus
}
#endif

#endif
