"""Several requests at once on one engine, each read to its end: the variations of one wish. Knows no family."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import partial

from models.engine import Engine
from models.request import AudioChunk, AudioGenerationRequest, Generated

_WAIT_SECONDS = 0.05  # the caller's thread wakes this often, so that an exception raised into it is heard


def generate_together(
    engine: Engine,
    requests: Sequence[AudioGenerationRequest],
    on_chunk: Callable[[int, AudioChunk], None] = lambda index, chunk: None,
) -> list[Generated]:
    """All that the requests make, in their order; they share the decoder's steps as far as it has slots.

    Every request is prepared, and refused, in the caller's thread before one is read. What any of them raises is raised
    here, and ends the others. `on_chunk` hears each chunk with the number of its request, from several threads.
    """
    with ThreadPoolExecutor(len(requests), "variation") as readers, ExitStack() as closing:
        streams = [closing.enter_context(engine.stream(request)) for request in requests]
        reading = [readers.submit(stream.collect, partial(on_chunk, i)) for i, stream in enumerate(streams)]
        pending = set(reading)
        while pending:
            done, pending = wait(pending, _WAIT_SECONDS, FIRST_EXCEPTION)
            for one in done:
                one.result()
        return [one.result() for one in reading]
