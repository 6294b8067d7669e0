"""Reads pickled arrays without running code that pickles can contain.

A file cannot call NumPy or any Python class: each name that a pickle may use is replaced by a stand-in of this module,
which checks its arguments. The memory that stand-ins return is limited by the size of the file.
"""

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

_KINDS = re.compile(r"[|<>=]?([fiub])([1248])")
_NUM_DIMENSIONS = 32  # NumPy's limit before version 2
_SLACK = 1 << 16  # elements and bytes that small files may use beyond their size


class RefusedPickleError(ValueError):
    """A pickle uses something that arrays do not need."""


class Settings:
    """Stand-in for argparse.Namespace; stores its content, which is not used."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class PickledType:
    """Stand-in for a NumPy dtype of kind f, i, u or b."""

    def __init__(self, name: Any):
        match = _KINDS.fullmatch(name) if isinstance(name, str) else None
        if match is None:
            raise RefusedPickleError(f"has arrays of type {str(name)[:20]!r}; weights are numbers")
        self._code, self._order = match[1] + match[2], "="

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise RefusedPickleError("has a type of arrays with other fields than NumPy writes")
        if any(part is not None for part in state[2:5]):
            raise RefusedPickleError("has arrays of records; weights are numbers")
        self._order = state[1]

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._code)


class PickledArray:
    """Stand-in for a NumPy array."""

    def __init__(self, budget: "_Budget"):
        self._budget = budget
        self._array: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], PickledType):
            raise RefusedPickleError("has an array with other fields than NumPy writes")
        _, shape, kind, is_fortran, content = state
        self.fill(content, kind, shape, "F" if is_fortran is True else "C")

    def fill(self, content: Any, kind: PickledType, shape: Any, order: str) -> None:
        """Sets the content of the array; the number of bytes must match its shape and type."""
        if not isinstance(content, bytes | bytearray):
            raise RefusedPickleError("has an array of objects; weights are numbers")
        if not isinstance(shape, tuple) or len(shape) > _NUM_DIMENSIONS or not all(type(n) is int for n in shape):
            raise RefusedPickleError("has an array whose shape is no tuple of integers")
        dtype = kind.dtype()
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(content):
            raise RefusedPickleError(f"has an array of shape {shape} with {len(content)} bytes")
        self._budget.spend(len(content))
        self._array = np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")

    def array(self) -> np.ndarray:
        """The array, read-only; raises ValueError if it has no content."""
        if self._array is None:
            raise ValueError("an array has no content")
        return self._array


class _Budget:
    """Elements and bytes that the stand-ins may still return."""

    def __init__(self, size: int):
        self.left = 2 * size + _SLACK

    def spend(self, amount: int) -> None:
        self.left -= amount
        if self.left < 0:
            raise RefusedPickleError("grows beyond twice its size when read")


class _Function:
    """A stand-in that a pickle may call but not change or inspect."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise RefusedPickleError("changes a function")


class _Name:
    """Stand-in for a type that a pickle may mention, such as in settings, but not call."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise RefusedPickleError("changes a type")


def _stand_ins(budget: _Budget) -> dict[tuple[str, str], Any]:
    """Stand-ins by complete name; nothing is looked up in modules, so that names such as ndarray.tofile are refused."""

    def reconstruct(kind: Any, shape: Any, code: Any) -> PickledArray:
        if kind is not array or shape != (0,) or code not in (b"b", "b"):
            raise RefusedPickleError("makes an array as NumPy never does")
        return PickledArray(budget)

    def from_buffer(content: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
        if not isinstance(kind, PickledType):
            raise RefusedPickleError("makes an array as NumPy never does")
        made = PickledArray(budget)
        made.fill(content, kind, shape, order)
        return made

    def scalar(kind: Any, content: Any) -> PickledArray:
        if isinstance(content, str):
            content = content.encode("latin1")
        return from_buffer(content, kind, (), "C")

    def type_of(name: Any, align: Any = False, copy: Any = True) -> PickledType:
        return PickledType(name)

    def encode(text: Any, encoding: Any = "latin1") -> bytes:
        """Encodes text to bytes, which pickles of Python 2 protocols store in this way."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise RefusedPickleError(f"asks for the codec {str(encoding)[:20]!r}, which no array needs")
        budget.spend(len(text))
        return text.encode("latin1")

    def container(kind: Callable[..., Any]) -> _Function:
        def make(content: Any = None, encoding: Any = None) -> Any:
            if content is None:
                return kind()
            if encoding is not None:
                content = encode(content, encoding)
            if not isinstance(content, bytes | bytearray if kind in (bytes, bytearray) else list | tuple | set):
                raise RefusedPickleError(f"makes a {getattr(kind, '__name__', 'container')} of something else")
            budget.spend(len(content))
            if kind in (set, frozenset):
                _check_keys(content)
            return kind(content)

        return _Function(make)

    def ordered(content: Any = ()) -> dict[Any, Any]:
        if not isinstance(content, list | tuple) or any(type(pair) not in (list, tuple) for pair in content):
            raise RefusedPickleError("makes a dictionary of something else than pairs")
        budget.spend(len(content))
        _check_keys([pair[0] if pair else None for pair in content])
        return OrderedDict(content)

    array = _Name()
    names = {("numpy", "ndarray"): array, ("numpy", "dtype"): _Function(type_of)}
    for core in ("core", "_core"):
        names[f"numpy.{core}.multiarray", "_reconstruct"] = _Function(reconstruct)
        names[f"numpy.{core}.multiarray", "scalar"] = _Function(scalar)
        names[f"numpy.{core}.numeric", "_frombuffer"] = _Function(from_buffer)
    for module in ("builtins", "__builtin__"):
        for kind in (list, tuple, set, frozenset, bytes, bytearray):
            names[module, kind.__name__] = container(kind)
        names[module, "dict"] = _Function(ordered)
        for name in ("str", "int", "float", "bool", "complex"):
            names[module, name] = _Name()
    names["collections", "OrderedDict"] = _Function(ordered)
    names["_codecs", "encode"] = _Function(encode)
    names["argparse", "Namespace"] = Settings
    return names


