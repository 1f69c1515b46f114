"""A stand-in for tinycudann 2.0's Network in plain torch: a flat vector of weights, no biases, inputs and
outputs in multiples of 16. It computes in float32, so that differences are not those of half precision."""

from __future__ import annotations

from typing import Any

import torch


class Network(torch.nn.Module):
    def __init__(self, n_input_dims: int, n_output_dims: int, network_config: dict[str, Any]) -> None:
        super().__init__()
        assert network_config["otype"] == "FullyFusedMLP" and network_config["n_hidden_layers"] == 1
        assert network_config["n_neurons"] in (16, 32, 64, 128) and n_input_dims % 16 == 0
        assert (network_config["activation"], network_config["output_activation"]) == ("ReLU", "None")
        self.inputs, self.width, self.outputs = n_input_dims, network_config["n_neurons"], n_output_dims
        self.padded = -(-n_output_dims // 16) * 16
        self.params = torch.nn.Parameter(torch.zeros(self.width * (self.inputs + self.padded)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.shape[1] == self.inputs and self.params.shape == (self.width * (self.inputs + self.padded),)
        first, last = self.params.split([self.width * self.inputs, self.width * self.padded])
        hidden = torch.relu(x @ first.view(self.width, self.inputs).T)
        return (hidden @ last.view(self.padded, self.width).T)[:, : self.outputs]
