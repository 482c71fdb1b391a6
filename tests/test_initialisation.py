"""What a fresh network attends to."""

import torch

from spikeinterface_poyo.network.initialisation import NEARNESS, attend_to_near_times
from spikeinterface_poyo.network.poyo import POYO, NetworkConfig, split_heads
from spikeinterface_poyo.network.rotary import phases, rotate


def test_attention_begins_with_what_is_near_in_time():
    network = POYO.fresh(NetworkConfig(1, dim=32, depth=1, dim_head=16, self_heads=2), 3, 2)
    for attention in (network.enc_atn, network.dec_atn):
        torch.nn.init.zeros_(attention.to_q.weight)
        torch.nn.init.zeros_(attention.to_kv.weight)
    attend_to_near_times(network)
    lag, nobody = torch.linspace(0, 1, 21), torch.randn(21, 32, generator=torch.Generator().manual_seed(0))
    expected = NEARNESS * torch.cos(lag[:, None] * network.omega[2:]).mean(dim=1)
    for attention in (network.enc_atn, network.dec_atn):
        key, value = attention.keys_values(nobody).chunk(2, dim=-1)
        query, key = attention.queries(nobody), rotate(key, phases(lag, network.omega))
        score = (split_heads(query, 2) * split_heads(key, 2)).sum(dim=-1) / 16**0.5
        torch.testing.assert_close(score, expected.expand_as(score), rtol=0, atol=1e-4)
        assert not value.any()
