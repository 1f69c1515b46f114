"""The two-layer network: values and gradients as in the readable definition, hostile values, any number of
threads, and what is refused."""

import pytest
import torch

from gspc.ops.kernels import kernels
from gspc.ops.mlp import TwoLayerWeights, definition, two_layers


def two_layer(x, *network):
    return two_layers(x, [TwoLayerWeights(*network)])[0]


def arguments(rows, inputs, hidden, outputs, dtype=torch.float32):
    rng = torch.Generator().manual_seed(rows + inputs)
    shapes = ((rows, inputs), (hidden, inputs), (hidden,), (outputs, hidden), (outputs,))
    scales = (1.0, inputs**-0.5, 0.3, hidden**-0.5, 0.3)
    return [
        (torch.randn(shape, generator=rng) * scale).to(dtype).requires_grad_()
        for shape, scale in zip(shapes, scales, strict=True)
    ]


def run(function, values):
    y = function(*values)
    rng = torch.Generator().manual_seed(1)
    (y * torch.randn(y.shape, generator=rng).to(y.dtype)).sum().backward()
    return [y.detach(), *(value.grad for value in values)]


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1, 1), (95, 96, 32, 3), (97, 128, 64, 64), (700, 102, 18, 12), (7000, 20, 40, 5)]
)
def test_values_and_gradients_are_the_definition(isa, sizes):
    found = run(two_layer, arguments(*sizes))
    want = run(definition.two_layer, arguments(*sizes, dtype=torch.float64))
    for got, exact in zip(found, want, strict=True):
        limit = 3e-6 * max(float(exact.abs().max()), 1.0)
        torch.testing.assert_close(got, exact.float(), rtol=2e-5, atol=limit)


def test_only_what_is_asked_for_gets_a_gradient():
    values = arguments(50, 8, 16, 4)
    values[0].requires_grad_(False)
    two_layer(*values).sum().backward()
    assert values[0].grad is None and all(value.grad is not None for value in values[1:])
    with torch.no_grad():
        assert not two_layer(*values).requires_grad


SEVERAL = ((18, 12), (64, 32), (5, 3))  # hidden, outputs


@pytest.mark.parametrize("inputs", [96, 102])
def test_networks_of_the_same_rows(isa, inputs):
    """Values and gradients of three networks are the definition's; that of the rows is their sum's."""
    made = [arguments(700, inputs, hidden, outputs) for hidden, outputs in SEVERAL]
    x = made[0][0]
    found, grads = [], []
    for exact in (False, True):
        rows = x.detach().to(torch.float64 if exact else torch.float32).requires_grad_()
        weights = [[w.detach().to(rows.dtype).requires_grad_() for w in values[1:]] for values in made]
        if exact:
            outputs = [definition.two_layer(rows, *network) for network in weights]
        else:
            outputs = two_layers(rows, [TwoLayerWeights(*network) for network in weights])
        sum((y**3).sum() for y in outputs).backward()
        found.append([y.detach() for y in outputs])
        grads.append([rows.grad, *(w.grad for network in weights for w in network)])
    for got, want in zip((*found[0], *grads[0]), (*found[1], *grads[1]), strict=True):
        limit = 3e-6 * max(float(want.abs().max()), 1.0)
        torch.testing.assert_close(got, want.float(), rtol=5e-5, atol=limit)


def test_rows_of_an_index_are_fetched(isa):
    """Any order, with repeats: bit for bit what the gathered rows give."""
    x, *weights = arguments(300, 20, 16, 4)
    x = x.detach()
    index = torch.randint(300, (1000,), generator=torch.Generator().manual_seed(2))
    index[100:400] = torch.arange(300)  # whole blocks of neighbors, which are read where they lie
    found = []
    for rows, chosen in ((x, index), (x[index], None)):
        network = TwoLayerWeights(*(w.detach().requires_grad_() for w in weights))
        other = TwoLayerWeights(*(w.detach().requires_grad_() for w in weights))
        a, b = two_layers(rows, [network, other], chosen)
        ((a**2).sum() + b.sum()).backward()
        found.append([a, b, *(w.grad for net in (network, other) for w in net[:4])])
    assert found[0][0].shape == (1000, 4)
    assert all(torch.equal(got, want) for got, want in zip(*found, strict=True))


