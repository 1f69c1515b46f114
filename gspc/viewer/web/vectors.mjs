// Vectors of three numbers, as arrays.

export const add = (a, b, times = 1) => [a[0] + times * b[0], a[1] + times * b[1], a[2] + times * b[2]];
export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
export const length = (a) => Math.sqrt(dot(a, a));
export const distance = (a, b) => length(add(a, b, -1));
export const scaled = (a, by) => [a[0] * by, a[1] * by, a[2] * by];
export const unit = (a) => scaled(a, 1 / (length(a) || 1));

/** `a` turned around the unit vector `axis` (Rodrigues' formula). */
export function turned(a, axis, radians) {
  const c = Math.cos(radians);
  const s = Math.sin(radians);
  const across = cross(axis, a);
  const along = dot(axis, a) * (1 - c);
  return [0, 1, 2].map((i) => a[i] * c + across[i] * s + axis[i] * along);
}

/** Some direction across `a`. */
export function across(a) {
  const least = [0, 1, 2].reduce((best, i) => (Math.abs(a[i]) < Math.abs(a[best]) ? i : best), 0);
  return unit(cross(a, [0, 1, 2].map((i) => (i === least ? 1 : 0))));
}
