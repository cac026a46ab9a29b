"""Requests from standard input, and what was found in them to standard output; see README.md."""

import sys


def requests():
    """The number of each request, and its headers: lists of values by name."""
    for line in sys.stdin:
        number, *headers = line.rstrip("\n").split("\t")
        found = {}
        for header in headers:
            name, value = header.split("=")
            # As servers read header values: a byte is a character.
            found.setdefault(name, []).append(bytes.fromhex(value).decode("latin-1"))
        yield number, found


def say(number, reader, kind, text):
    sys.stdout.write(f"{number}\t{reader}\t{kind}\t{text.encode('utf-8', 'surrogatepass').hex()}\n")


def present(reader, *kinds):
    """Says who reads here: who then finds nothing is noticed."""
    for kind in kinds:
        say("-", reader, kind, "")
