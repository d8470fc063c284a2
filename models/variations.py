"""Several requests at once on one engine, each read to its end: the variations of one wish. Knows no family."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from models.engine import Engine
from models.request import AudioChunk, AudioGenerationRequest, Collector, Generated

_WAIT_SECONDS = 0.05  # between two looks at those whose turn it is not; an exception raised into this thread is heard


def generate_together(
    engine: Engine,
    requests: Sequence[AudioGenerationRequest],
    on_chunk: Callable[[int, AudioChunk], None] = lambda index, chunk: None,
) -> list[Generated]:
    """All that the requests make, in their order; they share the decoder's steps as far as it has slots.

    Every request is prepared, and refused, before one is read. What any of them raises is raised here, and ends the
    others. `on_chunk` hears each chunk with the number of its request. All of it happens in the caller's thread.
    """
    with ExitStack() as closing:
        streams = [closing.enter_context(engine.stream(request)) for request in requests]
        collected = [Collector(stream.started) for stream in streams]
        while unread := [index for index, stream in enumerate(streams) if not stream.read_to_end]:
            for index in unread:
                chunk = streams[index].read(_WAIT_SECONDS if index == unread[0] else 0)
                if chunk is not None:
                    collected[index].add(chunk)
                    on_chunk(index, chunk)
        return [one.generated() for one in collected]
