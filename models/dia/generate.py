"""Dia's decoder: the common loop with Dia's steps. Knows no text, no voice, no audio."""

from models.decoding.cache import KeyValuePool
from models.decoding.decoder import CodeDecoder
from models.decoding.grid import GridState
from models.dia.model import DiaNetwork
from models.dia.stepper import EagerStepper, StaticStepper


class DiaDecoder(CodeDecoder):
    """Steps all admitted sequences together; each is conditioned on the byte ids of its text.

    thread_counts: of CPU threads, from which the fastest is taken while steps run; none leaves the number alone.
    """

    def __init__(self, network: DiaNetwork, pool: KeyValuePool, thread_counts: tuple[int, ...] = ()) -> None:
        c = network.config
        state = GridState(pool.slots, c.decoder.positions, c.delays, c.eos, c.pad, c.bos, network.device)
        stepper = StaticStepper if network.device.type == "cuda" else EagerStepper
        super().__init__(stepper(network, pool, state), pool, state, c.decoder.positions, thread_counts)
        self.network = network
