"""Codes as callers send them → codes as everything below has them. Knows no model and no codec."""

import numpy as np

from models.errors import InvalidRequest


def check_codes(codes: object, field: str, codebooks: int, codebook_size: int) -> np.ndarray:
    """Public codes, [N, K] or flat of length N·K → int64 [K, N], each below codebook_size. Raises InvalidRequest."""
    K = codebooks
    array = np.asarray(codes, dtype=np.int64)
    if array.ndim == 1 and array.size % K == 0:
        array = array.reshape(-1, K)
    if array.ndim != 2 or array.shape[1] != K:
        raise InvalidRequest(
            field, f"has shape {array.shape}; it must be [N, {K}], or flat and a multiple of {K} long."
        )
    wrong = np.argwhere((array < 0) | (array >= codebook_size))
    if len(wrong):
        n, k = wrong[0]
        raise InvalidRequest(
            field, f"holds {array[n, k]} in frame {n}, codebook {k}; codes are 0 to {codebook_size - 1}."
        )
    return array.T.copy()
