"""What a container's prediction gave → a file of ours. Knows no prediction and no queue."""

import logging
from pathlib import Path
from typing import Any

import httpx

from models.errors import GenerationFailed, InvalidRequest, shown
from serving.cog.container import Died
from serving.fetch import decode_data_uri

log = logging.getLogger("parley.cog")

MOST_BYTES = 1 << 30  # of a file


async def save(output: Any, path: Path, client: httpx.AsyncClient) -> None:
    """The file that an output stands for: a data: URI, or the URL to which the container uploaded it; of music it is
    the `audio` of an object, whose other variations nobody here has asked for.

    Raises GenerationFailed where there is none, and Died where its URL gives none (now).
    """
    if isinstance(output, dict):
        output = output.get("audio")
    if not isinstance(output, str) or not output.startswith(("data:", "http://", "https://")):
        log.error("a container gave no file, but %s", shown(output, 500))
        raise GenerationFailed("The container gave no file. The log of this server says what.")
    if output.startswith("data:"):
        path.write_bytes(_decoded(output))
        return
    try:
        async with client.stream("GET", output, follow_redirects=True) as response:
            response.raise_for_status()
            with path.open("wb") as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)
    except httpx.HTTPError as error:
        raise Died(f"its output could not be fetched: {type(error).__name__}") from error


def _decoded(uri: str) -> bytes:
    try:
        return decode_data_uri(uri, "output", MOST_BYTES)[0]
    except InvalidRequest as error:  # not our caller's fault
        log.error("a container's file cannot be read: it %s", error.problem)
        raise GenerationFailed("The container's file cannot be read.") from error
