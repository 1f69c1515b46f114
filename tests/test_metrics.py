"""PSNR, SSIM and LPIPS against values computed by hand or by independent means."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gspc import metrics
from gspc.errors import InputError


def pictures(height: int = 24, width: int = 31, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.random((height, width, 3), dtype=np.float32)
    return a, np.clip(a + 0.1 * rng.standard_normal(a.shape), 0, 1).astype(np.float32)


def test_psnr_by_hand() -> None:
    black = np.zeros((4, 5, 3), np.float32)
    assert metrics.psnr(black, black + np.float32(0.5)) == pytest.approx(20 * math.log10(2), abs=1e-12)
    one_pixel = black.copy()
    one_pixel[1, 2, 0] = 1
    assert metrics.psnr(black, one_pixel) == pytest.approx(10 * math.log10(60), abs=1e-12)
    assert metrics.psnr(black, black) == math.inf


def test_psnr_clamps_and_reads_bytes() -> None:
    a = np.zeros((2, 2, 3), np.float32)
    b = np.ones((2, 2, 3), np.float32)
    assert metrics.psnr(a - 7, b + 7) == pytest.approx(0, abs=1e-12)
    byte = np.full((2, 2, 3), 51, np.uint8)
    assert metrics.psnr(a, byte) == pytest.approx(-20 * math.log10(0.2), abs=1e-6)
    assert metrics.psnr(byte, byte.astype(np.float32) / 255) == math.inf


@pytest.mark.parametrize("function", [metrics.psnr, metrics.ssim, metrics.lpips])
def test_shapes_must_match(function) -> None:
    a, _ = pictures()
    for b in (a[:-1], a[..., :1], a[0], a[:0]):
        with pytest.raises(ValueError, match=r"must be \[H, W, 3\]"):
            function(a, b)
    with pytest.raises(ValueError, match=r"must be \[H, W, 3\]"):
        function(a[:0], a[:0])


def direct_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Pixel by pixel from the definition, window by window."""
    taps = np.array([math.exp(-((i - 5) ** 2) / 4.5) for i in range(11)])
    window = np.outer(taps, taps) / taps.sum() ** 2
    total = 0.0
    for channel in range(3):
        x = np.pad(a[..., channel].astype(np.float64), 5)
        y = np.pad(b[..., channel].astype(np.float64), 5)
        for i in range(a.shape[0]):
            for j in range(a.shape[1]):
                p, q = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
                mp, mq = (window * p).sum(), (window * q).sum()
                vp, vq = (window * p * p).sum() - mp**2, (window * q * q).sum() - mq**2
                cov = (window * p * q).sum() - mp * mq
                upper = (2 * mp * mq + 1e-4) * (2 * cov + 9e-4)
                total += upper / ((mp**2 + mq**2 + 1e-4) * (vp + vq + 9e-4))
    return total / a.size


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (11, 11), (24, 31)])
def test_ssim_against_the_definition(size: tuple[int, int]) -> None:
    a, b = pictures(*size)
    expected = direct_ssim(a, b)
    assert metrics.reference_ssim(a, b) == pytest.approx(expected, abs=1e-12)
    assert metrics.ssim(a, b) == pytest.approx(expected, abs=2e-6)


def test_ssim_of_flat_pictures_by_hand() -> None:
    # Far from the border a window of constants has no variance: SSIM is the luminance term alone.
    a, b = np.full((41, 41, 3), 0.25, np.float32), np.full((41, 41, 3), 0.75, np.float32)
    inner = (2 * 0.25 * 0.75 + 1e-4) / (0.25**2 + 0.75**2 + 1e-4)
    assert metrics.ssim(a, a) == pytest.approx(1, abs=1e-6)
    # In float32 the variance of a constant is rounding beside C2: 0.56 * 6e-8 / 9e-4 = 4e-5.
    assert metrics.ssim(a, b) == pytest.approx(direct_ssim(a, b), abs=1e-4)
    assert abs(metrics.ssim(a, b) - inner) < 0.2


def test_ssim_clamps_and_reads_bytes() -> None:
    a, b = pictures()
    byte = np.round(255 * b).astype(np.uint8)
    assert metrics.ssim(a, byte) == pytest.approx(metrics.ssim(a, byte.astype(np.float32) / 255), abs=1e-7)
    assert metrics.ssim(a * 3 - 1, b) == pytest.approx(metrics.ssim(np.clip(a * 3 - 1, 0, 1), b), abs=1e-7)


BLOCKS = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)


