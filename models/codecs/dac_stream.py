"""Codes → samples while the codes still come, for one stream or many at once. Knows no encoder and no file.

A sample is given as soon as it is exact, that is when no later code can change it. Streams that push alike share one
call of the network; what a stream gets does not depend on its companions beyond float rounding.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.codecs.dac_config import DacConfig
from models.codecs.dac_layers import Memory
from models.codecs.dac_network import Network
from models.codecs.dac_quantiser import Quantiser

PIECE_FRAMES = 86  # 1 s in one call; on a CPU longer pieces are slower (cache), and memory grows with them
GROUP_FRAMES = 8 * PIECE_FRAMES  # of all streams in one call: bounds the memory of a batch


class DacStream:
    """One utterance being decoded; made by DacCodec.stream. Not for two threads at a time."""

    def __init__(self, decoder: "DacDecoder", left_context: Tensor | None = None) -> None:
        self._decoder = decoder
        self._memory: Memory | None = None  # None until the network has run
        self._waiting = self._tail = torch.zeros(decoder.config.codebooks, 0, dtype=torch.long, device=decoder.device)
        self._unheard = 0  # samples of the left context still to come
        self._ended = False
        if left_context is not None:
            self._add(left_context)
            # Older frames cannot be heard in what follows: the samples of one frame depend on no more than these.
            self._waiting = self._waiting[:, -decoder.config.context_frames :]
            self._unheard = self._waiting.shape[1] * decoder.config.hop_length

    @property
    def tail(self) -> Tensor:
        """[K, N], the newest 2·context_frames frames, left context included, or fewer if there were fewer.

        They are the left context of the request that continues this one.
        """
        return self._tail

    def push(self, codes: Tensor) -> Tensor:
        """[K, t] → [1, L]: every sample that is exact by now and was not given before; L may be 0."""
        return self._decoder.push_many([self], [codes])[0]

    def flush(self) -> Tensor:
        """[1, L], the samples left over. Ends the stream."""
        return self._decoder.flush_many([self])[0]

    def _add(self, codes: Tensor) -> None:
        assert not self._ended, "push after flush"
        codes = self._decoder.checked(codes)
        self._waiting = torch.cat([self._waiting, codes], dim=1)
        self._tail = torch.cat([self._tail, codes], dim=1)[:, -2 * self._decoder.config.context_frames :]

    def _next_piece(self, end: bool) -> "_Piece | None":
        """Take the next codes to decode, if there are enough; `end` says that none follow the waiting ones."""
        waiting, first = self._waiting.shape[1], self._memory is None
        size = min(waiting, self._decoder.piece_frames)
        last = end and size == waiting
        if self._ended or (not last and size < (self._decoder.config.first_frames if first else 1)):
            return None
        self._ended = last
        if first and size == 0:
            return None
        codes, self._waiting = self._waiting[:, :size], self._waiting[:, size:]
        return _Piece(self, codes, first, last)

    def _heard(self, samples: Tensor) -> Tensor:
        """[L] → [1, M] without the samples of the left context."""
        skip = min(self._unheard, samples.shape[0])
        self._unheard -= skip
        return samples[None, skip:]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A call of the network for one stream."""

    stream: DacStream
    codes: Tensor  # [K, n]
    first: bool
    last: bool

    @property
    def kind(self) -> tuple[bool, int, bool]:
        """Pieces of one kind have the same shapes in every layer."""
        return self.first, self.codes.shape[1], self.last


class DacDecoder:
    """Runs the streams of one codec. Holds nothing of a stream, so any number of threads may use it."""

    def __init__(self, config: DacConfig, network: Network, quantiser: Quantiser, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.piece_frames = max(PIECE_FRAMES, config.first_frames)
        self._network = network
        self._quantiser = quantiser

    def checked(self, codes: Tensor) -> Tensor:
        """[K, t] on this device. Codes out of range would read another codebook's rows."""
        K, V = self.config.codebooks, self.config.codebook_size
        assert codes.dim() == 2, codes.shape
        assert codes.shape[0] == K, (codes.shape, K)
        if codes.shape[1]:
            low, high = codes.aminmax()
            assert low >= 0, low
            assert high < V, (high, V)
        return codes.to(self.device, torch.long)

    def push_many(self, streams: Sequence[DacStream], codes: Sequence[Tensor]) -> list[Tensor]:
        """`push` of each stream with its [K, t]; streams that push equally many frames run together."""
        for stream, new in zip(streams, codes, strict=True):
            stream._add(new)
        return self._run(streams, end=False)

    def flush_many(self, streams: Sequence[DacStream]) -> list[Tensor]:
        """`flush` of each stream."""
        return self._run(streams, end=True)

    def decode_many(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """Each [K, T] → [1, hop·T], whole."""
        streams = [DacStream(self) for _ in codes]
        for stream, new in zip(streams, codes, strict=True):
            stream._add(new)
        return self._run(streams, end=True)

    def _run(self, streams: Sequence[DacStream], end: bool) -> list[Tensor]:
        """Decode, piece after piece, all that the streams have waiting."""
        heard: dict[int, list[Tensor]] = {id(stream): [] for stream in streams}
        assert len(heard) == len(streams), "a stream stands twice in one call"
        while pieces := [piece for stream in streams if (piece := stream._next_piece(end))]:
            for group in self._groups(pieces):
                for piece, samples in zip(group, self._decode(group), strict=True):
                    heard[id(piece.stream)].append(piece.stream._heard(samples))
        return [torch.cat(heard[id(stream)] or [self._silence()], dim=1) for stream in streams]

    def _groups(self, pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
        """Pieces of one kind, as many as fit into one call."""
        kinds = defaultdict(list)
        for piece in pieces:
            kinds[piece.kind].append(piece)
        for (_, frames, _), alike in kinds.items():
            cost = max(frames, self.config.context_frames)  # a flush without codes costs the context
            most = max(1, GROUP_FRAMES // cost)
            for start in range(0, len(alike), most):
                yield alike[start : start + most]

    def _decode(self, group: Sequence[_Piece]) -> list[Tensor]:
        """One call of the network: the samples [L] of each piece; its stream's memory moves on."""
        memories = [piece.stream._memory for piece in group if piece.stream._memory is not None]
        past = [torch.cat(rows) for rows in zip(*memories, strict=True)] or None
        latents = self._quantiser.latents(torch.stack([piece.codes for piece in group]))
        samples, future = self._network(latents, past, last=group[0].last)
        for b, piece in enumerate(group):
            piece.stream._memory = [rows[b : b + 1] for rows in future]
        return list(samples[:, :, 0])

    def _silence(self) -> Tensor:
        return torch.zeros(1, 0, device=self.device)
