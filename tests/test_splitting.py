"""Peak memory as notebook 12 shows it, against what the shapes say."""

import torch
from oracles import layer_weights, normal

from attention_lab import fused
from attention_lab.splitting import peak_memory
from solutions.heads import multi_head_attention

MIB = 2**20


def test_what_is_alive_at_a_time_counts_once():
    x = torch.zeros(MIB // 4)  # 1 MiB

    def several(x):
        a = x + 1
        b = a.view(2, -1).T  # the same memory
        del a
        c = b * 2  # 2 MiB are alive
        del b
        return c.exp() + 0  # c, its exp and the sum

    assert peak_memory(lambda x: x.view(-1)[::2], x) == 0
    assert peak_memory(lambda x: x + 1, x) == 1
    assert peak_memory(several, x) == 3


def test_a_layers_tables_grow_with_the_square_of_t_and_the_fused_layer_has_none():
    w = [one.float() for one in layer_weights(12, 3, 4).values()]

    def used(attend, T):
        return peak_memory(lambda x: attend(x, *w, 3)[0], normal(1, T, 12).float())

    table = 3 * 1024**2 * 4 / MIB
    readable = used(multi_head_attention, 1024)
    assert table < readable < 6 * table
    assert readable / used(multi_head_attention, 256) > 14
    assert used(fused.multi_head_attention, 1024) < table
    ratio = used(fused.multi_head_attention, 1024) / used(fused.multi_head_attention, 256)
    assert 3.9 < ratio < 4.1