@pytest.fixture(scope="module")
def lpips_weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """Random weights in the two files' formats, with the keys the originals have and a few more."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    vgg: dict[str, np.ndarray] = {"classifier.0.bias": np.zeros(4, np.float32)}
    indices = [index for block in BLOCKS for index in block]
    for i, index in enumerate(indices):
        fan_in, fan_out = CHANNELS[i], CHANNELS[i + 1]
        weight = rng.standard_normal((fan_out, fan_in, 3, 3), dtype=np.float32)
        vgg[f"features.{index}.weight"] = weight * np.float32(math.sqrt(2 / (9 * fan_in)))
        vgg[f"features.{index}.bias"] = 0.1 * rng.standard_normal(fan_out, dtype=np.float32)
    sizes = (64, 128, 256, 512, 512)
    lin = {f"lin{i}.model.1.weight": rng.random((1, n, 1, 1), dtype=np.float32) for i, n in enumerate(sizes)}
    directory = tmp_path_factory.mktemp("lpips")
    torch.save({key: torch.from_numpy(value) for key, value in vgg.items()}, directory / metrics.VGG_FILE)
    torch.save({key: torch.from_numpy(value) for key, value in lin.items()}, directory / metrics.LIN_FILE)
    return directory, vgg | lin


def numpy_lpips(weights: dict[str, np.ndarray], a: np.ndarray, b: np.ndarray) -> float:
    """The distance with nothing of torch: nine shifted matrix products per convolution, on [H, W, C]."""

    def features(image: np.ndarray) -> list[np.ndarray]:
        shift, scale = np.array([-0.030, -0.088, -0.188]), np.array([0.458, 0.448, 0.450])
        value, outputs = (image - shift) / scale, []
        for number, block in enumerate(BLOCKS):
            if number:
                h, w = value.shape[0] // 2, value.shape[1] // 2
                value = value[: 2 * h, : 2 * w].reshape(h, 2, w, 2, -1).max(axis=(1, 3))
            for index in block:
                weight, padded = weights[f"features.{index}.weight"], np.pad(value, ((1, 1), (1, 1), (0, 0)))
                h, w = value.shape[:2]
                value = sum(
                    padded[i : i + h, j : j + w] @ weight[:, :, i, j].T for i in range(3) for j in range(3)
                )
                value = np.maximum(value + weights[f"features.{index}.bias"], 0)
            outputs.append(value)
        return outputs

    total = 0.0
    for i, pair in enumerate(zip(features(a), features(b), strict=True)):
        p, q = (x / (np.sqrt((x * x).sum(axis=2, keepdims=True)) + 1e-10) for x in pair)
        total += (((p - q) ** 2) @ weights[f"lin{i}.model.1.weight"][0, :, 0, 0]).mean()
    return float(total)


def test_lpips_against_numpy(lpips_weights, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, weights = lpips_weights
    monkeypatch.setenv(metrics.LPIPS_VARIABLE, str(directory))
    a, b = pictures(19, 33)
    value = metrics.lpips(a, b)
    assert value is not None and value > 0
    assert value == pytest.approx(numpy_lpips(weights, a, b), rel=1e-4)
    assert metrics.lpips(a, a) == 0
    assert str(directory) in metrics.lpips_status() and "no LPIPS" not in metrics.lpips_status()
    with pytest.raises(InputError, match="at least 16 pixels"):
        metrics.lpips(a[:15], b[:15])


def test_lpips_without_weights_is_none_with_a_reason(
    lpips_weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(metrics.LPIPS_VARIABLE, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(metrics.importlib.util, "find_spec", lambda name: None)
    a, b = pictures()
    assert metrics.lpips(a, b) is None
    status = metrics.lpips_status()
    assert status.startswith(
        f"no LPIPS: {metrics.VGG_FILE}, torchvision's VGG16, is not in {tmp_path}/hub/checkpoints"
    )
    assert metrics.LPIPS_VARIABLE in status  # where to put it
    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    (tmp_path / "hub/checkpoints" / metrics.VGG_FILE).symlink_to(lpips_weights[0] / metrics.VGG_FILE)
    assert metrics.lpips(a, b) is None
    assert "vgg.pth (v0.1) is missing; pip install 'gspc[lpips]'" in metrics.lpips_status()


def test_lpips_looks_where_torch_hub_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.delenv(metrics.LPIPS_VARIABLE, raising=False)
    for name, value in (
        ("TORCH_HOME", str(tmp_path)),
        ("XDG_CACHE_HOME", str(tmp_path / "cache")),
        ("HOME", "/x"),
    ):
        monkeypatch.delenv("TORCH_HOME", raising=False)
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv(name, value)
        assert [Path(torch.hub.get_dir()) / "checkpoints"] == metrics._vgg_places()


def test_lpips_names_damaged_weights(lpips_weights, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setenv(metrics.LPIPS_VARIABLE, str(tmp_path))
    (tmp_path / metrics.VGG_FILE).symlink_to(lpips_weights[0] / metrics.VGG_FILE)
    a, b = pictures()
    lin = tmp_path / metrics.LIN_FILE
    lin.write_bytes(b"not a checkpoint")
    with pytest.raises(InputError, match=r"vgg.pth: cannot be read as LPIPS weights"):
        metrics.lpips(a, b)
    torch.save({f"lin{i}.model.1.weight": torch.zeros(1, 7, 1, 1) for i in range(5)}, lin)
    with pytest.raises(InputError, match=r"vgg.pth: 'lin0.model.1.weight' is not \[1, 64, 1, 1\]"):
        metrics.lpips(a, b)


def test_no_torch_before_lpips() -> None:
    code = (
        "import sys, numpy as np; from gspc import metrics; a = np.zeros((20, 20, 3), np.float32);"
        "metrics.psnr(a, a); metrics.ssim(a, a); metrics.lpips_status(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
