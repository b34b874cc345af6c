"""Compares the rows that libapus_arrow.so writes of Parquet files with what pyarrow reads of them.

    Scripts/parity/parquet.py LIBRARY FILE …            value by value; exits with 1 where one differs
    Scripts/parity/parquet.py --mutations N LIBRARY FILE …   N damaged copies of the files; none may end the process

Floats of 32 and 16 bits are compared as such: their shortest decimal form is written.
"""

import ctypes
import datetime
import json
import math
import os
import pathlib
import random
import struct
import sys
import tempfile

import pyarrow as pa
import pyarrow.parquet as pq

UNITS = {"s": (1, 0), "ms": (10**3, 3), "us": (10**6, 6), "ns": (10**9, 9)}


class Library:
    def __init__(self, path):
        self.write = ctypes.CDLL(path).apus_arrow_write_rows
        self.write.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]

    def rows(self, path, kind="parquet"):
        with tempfile.TemporaryFile() as file:
            message = ctypes.create_string_buffer(4096)
            code = self.write(str(path).encode(), kind.encode(), file.fileno(), message, len(message))
            file.seek(0)
            return code, message.value.decode(errors="replace"), file.read().decode().splitlines()


def temporal(scalar):
    """A date or time as text, from the integers that are stored."""
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        per_second, digits = UNITS[kind.unit]
        seconds, fraction = divmod(scalar.value, per_second)
        try:
            text = str(datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds))
        except OverflowError:
            return None
        return text + (f".{fraction:0{digits}d}" if digits else "") + ("Z" if kind.tz else "")
    if pa.types.is_time(kind):
        per_second, digits = UNITS[kind.unit]
        seconds, fraction = divmod(scalar.value, per_second)
        return str((datetime.datetime.min + datetime.timedelta(seconds=seconds)).time()) + (
            f".{fraction:0{digits}d}" if digits else "")
    return str(scalar.as_py())


def same(ours, scalar):
    kind = scalar.type
    if isinstance(kind, pa.BaseExtensionType):
        return same(ours, scalar.value)
    if pa.types.is_dictionary(kind):
        return same(ours, scalar.value)
    if not scalar.is_valid:
        return ours is None
    if pa.types.is_struct(kind):
        return list(ours) == [field.name for field in kind] and all(
            same(ours[field.name], scalar[index]) for index, field in enumerate(kind))
    if pa.types.is_map(kind):
        pairs = [(entry[0], entry[1]) for entry in scalar.values]
        if isinstance(ours, dict):
            return len(ours) == len(pairs) and all(same(ours[key.as_py()], value) for key, value in pairs)
        return len(ours) == len(pairs) and all(
            same(a, key) and same(b, value) for (a, b), (key, value) in zip(ours, pairs))
    if hasattr(scalar, "values"):
        return len(ours) == len(scalar.values) and all(same(a, b) for a, b in zip(ours, scalar.values))
    if pa.types.is_temporal(kind):
        expected = temporal(scalar)
        return expected is None or ours == expected
    value = scalar.as_py()
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return ours is None
        return ours == (None if "\0" in text else text)
    if pa.types.is_decimal(kind):
        return ours == float(value)
    if pa.types.is_floating(kind):
        if not math.isfinite(value):
            return ours is None
        form = {16: "e", 32: "f", 64: "d"}[kind.bit_width]
        return isinstance(ours, float) and struct.pack(form, ours) == struct.pack(form, value)
    return type(ours) is type(value) and ours == value


def difference(library, path):
    """What differs; None where nothing does, and a text in brackets where both refuse."""
    code, message, lines = library.rows(path)
    try:
        table = pq.ParquetFile(path).read(use_threads=False)
    except Exception as error:  # noqa: BLE001: pyarrow has many kinds
        theirs = str(error).splitlines()[0]
        return f"[refused: {message}]" if code else f"pyarrow refuses it: {theirs}"
    if code:
        names = [field.name for field in table.schema]
        return f"[refused: {message}]" if len(set(names)) < len(names) else f"refused: {message}"
    if len(lines) != table.num_rows:
        return f"{len(lines)} rows, not {table.num_rows}"
    for number, line in enumerate(lines):
        row = json.loads(line)
        for column in table.schema.names:
            if not same(row[column], table.column(column)[number]):
                return f"row {number + 1}, {column}: {row[column]!r}, not {table.column(column)[number]!r}"
    return None


def compare(library, paths):
    counts = {"equal": 0, "refused": 0, "differ": 0}
    for path in paths:
        found = difference(library, path)
        kind = "equal" if found is None else "refused" if found.startswith("[") else "differ"
        counts[kind] += 1
        if found:
            print(f"{pathlib.Path(path).name}: {found}"[:300])
    print(counts)
    return counts["differ"]


def mutate(library, paths, count):
    generator = random.Random(20)
    refused = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            path = pathlib.Path(generator.choice(paths))
            data = bytearray(path.read_bytes())
            choice = generator.random()
            if choice < 0.2:
                del data[generator.randrange(len(data)):]
            else:
                # The footer is where most decisions are; a quarter of the changes go anywhere.
                footer = struct.unpack("<I", data[-8:-4])[0] + 8 if len(data) > 12 else len(data)
                start = 0 if choice < 0.4 else max(0, len(data) - min(footer, len(data)))
                for _ in range(generator.choice([1, 1, 2, 8])):
                    data[generator.randrange(start, len(data))] = generator.randrange(256)
            damaged = pathlib.Path(folder) / "damaged"
            damaged.write_bytes(data)
            # In a process of its own: one that ends is what is looked for.
            child = os.fork()
            if child == 0:
                kind = "arrow" if path.suffix in (".arrow", ".feather") else "parquet"
                os._exit(library.rows(damaged, kind)[0])
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            if code not in (0, 1):
                keep = pathlib.Path(tempfile.gettempdir()) / f"crash-{number}{path.suffix}"
                keep.write_bytes(data)
                print(f"{path.name}, mutation {number}: ended with {code}; kept as {keep}")
                return 1
            refused += code
    print(f"{count} damaged files: {refused} refused, {count - refused} read, none ended the process")
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    mutations = None
    if words[0] == "--mutations":
        mutations = int(words[1])
        words = words[2:]
    found = Library(words[0])
    sys.exit(1 if (mutate(found, words[1:], mutations) if mutations else compare(found, words[1:])) else 0)
