"""Multi-head attention whose projections are layers of their own."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Num
from torch import Tensor, nn

from monarch_core.adapters.fused import as_linear, dense_linear, matrix

KEYS = ("q_proj", "k_proj", "v_proj", "out_proj")


class ProjectedAttention(nn.Module):
    """In the place of `torch.nn.MultiheadAttention`, by its contract, with any four projections.

        head_i = softmax(q_i k_i^T / sqrt(d) + mask) v_i,   q = W_q query, k = W_k key, ...   (1)
        y = W_out [head_1, ..., head_H]                                                      (2)

    `torch.nn.TransformerEncoderLayer` reads the weights in evaluation and computes by itself: it
    finds `in_proj_weight` and the rest multiplied out.

    Args:
        dense: the layer in whose place it stands. It is read, not kept.
        layers: q_proj, k_proj, v_proj and out_proj.
    """

    q_proj: Any  # layers such as `MonarchLinear`
    k_proj: Any
    v_proj: Any
    out_proj: Any

    def __init__(self, dense: nn.MultiheadAttention, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.embed_dim, self.kdim, self.vdim = dense.embed_dim, dense.kdim, dense.vdim
        self.num_heads, self.head_dim = dense.num_heads, dense.head_dim
        self.dropout, self.batch_first = dense.dropout, dense.batch_first
        self._qkv_same_embed_dim = dense._qkv_same_embed_dim
        self.bias_k = self.bias_v = None
        self.add_zero_attn = False
        for key in KEYS:
            self.add_module(key, layers[key])
        self.train(dense.training)

    def forward(
        self,
        query: Num[Tensor, "..."],
        key: Num[Tensor, "..."],
        value: Num[Tensor, "..."],
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the result and the weights, as `torch.nn.MultiheadAttention` does.

        Args:
            query: (length, embed_dim) or with a batch, before the length if batch_first, else
                after it.
            key: likewise, of kdim features.
            value: likewise, of vdim features.
            key_padding_mask: (batch, n_keys), true or -inf at keys that are left out.
            need_weights: return the weights too, on the slower way.
            attn_mask: (n_queries, n_keys) or (batch heads, n_queries, n_keys), true where nothing
                is looked up, or numbers that are added.
            average_attn_weights: return the mean over the heads.
            is_causal: a hint that attn_mask is causal, which must be given with it.

        Raises:
            ValueError: for is_causal without attn_mask.
        """
        if is_causal and attn_mask is None:
            raise ValueError("is_causal=True is a hint about attn_mask, got None; give the mask")
        batched = query.ndim == 3
        q, k, v = (
            self._heads(layer(_batch_first(x, batched, self.batch_first)))
            for layer, x in ((self.q_proj, query), (self.k_proj, key), (self.v_proj, value))
        )
        mask = self._mask(attn_mask, key_padding_mask, q)
        p = self.dropout if self.training else 0.0
        weights = None
        if need_weights:  # (1)
            scores = q @ k.mT / math.sqrt(self.head_dim)
            weights = torch.softmax(scores if mask is None else scores + mask, -1)
            weights = nn.functional.dropout(weights, p)
            heads = weights @ v
            weights = weights.mean(1) if average_attn_weights else weights
        else:
            heads = nn.functional.scaled_dot_product_attention(q, k, v, mask, p)
        y = self.out_proj(heads.transpose(1, 2).flatten(-2))  # (2)
        if not batched:
            return y[0], None if weights is None else weights[0]
        return y if self.batch_first else y.transpose(0, 1), weights

    @property
    def in_proj_weight(self) -> Tensor | None:
        """The weights of q, k and v under one another, made anew; None if they differ in width."""
        if not self._qkv_same_embed_dim:
            return None
        return torch.cat([matrix(layer) for layer in self._inputs()])

    @property
    def in_proj_bias(self) -> Tensor | None:
        """The biases of q, k and v, made anew."""
        biases = [layer.bias for layer in self._inputs()]
        return None if biases[0] is None else torch.cat(biases)

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Return both masks in one, for `torch.nn.TransformerEncoderLayer`."""
        merge: Any = nn.MultiheadAttention.merge_masks  # reads the number of heads alone
        return merge(self, attn_mask, key_padding_mask, query)

    def to_dense(self) -> nn.MultiheadAttention:
        """Return the layer of torch that computes the same."""
        *inputs, out = (as_linear(getattr(self, key)) for key in KEYS)
        with torch.device("meta"):
            dense = nn.MultiheadAttention(
                self.embed_dim,
                self.num_heads,
                self.dropout,
                bias=out.bias is not None,
                kdim=self.kdim,
                vdim=self.vdim,
                batch_first=self.batch_first,
            )
        weights = [layer.weight for layer in inputs]
        if self._qkv_same_embed_dim:
            dense.in_proj_weight = _joined(weights)
        else:
            for key, weight in zip(KEYS, weights, strict=False):
                setattr(dense, f"{key}_weight", _joined([weight]))
        dense.out_proj.weight = _joined([out.weight])
        if out.bias is not None:
            dense.in_proj_bias = _joined([layer.bias for layer in inputs])
            dense.out_proj.bias = _joined([out.bias])
        return dense.train(self.training)

    def _inputs(self) -> tuple[Any, ...]:
        return self.q_proj, self.k_proj, self.v_proj

    def _heads(self, x: Tensor) -> Tensor:
        """Return (batch, length, embed_dim) as (batch, heads, length, head_dim)."""
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _mask(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor
    ) -> Tensor | None:
        """Return what is added to the scores, of a shape that broadcasts to theirs."""
        mask = None
        if attn_mask is not None:
            mask = _added(attn_mask, q.dtype)
            if mask.ndim == 3:
                mask = mask.unflatten(0, (-1, self.num_heads)) if len(mask) > 1 else mask[None]
        if key_padding_mask is not None:
            padding = _added(key_padding_mask, q.dtype).reshape(len(q), 1, 1, -1)
            mask = padding if mask is None else mask + padding
        return mask


def attention_parts(name: str, dense: nn.MultiheadAttention) -> dict[str, nn.Linear]:
    """Return the projections of an attention, with copies of their weights.

    Raises:
        ValueError: for keys or values that are added to those given.
    """
    for option, on in (
        ("add_bias_kv", dense.bias_k is not None),
        ("add_zero_attn", dense.add_zero_attn),
    ):
        if on:
            raise ValueError(
                f"{name} is a MultiheadAttention with {option}=True, which is not offered with "
                f"other projections; leave it out with exclude={[name]}"
            )
    if dense._qkv_same_embed_dim:
        weights = dense.in_proj_weight.chunk(3)
        learns = [dense.in_proj_weight.requires_grad] * 3
    else:
        weights = (dense.q_proj_weight, dense.k_proj_weight, dense.v_proj_weight)
        learns = [weight.requires_grad for weight in weights]
    bias, out = dense.in_proj_bias, dense.out_proj
    biases = [None] * 3 if bias is None else bias.chunk(3)
    inputs = zip(KEYS, weights, biases, learns, strict=False)
    return {
        **{key: dense_linear(W, part, dense, on, bias) for key, W, part, on in inputs},
        "out_proj": dense_linear(out.weight, out.bias, dense, out.weight.requires_grad, out.bias),
    }


def _joined(parts: list[Tensor]) -> nn.Parameter:
    learns = any(part.requires_grad for part in parts)
    return nn.Parameter(torch.cat([part.detach() for part in parts]), requires_grad=learns)


def _batch_first(x: Tensor, batched: bool, batch_first: bool) -> Tensor:
    if not batched:
        return x[None]
    return x if batch_first else x.transpose(0, 1)


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a mask as numbers that are added to the scores."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill_(mask, -math.inf)