def _check_keys(keys: Any) -> None:
    """Refuses keys that are not plain values, since hashing deeply nested tuples would overflow the stack."""
    for key in keys:
        parts = key if type(key) is tuple else (key,)
        if not all(part is None or type(part) in (str, bytes, int, float, bool) for part in parts):
            raise RefusedPickleError("has a dictionary or set with keys that are no plain values")


_Unpickler: Any = vars(pickle)[
    "_Unpickler"
]  # the Python version, since the C version allocates sizes that a file only claims


class _ArraysOnly(_Unpickler):
    """An unpickler that finds only the stand-ins."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Unpickler.dispatch)

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self._names = _stand_ins(_Budget(len(data)))
        self._size = len(data)

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return self._names[module_name, global_name]
        except (KeyError, TypeError):
            raise RefusedPickleError(
                f"asks for {str(module_name)[:60]}.{str(global_name)[:60]}, which could run code; nothing of it was "
                "run. Weights are arrays, numbers and strings: do not open this file with a program that trusts it"
            ) from None

    def _refuse(self) -> None:
        raise RefusedPickleError("uses features of pickles that no array needs")

    def _read_bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        if size > self._size:
            raise RefusedPickleError("claims more bytes than it has")
        self.append(bytearray(self.read(size)))

    def _set_item(self) -> None:
        _check_keys([self.stack[-2]])
        super().load_setitem()

    def _set_items(self) -> None:
        _check_keys(self.stack[::2])
        super().load_setitems()

    def _make_dict(self) -> None:
        _check_keys(self.stack[::2])
        super().load_dict()

    def _add_items(self) -> None:
        _check_keys(self.stack)
        super().load_additems()

    def _make_frozenset(self) -> None:
        _check_keys(self.stack)
        super().load_frozenset()

    for _code in (
        pickle.EXT1,
        pickle.EXT2,
        pickle.EXT4,
        pickle.PERSID,
        pickle.BINPERSID,
        pickle.NEXT_BUFFER,
        pickle.READONLY_BUFFER,
        pickle.NEWOBJ_EX,
        pickle.INST,
        pickle.OBJ,
    ):
        dispatch[_code[0]] = _refuse
    dispatch[pickle.BYTEARRAY8[0]] = _read_bytearray
    dispatch[pickle.SETITEM[0]] = _set_item
    dispatch[pickle.SETITEMS[0]] = _set_items
    dispatch[pickle.DICT[0]] = _make_dict
    dispatch[pickle.ADDITEMS[0]] = _add_items
    dispatch[pickle.FROZENSET[0]] = _make_frozenset


def read_arrays(data: bytes) -> Any:
    """Reads a pickle of arrays, numbers, strings, containers and settings.

    Returns:
        Containers and plain values unchanged, arrays as `PickledArray`.

    Raises:
        RefusedPickleError: It uses another class or function, or more memory than twice its size.
        Exception: The pickle is damaged; any type is possible.
    """
    return _ArraysOnly(data).load()
