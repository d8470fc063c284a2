"""Codes → samples while the codes still come, for one stream or many at once. Knows no encoder and no file.

A sample is given as soon as it is exact, that is when no later code can change it. Streams that push alike share one
call of the network; what a stream gets does not depend on its companions beyond float rounding.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.codecs.code_table import CodeTable
from models.codecs.stream_layers import Memory, Network

GROUP_PIECES = 8  # of all streams in one call: bounds the memory of a batch


@dataclass(frozen=True)
class StreamLayout:
    """What streams have to know of their codec. Of stereo, codes are interleaved: L0 R0 L1 R1 …"""

    channels: int  # C; the network runs each as if it were alone
    codebooks: int  # K, those of all channels
    codebook_size: int
    hop_length: int  # samples a frame
    context_frames: int  # later frames that the samples of one frame depend on
    heard_frames: int | None  # earlier frames that they depend on; None: all, where a recurrent layer forgets nothing
    first_frames: int  # fewest from which the network can give a sample that is exact
    piece_frames: int  # most in one call


class CodeStream:
    """One stream of codes being decoded; made by Codec.stream. Not for two threads at a time."""

    def __init__(self, decoder: "StreamDecoder", left_context: Tensor | None = None) -> None:
        self._decoder = decoder
        self._memory: Memory | None = None  # None until the network has run
        self._waiting = torch.zeros(decoder.layout.codebooks, 0, dtype=torch.long, device=decoder.device)
        self._pushed = [self._waiting]
        self._unheard = 0  # samples of the left context still to come
        self._ended = False
        if left_context is not None:
            self._add(left_context)
            # Older frames cannot be heard in what follows.
            self._waiting = _newest(self._waiting, decoder.layout.heard_frames)
            self._unheard = self._waiting.shape[1] * decoder.layout.hop_length

    @property
    def tail(self) -> Tensor:
        """[K, N], the left context of the stream that continues this one, own left context included.

        The newest 2·heard_frames frames, or all there were where heard_frames is None.
        """
        heard = self._decoder.layout.heard_frames
        self._pushed = [_newest(torch.cat(self._pushed, dim=1), None if heard is None else 2 * heard)]
        return self._pushed[0]

    def push(self, codes: Tensor) -> Tensor:
        """[K, t] → [C, L]: every sample that is exact by now and was not given before; L may be 0."""
        return self._decoder.push_many([self], [codes])[0]

    def flush(self) -> Tensor:
        """[C, L], the samples left over. Ends the stream."""
        return self._decoder.flush_many([self])[0]

    def _add(self, codes: Tensor) -> None:
        assert not self._ended, "push after flush"
        codes = self._decoder.checked(codes)
        self._waiting = torch.cat([self._waiting, codes], dim=1)
        self._pushed.append(codes.clone())  # not the caller's own, which may be a buffer

    def _next_piece(self, end: bool) -> "_Piece | None":
        """Take the next codes to decode, if there are enough; `end` says that none follow the waiting ones."""
        waiting, first = self._waiting.shape[1], self._memory is None
        size = min(waiting, self._decoder.layout.piece_frames)
        last = end and size == waiting
        if self._ended or (not last and size < (self._decoder.layout.first_frames if first else 1)):
            return None
        self._ended = last
        if first and size == 0:
            return None
        codes, self._waiting = self._waiting[:, :size], self._waiting[:, size:]
        return _Piece(self, codes, first, last)

    def _heard(self, samples: Tensor) -> Tensor:
        """[C, L] → [C, M] without the samples of the left context."""
        skip = min(self._unheard, samples.shape[1])
        self._unheard -= skip
        return samples[:, skip:]


def _newest(codes: Tensor, frames: int | None) -> Tensor:
    return codes if frames is None else codes[:, max(0, codes.shape[1] - frames) :]


@dataclass(frozen=True, eq=False)
class _Piece:
    """A call of the network for one stream."""

    stream: CodeStream
    codes: Tensor  # [K, n]
    first: bool
    last: bool

    @property
    def kind(self) -> tuple[bool, int, bool]:
        """Pieces of one kind have the same shapes in every layer."""
        return self.first, self.codes.shape[1], self.last


class StreamDecoder:
    """Runs the streams of one codec. Holds nothing of a stream, so any number of threads may use it."""

    def __init__(self, layout: StreamLayout, table: CodeTable, network: Network) -> None:
        """`network` makes latents [B, T, D] into samples [B, hop·T, 1]."""
        self.layout = layout
        self.device = table.rows.device
        self._table = table
        self._network = network

    def checked(self, codes: Tensor) -> Tensor:
        """[K, t] on this device. Codes out of range would read another codebook's rows."""
        K, V = self.layout.codebooks, self.layout.codebook_size
        assert codes.dim() == 2, codes.shape
        assert codes.shape[0] == K, (codes.shape, K)
        if codes.shape[1]:
            low, high = codes.aminmax()
            assert low >= 0, low
            assert high < V, (high, V)
        return codes.to(self.device, torch.long)

    def latents(self, codes: Tensor) -> Tensor:
        """[K, T] → [C, D, T]: what the network is given, of all frames."""
        return self._table.latents(_by_channel(self.checked(codes), self.layout.channels)).transpose(1, 2)

    def push_many(self, streams: Sequence[CodeStream], codes: Sequence[Tensor]) -> list[Tensor]:
        """`push` of each stream with its [K, t]; streams that push equally many frames run together."""
        for stream, new in zip(streams, codes, strict=True):
            stream._add(new)
        return self._run(streams, end=False)

    def flush_many(self, streams: Sequence[CodeStream]) -> list[Tensor]:
        """`flush` of each stream."""
        return self._run(streams, end=True)

    def decode_many(self, codes: Sequence[Tensor]) -> list[Tensor]:
        """Each [K, T] → [C, hop·T], whole."""
        streams = [CodeStream(self) for _ in codes]
        for stream, new in zip(streams, codes, strict=True):
            stream._add(new)
        return self._run(streams, end=True)

    def _run(self, streams: Sequence[CodeStream], end: bool) -> list[Tensor]:
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
            cost = self.layout.channels * max(frames, self.layout.context_frames, 1)  # a flush costs the context
            most = max(1, GROUP_PIECES * self.layout.piece_frames // cost)
            for start in range(0, len(alike), most):
                yield alike[start : start + most]

    def _decode(self, group: Sequence[_Piece]) -> list[Tensor]:
        """One call of the network: the samples [C, L] of each piece; its stream's memory moves on."""
        memories = [piece.stream._memory for piece in group if piece.stream._memory is not None]
        past = [torch.cat(rows) for rows in zip(*memories, strict=True)] or None
        C = self.layout.channels
        latents = self._table.latents(torch.cat([_by_channel(piece.codes, C) for piece in group]))
        samples, future = self._network(latents, past, last=group[0].last)
        for b, piece in enumerate(group):
            piece.stream._memory = [rows[b * C : (b + 1) * C] for rows in future]
        return list(samples.view(len(group), C, samples.shape[1]))

    def _silence(self) -> Tensor:
        return torch.zeros(self.layout.channels, 0, device=self.device)


def _by_channel(codes: Tensor, channels: int) -> Tensor:
    """[K, T] interleaved → [C, K / C, T]."""
    K, T = codes.shape
    return codes.view(K // channels, channels, T).transpose(0, 1)
