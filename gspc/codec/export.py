"""From a trained model to integers: what the stream holds, nothing else. The only room of the codec that
imports torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gspc.codec import predict, step_table
from gspc.codec.ranking import Gains
from gspc.errors import InputError
from gspc.format import units
from gspc.format.scene import (
    IntegerLayer,
    IntegerNetwork,
    Networks,
    QuantizedHeads,
    QuantizedLayer,
    QuantizedResidualDecoder,
    QuantizedScene,
)
from gspc.format.shape import Attribute, StreamShape
from gspc.format.tile import tile_in
from gspc.model.anchors import POOL_UNITS, AnchorModel
from gspc.model.calibrate import calibrate
from gspc.model.context import ContextNets, TwoLayer
from gspc.model.heads import BLOCKS, RESIDUAL_OUTPUTS, GaussianHeads, linear
from gspc.model.masks import first_level
from gspc.model.storage import TrainedModel, load_model
from gspc.ops.mlp.rounding import HEAD_WEIGHT_LIMIT, INPUT_UNITS, row_scales

TRIT_ZERO_UNITS, TRIT_SIGN_UNITS, TRIT_CENTER = 4.0, 8.0, 32.0
TRIT_MEAN_UNITS = 16.0  # per step
WEIGHT_UNITS = 4.0  # of the mixtures' logits
MULTIPLIER_LIMIT = 32767
SYMBOL_LIMIT = 2**23 - 1
LATTICE = 16  # positions are moved by multiples of this, so that densification's lattices stay lattices


def export_model(source: Path | bytes, name: str = "model") -> QuantizedScene:
    """Quantizes a `model.pt`. Raises InputError when it is not one."""
    return export_trained(load_model(source, name))


def export_with_gains(source: Path | bytes, name: str = "model") -> tuple[QuantizedScene, Gains | None]:
    """A `model.pt` quantized, and what parts of the scene are worth, if that was measured. Raises InputError
    when it is not one."""
    trained = load_model(source, name)
    return export_trained(trained), export_gains(trained)


def export_gains(trained: TrainedModel) -> Gains | None:
    """What parts of the scene that `export_trained` gives are worth, if that was measured."""
    if trained.gains is None:
        return None
    kept = _kept(trained, first_level(trained.model.masks).numpy())
    found = trained.gains
    refined, fresh, anchors = (part.numpy()[kept] for part in (found.refined, found.fresh, found.anchors))
    return Gains(refined, fresh, anchors, found.swell)


@torch.no_grad()
def export_trained(trained: TrainedModel) -> QuantizedScene:
    """Quantizes a trained model as the stream will hold it: dead anchors dropped, networks in integers,
    attributes as symbols around the centers that those integer networks predict."""
    model = trained.model
    if not model.quantized:
        calibrate(model)
    level_of = first_level(model.masks).numpy()
    alive = _kept(trained, level_of)
    positions = model.positions.numpy()[alive].astype(np.int64)
    shift = positions.min(0) // LATTICE * LATTICE
    spec = model.grid.spec
    x, y, z = (int(v) for v in np.array(spec.box_low) - shift)
    grid = replace(spec, box_low=(x, y, z))
    positions = (positions - shift).astype(np.int32)
    signs = _grid_signs(model)
    networks = integer_networks(model)
    shape = replace(model.stream, grid=grid)
    values = model.shape.values(model.features, model.log_scales, model.offsets)
    symbols = _symbols(
        shape,
        [v.numpy()[alive] for v in values],
        *predict(shape, networks, signs, positions),
        model.shape.levels,
    )
    return QuantizedScene(
        shape=shape,
        levels=model.shape.levels,
        positions=positions,
        features=symbols[0],
        scaling=symbols[1],
        offsets=symbols[2].reshape(len(positions), -1, 3),
        gaussian_level=level_of[alive],
        grid_signs=signs,
        networks=networks,
        heads=_heads(model),
        origin=model.origin.numpy() + shift * model.voxel_size,
        voxel_size=model.voxel_size,
        background=trained.background,
        cameras=tuple(trained.frame.camera_to_canonical(camera) for camera in trained.cameras),
        rate_weights=model.shape.rate_weights,
        metadata=trained.metadata,
        frame=trained.frame,
    )


def _kept(trained: TrainedModel, level_of: NDArray[np.uint8]) -> NDArray[np.bool_]:  # [N, K] -> [N]
    """The anchors that the stream holds, by the levels at which their Gaussians appear. Raises InputError
    where none is left."""
    alive = level_of.any(1)
    if not alive.any():
        raise InputError("the model has no Gaussian left at any level; train with smaller --rate-weights")
    alive &= _owned(trained)
    if not alive.any():
        raise InputError("the model has no anchor in the box of its tile; fit the tile with more iterations")
    return alive


def _owned(trained: TrainedModel) -> NDArray[np.bool_]:  # [N]
    """The anchors that the stream is to hold: of a tile those in its box, since what lies around it was there
    for training alone and belongs to other tiles; else all."""
    model, tile = trained.model, tile_in(trained.metadata)
    if tile is None:
        return np.ones(model.anchors, np.bool_)
    own = model.origin.numpy() + model.positions.numpy().astype(np.float64) * model.voxel_size
    return tile.owns(trained.frame.to_user(own))


def _symbols(
    shape: StreamShape,
    values: list[NDArray[np.floating]],
    means: NDArray[np.int32],
    steps: NDArray[np.uint8],
    level: int,
) -> list[NDArray[np.int32]]:
    """Symbols at `level`: k = floor((v - mean) / q + 1/2), in double precision."""
    table = step_table()
    symbols, column = [], 0
    for i, (value, attribute) in enumerate(zip(values, shape.attributes, strict=True)):
        q0 = attribute.step_base
        mean = means[:, column : column + attribute.values] * (q0 / units.MEAN_RESOLUTION)
        column += attribute.values
        step = q0 * table[steps[:, i : i + 1]] / attribute.refinement(level)
        found = np.floor((value.astype(np.float64) - mean) / step + 0.5)
        symbols.append(np.clip(found, -SYMBOL_LIMIT, SYMBOL_LIMIT).astype(np.int32))
    return symbols


def _grid_signs(model: AnchorModel) -> tuple[NDArray[np.bool_], ...]:
    signs = (model.grid.embeddings >= 0).numpy()
    return tuple(np.split(signs, np.cumsum(model.grid.spec.entries)[:-1]))


def integer_networks(model: AnchorModel) -> Networks:
    """All networks that integers run, level gains baked into the multipliers of their hidden layers."""
    nets = model.context
    f, z, k3 = (attribute.values for attribute in nets.shape.attributes)
    levels = range(1, nets.levels + 1)
    plain = torch.ones(nets.shape.trunk_hidden)
    trunk = _hidden(nets.trunk, [plain, *(nets.trunk_gain(level) for level in levels)])
    octaves = torch.full((f + z,), float(units.SCALES_PER_OCTAVE))
    center_units = torch.cat(
        [
            torch.full((f + z + k3,), float(units.MEAN_RESOLUTION)),
            torch.full((k3,), float(units.SCALES_PER_OCTAVE)),
        ]
    )
    steps_units = torch.full((len(nets.shape.attributes),), float(units.STEP_RESOLUTION))
    return Networks(
        steps=IntegerNetwork(
            (
                _hidden(nets.steps, [torch.ones(nets.shape.steps_hidden)]),
                _output(nets.steps.second, nets.steps.units, steps_units),
            )
        ),
        trunk=IntegerNetwork((trunk,)),
        center=IntegerNetwork((_output(nets.trunk.second, nets.trunk.units, center_units),)),
        scale=IntegerNetwork((_output(nets.scale, nets.trunk.units, octaves),)),
        trits=tuple(_trit_network(nets, a) if a.hidden else None for a in nets.shape.attributes),
        groups=tuple(_group_network(nets, number) for number in range(1, len(nets.chunk_nets) + 1)),
        pool=_pool_network(model.pool),
    )


def _trit_network(nets: ContextNets, attribute: Attribute) -> IntegerNetwork:
    """Two outputs per value: logits of the three-way model, or mean and octaves of the unbounded one."""
    net, gain = nets.trit_net(attribute.name)
    count = attribute.values
    learned = attribute.trit_model == "learned"
    first = TRIT_ZERO_UNITS if learned else TRIT_MEAN_UNITS
    second = TRIT_SIGN_UNITS if learned else float(units.SCALES_PER_OCTAVE)
    outputs = torch.tensor([first] * count + [second] * count)
    center = torch.full_like(outputs, TRIT_CENTER if learned else 0.0)
    hidden = _hidden(net, [gain(level) for level in range(2, nets.levels + 1)])
    return IntegerNetwork((hidden, _output(net.second, net.units, outputs, center)))


def _group_network(nets: ContextNets, number: int) -> IntegerNetwork:
    """Means in units of Q0 / 64, scales in twelfths of an octave, weight logits in quarters."""
    net, gain = nets.chunk_net(number)
    own = net.second.out_features // 3
    kinds = (float(units.MEAN_RESOLUTION), float(units.SCALES_PER_OCTAVE), WEIGHT_UNITS)
    outputs = torch.tensor([unit for unit in kinds for _ in range(own)])
    out = _output(net.second, net.units, outputs)
    return IntegerNetwork((_hidden(net, [gain(level) for level in range(1, nets.levels + 1)]), out))


def _pool_network(pool: TwoLayer | None) -> IntegerNetwork | None:
    if pool is None:
        return None
    units = torch.full((pool.second.out_features,), float(POOL_UNITS))
    hidden = _hidden(pool, [torch.ones(pool.first.out_features)])
    return IntegerNetwork((hidden, _output(pool.second, pool.units, units)))


def _hidden(net: TwoLayer, gains: list[Tensor]) -> IntegerLayer:
    """First layer: inputs in 1/512, outputs in `net.units` per 1.0, one row of multipliers per gain."""
    weight, bias = net.first.weight, net.first.bias
    scale = row_scales(weight, bias)
    factors = torch.stack([scale[:, 0] / INPUT_UNITS * gain * net.units for gain in gains])
    return _layer(weight / scale, bias * INPUT_UNITS / scale[:, 0], factors)


def _output(
    layer: nn.Linear, units_in: Tensor, units_out: Tensor, center: Tensor | None = None
) -> IntegerLayer:
    """Second layer: inputs in `units_in` per 1.0; output j is an integer of `units_out[j]` per 1.0 plus
    `center[j]`."""
    bias = layer.bias if center is None else layer.bias + center / units_out
    scale = row_scales(layer.weight, bias, units_in)
    return _layer(
        layer.weight / scale, bias * units_in / scale[:, 0], (units_out * scale[:, 0] / units_in)[None]
    )


def _layer(weight: Tensor, bias: Tensor, factors: Tensor) -> IntegerLayer:
    """Rounds to integers; `factors` [V, out] become 15-bit multipliers over a shift per variant."""
    peak = factors.abs().amax(1).clamp_min(1e-12).double()
    shift = torch.floor(torch.log2(MULTIPLIER_LIMIT / peak)).clamp(1, 40)
    multiplier = torch.round(factors.double() * torch.exp2(shift)[:, None])
    multiplier = multiplier.clamp(-MULTIPLIER_LIMIT, MULTIPLIER_LIMIT)
    return IntegerLayer(
        weight=torch.round(weight).to(torch.int8).numpy(),
        bias=torch.round(bias.double()).to(torch.int32).numpy(),
        multiplier=multiplier.to(torch.int16).numpy(),
        shift=shift.to(torch.uint8).numpy(),
    )


def _heads(model: AnchorModel) -> QuantizedHeads:
    heads = model.heads
    layers = {name: linear(heads.second, name) for name in BLOCKS}
    first = [linear(heads.first, name) for name in BLOCKS]
    return QuantizedHeads(
        hidden=_heads_layer(torch.cat([f.weight for f in first]), torch.cat([f.bias for f in first])),
        **{name: _heads_layer(layer.weight, layer.bias) for name, layer in layers.items()},
        distance_scale=heads.distance_scale,
        residual=_residual_decoder(heads),
    )


def _residual_decoder(heads: GaussianHeads) -> QuantizedResidualDecoder | None:
    if not heads.residual_hidden:
        return None
    layers = {
        f"{name}_{part}": _heads_layer(linear(modules, name).weight, linear(modules, name).bias)
        for name in RESIDUAL_OUTPUTS
        for part, modules in (("hidden", heads.residual_first), ("out", heads.residual_second))
    }
    return QuantizedResidualDecoder(**layers)


def _heads_layer(weight: Tensor, bias: Tensor) -> QuantizedLayer:
    scale = _short(row_scales(weight))
    rounded = torch.round(weight / scale).clamp(-HEAD_WEIGHT_LIMIT, HEAD_WEIGHT_LIMIT)
    return QuantizedLayer(rounded.to(torch.int8).numpy(), scale[:, 0].numpy(), _short(bias).numpy())


def _short(values: Tensor) -> Tensor:
    """Floats with 11 bits of mantissa: half as many bytes in the stream, far below the error of the rounded
    weights."""
    mantissa, exponent = torch.frexp(values.detach().float())
    return torch.ldexp(torch.round(mantissa * 2**11) / 2**11, exponent)
