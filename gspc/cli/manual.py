"""What the man pages say beyond the commands' own help; paragraphs in capitals are titles."""

from __future__ import annotations

EXIT_STATUS = (
    ("0", "Success. A truncated stream of which a level is whole is a success with a warning."),
    ("1", "A bug in gspc."),
    ("2", "Arguments that make no sense."),
    ("3", "A scene, checkpoint or image that cannot be used."),
    ("4", "A stream that is damaged, too new, beyond the limits, or cut before the level asked for."),
    ("5", "No such device, kernel or optional package on this machine, or no memory left."),
    ("6", "An output that exists, cannot be written, or does not fit on the disk."),
    ("129", "The terminal went away (SIGHUP). fit saves a checkpoint first."),
    ("130", "Interrupted with Ctrl-C. fit saves a checkpoint first."),
    ("141", "The reader of the output went away."),
    ("143", "Asked to end (SIGTERM), as a cluster does. fit saves a checkpoint first."),
)

TILE = """
BLOCKS

The vertical follows from how the photographs were taken. Columns divide the ground plane, rows each
column; all blocks have about as many points, and those at the edge reach to infinity. A block has the
photographs that were taken in it or that show it in a tenth of what they show, by COLMAP's tracks
where there are some. It has its own points, those around it and those that its photographs show: that
halo is for training alone, and gspc compress leaves out anchors outside of the tile's box. Without
--coarse each tile has networks, a grid and a lattice of its own.

FOLDERS

A folder has sparse/0, links in images/ and masks/ that lead to the scene's photographs relative to
the folder, and tile.json, which says which box of which scene the tile is. All folders appear, or
none does. -f replaces a folder that has nothing but tiles in it. Photographs that a scene keeps for
tests are in no tile.

With --coarse each folder has a link to that model, coarse.pt, from which gspc fit starts: what lies
around the tile is there from the beginning, and networks, grid and lattice stay those of the model in
all tiles, whose streams gspc join --share can then store without repeating them. Give the fits its
preset, ingredients and --levels.
"""

JOIN = """
TILES

Streams that are joined come from one run of gspc tile: their frames are equal, their boxes do not
overlap, their backgrounds are the same. They lie in the index's folder or below and are named
relative to it; links that lead out of it are not followed. Each stream is decoded once for each
level, to say what it takes to draw it.

SHARING

The folder of --share has a file for each tile, tile-N.part, which is its stream without what others
have, too, and shared.chunks with that. The index says which bytes belong where, and what their SHA-256
is; streams may then lie anywhere, and nothing reads them any more. The folder lies beside the index or
below. -f replaces a folder that an earlier join wrote, and nothing else.
"""

# Indented as the page that it begins.
RENDER = """
        TILES

        Of the index of a tiled scene (pcgsx(5)) a picture decodes the tiles that can touch it, one after
        another and no byte beyond the level that is drawn, and draws their Gaussians together. --max-memory
        is what decoded tiles and Gaussians take at most. Tiles stay decoded for the next picture as far as
        that goes. Where a picture would take more, its farthest tiles are drawn at a coarser level, which is
        said once.
"""

