"""Machine instructions that numba has no name for: prefetch, streaming stores, turning a square round.

Rows of random regions lie where no hardware looks ahead; told in time, it fetches them as fast as it
copies. What is written once and read much later need not be read into the cache first. Sixty-four
numbers change rows for columns in registers with a third of the instructions that moving each takes.

Source: LLVM language reference, `llvm.prefetch`, `!nontemporal` and `shufflevector`.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

LINE = 32
"""16-bit numbers in a line of the cache."""

LANE = 8
"""16-bit numbers of a register: what `stream` moves, and the side of the square that `turn` turns."""

_BYTE, _WORD = ir.IntType(8), ir.IntType(32)


@intrinsic
def prefetch(_context, array, place):
    """Ask for the line of the cache that holds `array[place]`; `array` has one axis."""
    signature = types.void(array, types.int64)

    def generate(context, builder, signature, arguments):
        held = make_array(signature.args[0])(context, builder, arguments[0])
        at = builder.bitcast(builder.gep(held.data, [arguments[1]]), _BYTE.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [at.type, _WORD, _WORD, _WORD])
        ask = builder.module.declare_intrinsic("llvm.prefetch", [at.type], kind)
        read, keep, data = _WORD(0), _WORD(3), _WORD(1)
        builder.call(ask, [at, read, keep, data])
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def stream(_context, target, to, source, start):
    """Copy eight 16-bit numbers past the cache; `target[to]` lies at a multiple of 16 bytes."""
    signature = types.void(target, types.int64, source, types.int64)

    def generate(context, builder, signature, arguments):
        kinds = signature.args[0], signature.args[2]
        into, out_of = (
            make_array(kind)(context, builder, array)
            for kind, array in zip(kinds, arguments[::2], strict=True)
        )
        lane = ir.VectorType(ir.IntType(16), LANE).as_pointer()
        found = builder.load(builder.bitcast(builder.gep(out_of.data, [arguments[3]]), lane))
        found.align = 2
        stored = builder.store(found, builder.bitcast(builder.gep(into.data, [arguments[1]]), lane))
        stored.align = 16
        stored.set_metadata("nontemporal", builder.module.add_metadata([_WORD(1)]))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def turn(_context, target, to, stride, source, starts):
    """Eight runs of eight 16-bit numbers as columns.

    `target[to + i * stride + k] = source[starts[k] + i]`; `starts` is a tuple of eight places, `target`
    and `source` have one axis.
    """
    signature = types.void(target, types.int64, types.int64, source, starts)

    def generate(context, builder, signature, arguments):
        into = make_array(signature.args[0])(context, builder, arguments[0]).data
        out_of = make_array(signature.args[3])(context, builder, arguments[3]).data
        lane = ir.VectorType(ir.IntType(16), LANE).as_pointer()
        rows = []
        for k in range(LANE):
            start = builder.extract_value(arguments[4], k)
            row = builder.load(builder.bitcast(builder.gep(out_of, [start]), lane))
            row.align = 2
            rows.append(row)
        # Interleave each row with the one four further on, three times.
        for _ in range(3):
            turned = []
            pairs = [(k, k + LANE // 2) for k in range(LANE // 2)]
            for low, high in pairs:
                for half in (0, LANE // 2):
                    order = [place for k in range(LANE // 2) for place in (half + k, LANE + half + k)]
                    mask = ir.Constant(ir.VectorType(_WORD, LANE), [_WORD(place) for place in order])
                    turned.append(builder.shuffle_vector(rows[low], rows[high], mask))
            rows = turned
        place = arguments[1]
        for row in rows:
            stored = builder.store(row, builder.bitcast(builder.gep(into, [place]), lane))
            stored.align = 2
            place = builder.add(place, arguments[2])
        return context.get_dummy_value()

    return signature, generate
