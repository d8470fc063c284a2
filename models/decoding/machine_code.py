"""Loops that LLVM compiles while Parley runs, shared out among the threads that torch runs its own with.

llvmlite, which comes along with librosa, needs no compiler on the machine. The threads are torch's own OpenMP threads:
a second pool would fight with them for the cores, and `torch.set_num_threads` would not hold for it. Knows no product.
"""

import ctypes
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import llvmlite.binding as llvm
import torch
from llvmlite import ir

INT = ir.IntType(64)


@cache
def runs_here() -> bool:
    """Whether the processor has AVX-512, which the loops are written for, and torch brings GNU's OpenMP along."""
    x86 = sys.platform == "linux" and platform.machine() == "x86_64"
    return x86 and torch.backends.cpu.get_cpu_capability() == "AVX512" and _openmp() is not None


class MachineCode:
    """A function of an LLVM module, `void name(int64 arguments[])`, that all threads run at once.

    Each does its share of the work, as `share` tells it. A call returns when all have, and leaves Python's lock to
    others meanwhile.
    """

    def __init__(self, module: ir.Module, name: str) -> None:
        openmp = _openmp()
        assert openmp is not None, "ask runs_here first"
        self._run = openmp.GOMP_parallel
        machine = _target_machine()
        compiled = llvm.parse_assembly(str(module))
        compiled.verify()
        passes = llvm.create_pass_builder(machine, llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(compiled, passes)
        self._engine = llvm.create_mcjit_compiler(compiled, machine)  # owns the code
        self._engine.finalize_object()
        self._address = ctypes.c_void_p(self._engine.get_function_address(name))

    def __call__(self, *arguments: int, threads: int = 0) -> None:
        """arguments: numbers and addresses. threads: 0 is as many as torch.set_num_threads gave this thread."""
        table = (ctypes.c_int64 * len(arguments))(*arguments)
        self._run(self._address, table, ctypes.c_uint(threads), ctypes.c_uint(0))


def read_arguments(builder: ir.IRBuilder, function: ir.Function, types: Sequence[ir.Type]) -> list[ir.Value]:
    """What MachineCode is called with, each as a type of 64 bits."""
    places = [builder.gep(function.args[0], [INT(i)], source_etype=INT) for i in range(len(types))]
    return [builder.load(place, typ=each) for place, each in zip(places, types, strict=True)]


def share(builder: ir.IRBuilder, items: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The part of `items` that falls to the thread that runs this: the first, and the one past the last."""
    number, count = (_ask_openmp(builder, name) for name in ("omp_get_thread_num", "omp_get_num_threads"))
    first, end = (builder.mul(items, part) for part in (number, builder.add(number, INT(1))))
    return builder.sdiv(first, count), builder.sdiv(end, count)


@contextmanager
def counting(builder: ir.IRBuilder, start: ir.Value, end: ir.Value, step: int = 1) -> Iterator[ir.Value]:
    """A loop around what is built inside: while a whole step is left before `end`."""
    before, head, body, after = builder.block, *(builder.append_basic_block() for _ in range(3))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(INT)
    index.add_incoming(start, before)
    following = builder.add(index, INT(step))
    builder.cbranch(builder.icmp_signed("<=", following, end), body, after)
    builder.position_at_end(body)
    yield index
    index.add_incoming(following, builder.block)
    builder.branch(head)
    builder.position_at_end(after)


def _ask_openmp(builder: ir.IRBuilder, name: str) -> ir.Value:
    """What `int name(void)` of OpenMP says."""
    address = ctypes.cast(getattr(_openmp(), name), ctypes.c_void_p).value
    function = builder.inttoptr(INT(address), ir.FunctionType(ir.IntType(32), []).as_pointer())
    return builder.sext(builder.call(function, []), INT)


@cache
def _openmp() -> ctypes.CDLL | None:
    """The OpenMP that torch is linked with, found through torch: another package may have brought one of its own."""
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        _ = library.GOMP_parallel
    except (OSError, AttributeError):
        return None
    return library


@cache
def _target_machine() -> llvm.TargetMachine:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # LLVM would halve the registers on processors that once slowed down for the wide ones.
    features = f"{llvm.get_host_cpu_features().flatten()},-prefer-256-bit"
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
