"""MusicGen's decoder: the common loop with MusicGen's steps. Knows no text, no codec, no windows."""

from models.decoding.cache import KeyValuePool
from models.decoding.decoder import CodeDecoder
from models.decoding.grid import GridState
from models.musicgen.network import MusicgenNetwork
from models.musicgen.stepper import EagerStepper, StaticStepper


class MusicgenDecoder(CodeDecoder):
    """Steps all admitted sequences together; each is conditioned on a Conditioning, and ends at its limit.

    thread_counts: of CPU threads, from which the fastest is taken while steps run; none leaves the number alone.
    """

    def __init__(self, network: MusicgenNetwork, pool: KeyValuePool, thread_counts: tuple[int, ...] = ()) -> None:
        c = network.config
        # No code of the network is special, so none ends a sequence before its limit.
        state = GridState(pool.slots, network.rows, c.delays, c.special, c.special, c.special, network.device)
        stepper = StaticStepper if network.device.type == "cuda" else EagerStepper
        super().__init__(stepper(network, pool, state), pool, state, network.rows, thread_counts)
        self.network = network
