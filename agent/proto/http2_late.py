# SPDX-License-Identifier: Apache-2.0
"""
nghttp2's tables hold pointers, which the dynamic linker would set at the start of every process. In the joined
object (http2_late.ld has put them into one section) each becomes half a word that says how far away its target
is, which the linker knows, and half a word that marks it: http2_hpack.c makes the pointers at the first use.
usage: http2_late.py OBJECT OUTPUT
"""
import struct
import sys

SECTION = b'.data.late'
MARK = 0x9d5e37c1  # LATE_MARK of http2_hpack.c: no pointer begins like this
RELA = 4
# machine: relocation to a pointer, relocation to a distance in 32 bits
KINDS = {62: (1, 2), 183: (257, 261)}


class Section:
    """A row of the section table."""

    def __init__(self, elf, header):
        (self.name, self.type, self.flags, _, self.offset, self.size, self.link, self.info,
         _, _) = struct.unpack_from('<IIQQQQIIQQ', elf, header)

    def contents(self, elf):
        return bytes(elf[self.offset:self.offset + self.size])


def read_sections(elf):
    if elf[:7] != b'\x7fELF\2\1\1' or struct.unpack_from('<H', elf, 16)[0] != 1:
        sys.exit('http2_late: not a relocatable object of 64 bits, little endian')
    table, size, count, names = struct.unpack_from('<Q10xHHH', elf, 40)
    sections = [Section(elf, table + i * size) for i in range(count)]
    texts = sections[names].contents(elf)
    for section in sections:
        section.name = texts[section.name:texts.index(b'\0', section.name)]
    return sections


def make_late(elf):
    sections = read_sections(elf)
    machine = struct.unpack_from('<H', elf, 18)[0]
    if machine not in KINDS:
        sys.exit(f'http2_late: machine {machine} has no row here')
    pointer, distance = KINDS[machine]
    index = next((i for i, section in enumerate(sections) if section.name == SECTION), None)
    if index is None or not sections[index].size:
        sys.exit('http2_late: nghttp2 keeps its tables elsewhere: see http2_late.ld')
    table = sections[index]
    late = set()
    for section in (s for s in sections if s.type == RELA and s.info == index):
        for at in range(section.offset, section.offset + section.size, 24):
            where, kind, symbol = struct.unpack_from('<QII', elf, at)
            if kind != pointer or where % 8:
                sys.exit(f'http2_late: relocation of type {kind} at {where:#x}')
            struct.pack_into('<QII', elf, at, where, distance, symbol)
            struct.pack_into('<II', elf, table.offset + where, 0, MARK)
            late.add(where)
    words = struct.unpack_from(f'<{table.size // 8}Q', elf, table.offset)
    marked = {i * 8 for i, word in enumerate(words) if word >> 32 == MARK}
    if marked != late or not late or table.size % 8:
        sys.exit(f'http2_late: {len(late)} pointers, {len(marked)} marks')


def main():
    with open(sys.argv[1], 'rb') as f:
        elf = bytearray(f.read())
    make_late(elf)
    with open(sys.argv[2], 'wb') as f:
        f.write(elf)


main()
