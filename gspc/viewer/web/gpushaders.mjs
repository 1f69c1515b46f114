// The heads as shaders (pcgs(5), HEADS). Sizes are counted in vectors of four numbers: hidden units of one head, features.
//
// Textures: Anchors, Extents (one texel an anchor), Features (an anchor's, then the next one's), First (a column for four
// hidden units, a row for each feature, then direction, distance, bias), Prepared and Hidden (an anchor's units of all
// three heads, then the next one's), Second (a row for each output, its bias in the last column).

const COMMON = /* glsl */ `
ivec2 gspcAt(int texel, highp sampler2D from) {
    int width = textureSize(from, 0).x;
    return ivec2(texel % width, texel / width);
}
`;

const OWN_TEXEL = (hidden) => /* glsl */ `
    int texel = int(gl_FragCoord.y) * textureSize(gspcAnchors, 0).x + int(gl_FragCoord.x);
    int anchor = texel / ${3 * hidden};
    int unit = texel % ${3 * hidden};
`;

/** What the features give the hidden layer. All wide textures have rows of the same length. */
export const FEATURES_PASS = ({ hidden, features }) => /* glsl */ `
uniform highp sampler2D gspcAnchors;
uniform highp sampler2D gspcFeatures;
uniform highp sampler2D gspcFirst;
${COMMON}
void main(void) {
    ${OWN_TEXEL(hidden)}
    vec4 sum = texelFetch(gspcFirst, ivec2(unit, ${4 * features + 4}), 0);
    for (int i = 0; i < ${features}; i++) {
        vec4 x = texelFetch(gspcFeatures, gspcAt(anchor * ${features} + i, gspcFeatures), 0);
        for (int j = 0; j < 4; j++) sum += x[j] * texelFetch(gspcFirst, ivec2(unit, 4 * i + j), 0);
    }
    gl_FragColor = sum;
}
`;

/** The hidden layer as an eye has it. */
export const EYE_PASS = ({ hidden, features }) => /* glsl */ `
uniform highp sampler2D gspcAnchors;
uniform highp sampler2D gspcPrepared;
uniform highp sampler2D gspcFirst;
uniform vec3 gspcEye;
uniform float gspcDistanceScale;
${COMMON}
void main(void) {
    ${OWN_TEXEL(hidden)}
    vec3 seen = texelFetch(gspcAnchors, gspcAt(anchor, gspcAnchors), 0).xyz - gspcEye;
    float far = length(seen);
    vec4 x = vec4(seen / max(far, 1e-12), far * gspcDistanceScale);
    vec4 sum = texelFetch(gspcPrepared, ivec2(gl_FragCoord.xy), 0);
    for (int j = 0; j < 4; j++) sum += x[j] * texelFetch(gspcFirst, ivec2(unit, ${4 * features} + j), 0);
    gl_FragColor = max(sum, vec4(0.0));
}
`;

/** A Gaussian of the hidden layer, for the engine. links: anchor * 256 + number of the offset. */
export const readCode = ({ hidden, offsets }) => /* glsl */ `
uniform highp sampler2D gspcHidden;
uniform highp sampler2D gspcSecond;
uniform highp sampler2D gspcExtents;
vec4 gspcColor;
vec3 gspcScale;
vec4 gspcRotation;
${COMMON}
float gspcBias(int row) { return texelFetch(gspcSecond, ivec2(${hidden}, row), 0).x; }
float gspcTerm(int row, int at, vec4 units) { return dot(texelFetch(gspcSecond, ivec2(at, row), 0), units); }

void gspcEvaluate() {
    uint link = loadLinks().x;
    int anchor = int(link >> 8u);
    int k = int(link & 255u);
    int from = anchor * ${3 * hidden};
    gspcColor = vec4(0.0);
    gspcScale = vec3(0.0);
    gspcRotation = vec4(1.0, 0.0, 0.0, 0.0);
    float opacity = gspcBias(k);
    for (int i = 0; i < ${hidden}; i++) opacity += gspcTerm(k, i, texelFetch(gspcHidden, gspcAt(from + i, gspcHidden), 0));
    if (!(opacity > 0.0)) return;
    int row = ${offsets} + 3 * k;
    vec3 color = vec3(gspcBias(row), gspcBias(row + 1), gspcBias(row + 2));
    for (int i = 0; i < ${hidden}; i++) {
        vec4 units = texelFetch(gspcHidden, gspcAt(from + ${hidden} + i, gspcHidden), 0);
        color += vec3(gspcTerm(row, i, units), gspcTerm(row + 1, i, units), gspcTerm(row + 2, i, units));
    }
    row = ${4 * offsets} + 7 * k;
    vec3 gate = vec3(gspcBias(row), gspcBias(row + 1), gspcBias(row + 2));
    vec4 turn = vec4(gspcBias(row + 3), gspcBias(row + 4), gspcBias(row + 5), gspcBias(row + 6));
    for (int i = 0; i < ${hidden}; i++) {
        vec4 units = texelFetch(gspcHidden, gspcAt(from + ${2 * hidden} + i, gspcHidden), 0);
        gate += vec3(gspcTerm(row, i, units), gspcTerm(row + 1, i, units), gspcTerm(row + 2, i, units));
        turn += vec4(gspcTerm(row + 3, i, units), gspcTerm(row + 4, i, units), gspcTerm(row + 5, i, units), gspcTerm(row + 6, i, units));
    }
    gspcColor = vec4(1.0 / (1.0 + exp(-color)), tanh(min(opacity, 15.0)));
    gspcScale = texelFetch(gspcExtents, gspcAt(anchor, gspcExtents), 0).xyz / (1.0 + exp(-gate));
    gspcRotation = turn / max(length(turn), 1e-12);
}

vec3 getCenter() {
    gspcEvaluate();
    return loadMeans().xyz;
}
vec4 getColor() { return gspcColor; }
vec3 getScale() { return gspcScale; }
vec4 getRotation() { return gspcRotation; }
`;