# What help has no room for: page -> sections, a paragraph in capitals being a title.
SECTIONS = {
    "gspc": """
        FILES

        A trained model (model.pt) is what gspc fit writes. A stream (.pcgs, see pcgs(5)) holds a scene in
        progressive levels, counted from 1, with everything needed to decode it. A decoded scene is a
        safetensors file with one level of it. Commands recognize the three by content, from a path or,
        with - or no name, from stdin.

        Data goes to stdout, everything else to stderr. Binary data is not written to a terminal. A file
        appears whole or not at all. A file that exists already is overwritten only with -f, which keeps its
        permissions; an input is never overwritten. What a killed run left beside its output is removed by the
        next one. /dev/stdout, /dev/fd/N and the shell's >(COMMAND) can be outputs. In a Makefile give -f:
        targets that are out of date exist.

        REPORTS

        With --json a command reports numbers: on stdout, or on stderr where stdout carries its result.
        --json FILE.json writes them into a file and leaves the rest as it is; other names are given as
        --json=FILE. -q leaves warnings and errors of the messages on stderr, -v adds what is done.

        WORDS

        A scene is made of 3D Gaussians, small soft ellipsoids with a color. They are not stored one by one:
        a scene stores anchors, points with some numbers each, and small neural networks, the heads, that
        make an anchor's Gaussians for a given view. The numbers of an anchor are its features, its scaling
        and the offsets of its Gaussians. A level adds anchors and Gaussians, and refines the numbers of those
        that were there: by a trit, a digit -1, 0 or 1, each number gets three times as exact.

        ENVIRONMENT

        GSPC_LPIPS_WEIGHTS names a directory with vgg16-397923af.pth, torchvision's VGG16, and vgg.pth of the
        package lpips, the weights that gspc eval needs for LPIPS, when torch's cache and that package do not
        have them.

        GSPC_CUDA_KERNELS=0 makes training on a GPU take torch's operations instead of gspc's own kernels,
        which nvcc builds at first use and GSPC_CACHE (by default gspc in the user's cache directory) keeps.
        These kernels repeat bit for bit; gsplat's, which draw, add gradients up in an order that timing
        decides, so that two fits on a GPU differ in the last digits. GSPC_ISA=base, v3 or v4 lowers the
        instruction set that the CPU's kernels use, AVX2 being v3 and AVX-512 v4.
        """,
    "fit": """
        RECIPES

        A preset is a recipe: a value for each ingredient below, of which --set NAME=VALUE replaces one. A
        TOML file for --config has the keys preset and, named as the options with _ for -, iterations, levels,
        rate_weights (a list), target_size (bytes), preview, resolution, images, hold, background,
        image_cache, masks, field, exif, cache, strict, cameras, voxel_size, max_anchors, seed, device,
        gpu_memory, threads, checkpoint_every, heads_precision and heads_backend, and a table [set] of
        ingredients. The file overrides the preset, the command line overrides both. The model and its streams
        name their preset and what was replaced.

        SCENES

        Cameras are read from a COLMAP model (binary or text, in sparse/0, sparse, dense/0/sparse,
        colmap/sparse/0, distorted/sparse/0 or SCENE itself; of several, the one with most images) or from
        transforms.json, transforms_train.json and transforms_test.json as nerfstudio, instant-ngp and
        Blender write them. Photographs are looked for in images/, input/ and the like, with other letter
        case, another suffix, or by the end of a path of another machine, never outside SCENE and DIR of
        --images. All camera models of COLMAP are read; those that bend lines are straightened with pycolmap
        (the extra gspc[colmap]), a panorama is cut into six views. Without points, training starts from
        random ones. Every Nth view by name, starting with the first, is held out for gspc eval; scenes with a
        split of their own, such as Blender's, keep it.

        What is mended or left out is said in one line each. Missing and damaged photographs are left out
        unless more than a tenth of them, or all but two, are; --strict refuses any. --dry-run shows what
        was understood.

        Masks are pictures of the photographs' shape in masks/, named NAME.png or as the photograph with
        .png after it, or what mask_path names in a transforms file: black pixels have no part in training
        and scores.

        Recordings of apps become scenes through their makers' or nerfstudio's tools: ns-process-data
        polycam, record3d, metashape or realitycapture write a transforms.json; Metashape and RealityCapture
        export to COLMAP, too. Of photographs alone, --reconstruct finds the cameras and keeps them in
        SCENE/sparse/0.

        SIZES

        --target-size makes the rate weights larger or smaller in the second half of a fit, as its stream
        would be too large or too small. At the end the stream's size is measured and the distance from the
        target said.

        CHECKPOINTS

        FILE.checkpoint beside the output is written every --checkpoint-every steps and on Ctrl-C, and
        removed when training is done. --resume goes on from it and asks for the same options. The same
        seed, device and number of threads give the same log.

        To compare settings without what chance makes of two fits, stop one with --pause-at and let others
        --branch off from its checkpoint: they see the same views in the same order. A branch may have other
        --rate-weights, --target-size, more --iterations and, by --set, what training weighs and when: the
        ingredients from coarsest_rate_weight on, and ranked. What the model consists of, photographs and
        seed stay as they were.
        """,
    "compress": """
        SIZES

        The bytes up to a level are where the file can be cut: its first so many bytes, from head -c for
        example, are a stream of that level. Level 1 of a model's stream has about a quarter of its bytes: the
        anchors that matter most, their Gaussians enlarged to cover the gaps. More anchors fill these up to
        two thirds of the levels, the others refine.

        --max-size takes of a model the parts of most use that fit. Of a stream it keeps the levels that fit,
        and of the next one the slices that fit, those with the most bytes first: there the scene is of that
        level, elsewhere of the one before. It never takes more bytes than it says; where not even level 1
        does, nothing is written and the exit status is 2.

        PARITY

        The stream of a model takes a third of a percent more, for chunks from which gspc decompress --salvage
        restores wrong bytes: bits that flipped on a disk, a few bytes overwritten. Readers that do not know
        them skip them. --no-parity leaves them out, --parity adds them to a stream that was made without.
        """,
    "decompress": """
        TRUNCATED STREAMS

        A stream that is cut short is decoded to its last whole level, with a warning and exit status 0. The
        exit status is 4 when --upto asks for a level that is not there, or when not even level 1 is.

        DAMAGED STREAMS

        A stream with a damaged chunk is refused. --salvage decodes what is left of it: every slice as far as
        its levels are whole. Wrong bytes are put right by the stream's parity (see gspc-compress(1)), a
        hundred of them at random places in most files; without it, a single one in a chunk by the chunk's
        checksum. What is lost is said by level and slice, with the share of anchors that is left. Header,
        grid, heads and the networks of level 1 are needed by all slices; where one of them is beyond repair
        nothing can be restored.

        PARTS

        --region keeps the anchors inside a box, in the coordinates of the cameras; their Gaussians may reach
        out of it. Of a file only the slices that can hold such anchors are read. INPUT may be a web address;
        a server that answers range requests sends only what is needed.

        DECODED SCENES

        Every scene that is written here can be drawn: a stream whose cameras, steps, origin or heads are not
        usable (pcgs(5), LIMITS) is refused.
        """,
    "eval": """
        SCORES

        Views that training held out are known by their names; --all scores the others, too. Masked pixels
        do not count. PSNR in dB, SSIM with an 11x11 Gaussian window and LPIPS with VGG16 on [0, 1] input
        are means over views. Photographs are read as in training unless options say otherwise. --json also
        says what the bytes up to a level are spent on: components of the file, and symbols by attribute.

        COMPARING CURVES

        An arm is FILE, FILE+FILE+..., or NAME= and either; its files are what --json wrote for streams of
        one scene, evaluated alike. All levels of all its files are points of its curve; --levels last takes
        the last one of each, --levels 1,3 the ones named. A point that is no smaller and no better than
        another one of its arm is left out, with a warning.

        BD-rate is the mean difference in bytes at equal PSNR, negative when the arm is smaller than the
        first; BD-PSNR the mean difference in dB at equal bytes. Both interpolate with PCHIP over the
        logarithm of the bytes and need 4 points of both arms and ranges that share 75 % of their union;
        otherwise the reason stands in place of the figure. Fixed bytes are all but those of positions,
        masks, symbols and chunk headers: they do not grow with the number of anchors.
        """,
    "export": """
        BAKING

        A scene's Gaussians look different from every place; other tools know only colors that change with
        direction. Each Gaussian gets the one opacity and shape that fit best what up to 16 of the suggested
        cameras see of it, weighted by what it contributes to their pictures, and harmonics that make these
        pictures agree. --refine goes on by gradient descent on everything but positions. The figure in dB
        compares what was written, read back, with the scene's own pictures from up to 12 suggested cameras.

        FORMATS

        ply is what 3D Gaussian Splatting itself writes: floats, nothing lost. compressed.ply (PlayCanvas,
        SuperSplat), spz (Niantic) and sog (PlayCanvas) are small and lose a little; spz keeps harmonics in
        5 or 6 bits within -1 to 1. glb is glTF with KHR_gaussian_splatting. splat has 32 bytes per Gaussian
        and no harmonics. ksplat can be read, too. Opacities in bytes end at 254, since other tools read 255
        as infinite.

        AXES

        A frame is three letters that say where x, y and z point: L or R, U or D, F or B. ply, compressed.ply,
        sog and splat usually have RDF, as cameras have; glb has LUF. The page of spz says RUB, which is
        written here, but PlayCanvas and several converters write RDF into it: where a scene stands on its
        head, --frame RDF helps, and --source-frame RDF for reading. Harmonics turn along.

        SPZ of version 4 needs zstd, which Python has from 3.14 on and the extra gspc[spz] brings to others.
        """,
    "inspect-bitstream": """
        LEVELS

        --levels shows for each level how many anchors and Gaussians it draws, as shares of all anchors of
        the last level and of all Gaussians that those could have, and the bytes that it adds: values of what
        is new (G), and trits that refine what was there (T). All values of a level are coded into one string
        of bytes; it is divided in proportion to what the model says that they cost. What belongs to no level
        is counted with level 1. Features are counted with the table of the feature pool that predicts them,
        if there is one that serves nothing else.

        MAP

        --map divides the scene into small cubes and draws a ball for each: its volume shows how many anchors
        are in the cube, its color the bits that the level adds there. A second row shows cubes with new
        anchors in red.
        """,
    "tile": TILE,
    "join": JOIN,
    "render": RENDER
    + """
        PATHS

        --path orbit goes once around the point that the cameras look at, at their median height and distance.
        --path spiral goes around twice and rises from the lower to the higher ones and back. Where all
        cameras stand on one side, both stay within the angles that they cover. --cameras gives other cameras
        than the suggested ones to start from.

        --path FILE takes what --cameras takes, a picture for each camera in the order of their names, or with
        --frames a curve through them; or a JSON list of key poses, each an object with position, look_at and,
        if wanted, up and field_of_view (degrees along the width), or with world_to_camera, size and
        intrinsics as decoded scenes have them. {"keys": [...], "loop": true} ends where it begins.

        Films lose a last row or column where their number is odd.

        COARSE

        Some scenes predict the features of an anchor from its position, with a table called the feature
        pool, and store only the difference, the residual features. --coarse sets those to zero and shows the
        prediction.
        """,
}
