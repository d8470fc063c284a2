"""uvicorn's WebSockets, let go of also where a client does not read what is left for it. Knows no route."""

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

LINGER_SECONDS = 10.0  # for what is left in the buffer, as uvicorn has for the answer to a close


class Sockets(WSProtocol):
    async def run_asgi(self) -> None:
        """uvicorn closes the connection at the end, once all has left that waits in its buffer.

        Where nobody reads, that is never: a connection, and perhaps a long event in its buffer, would stay for as long
        as the client likes.
        """
        await super().run_asgi()
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)