def test_a_bad_index_is_refused():
    x, *weights = (value.detach() for value in arguments(30, 10, 12, 6))
    network = TwoLayerWeights(*weights)
    for bad in ([30], [-1]):
        with pytest.raises(ValueError, match="index is out of range"):
            two_layers(x, [network], torch.tensor(bad))
    with pytest.raises(ValueError, match=r"index is torch\.int32"):
        two_layers(x, [network], torch.tensor([1], dtype=torch.int32))
    with pytest.raises(ValueError, match="no gradient"):
        two_layers(x.clone().requires_grad_(), [network], torch.tensor([1]))
    with torch.no_grad():
        assert len(two_layers(x.clone().requires_grad_(), [network], torch.tensor([1]))[0]) == 1
    with pytest.raises(ValueError, match="no network"):
        two_layers(x, [])


def test_no_rows():
    values = arguments(0, 8, 16, 4)
    found = run(two_layer, values)
    assert found[0].shape == (0, 4) and not any(value.abs().sum() for value in found[1:])
    x, *weights = arguments(30, 8, 16, 4)
    none = torch.zeros(0, dtype=torch.int64)
    (y,) = two_layers(x.detach(), [TwoLayerWeights(*weights)], none)
    y.sum().backward()
    assert y.shape == (0, 4) and not any(weight.grad.abs().sum() for weight in weights)


def test_hostile_values(isa):
    values = arguments(40, 8, 16, 4)
    with torch.no_grad():
        values[0][3] = 1e30
        values[0][5, 2] = float("nan")
        values[0][9] = 0.0
    found, want = (
        run(f, [v.detach().clone().requires_grad_() for v in values])
        for f in (two_layer, definition.two_layer)
    )
    assert found[0].isnan().any(1).nonzero().flatten().tolist() == [5]
    torch.testing.assert_close(found[0], want[0], equal_nan=True, rtol=1e-4, atol=1e-5)
    kept = [i for i in range(40) if i != 5]
    torch.testing.assert_close(found[1][kept], want[1][kept], rtol=1e-4, atol=1e-5)


def test_same_bits_for_any_number_of_threads(isa):
    results = []
    index = torch.randint(20_000, (15_000,), generator=torch.Generator().manual_seed(3))
    for threads in (1, 3):
        torch.set_num_threads(threads)
        result = run(two_layer, arguments(20_000, 24, 32, 3))
        x, *first = arguments(20_000, 24, 32, 3)
        _, *second = arguments(10, 24, 18, 5)
        found = two_layers(x.detach(), [TwoLayerWeights(*first), TwoLayerWeights(*second)], index)
        sum((y**2).sum() for y in found).backward()
        results.append([*result, *found, *(weight.grad for weight in (*first, *second))])
    torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_views_are_fine():
    x, w1, b1, w2, b2 = (value.detach() for value in arguments(30, 10, 12, 6))
    assert torch.equal(two_layer(x.T.contiguous().T, w1, b1, w2, b2), two_layer(x, w1, b1, w2, b2))
    wide = two_layer(x, w1, b1, w2, b2).requires_grad_()
    assert wide.shape == (30, 6)


def test_arguments_that_do_not_fit_are_refused():
    x, w1, b1, w2, b2 = (value.detach() for value in arguments(30, 10, 12, 6))
    with pytest.raises(ValueError, match=r"b1 has shape \(11,\), expected \(12,\)"):
        two_layer(x, w1, b1[:11], w2, b2)
    with pytest.raises(ValueError, match=r"x has shape \(30, 9\)"):
        two_layer(x[:, :9], w1, b1, w2, b2)
    with pytest.raises(ValueError, match=r"w2 is torch\.float64"):
        two_layer(x, w1, b1, w2.double(), b2)
    with pytest.raises(ValueError, match="matrices"):
        two_layer(x[0], w1, b1, w2, b2)
    arrays = [value.numpy() for value in (w1, b1, w2, b2)]
    narrow, y = torch.empty(30, 12).numpy(), torch.empty(30, 6).numpy()
    with pytest.raises(ValueError, match="mlp"):
        kernels().mlp_forward(x.numpy(), None, [arrays], [narrow], [y])
    with pytest.raises(ValueError, match="mlp"):
        kernels().mlp_forward(x.numpy(), None, [], [], [])
