"""What .NET reads, by the rules of its source, in our own words.

- opentelemetry-dotnet, `OpenTelemetry.Api/Context/Propagation/BaggagePropagator.cs`: all lines are
  split at commas and members at their first `=`; key and value are decoded as form fields are
  (`+` is a space), and not trimmed; `Baggage` compares keys without case.
- dotnet/runtime, `System.Diagnostics.DiagnosticSource`, `LegacyPropagator.cs` (the default up to
  .NET 9): `baggage`, else `Correlation-Context`; a key ends at white space or `=`, only white space
  may stand between; a value ends at white space, `,` or `;`; both are decoded as form fields and
  trimmed. Handed on as `Correlation-Context`.
- `W3CPropagator.cs` (the default from .NET 10): `baggage`, else `Correlation-Context`; the first
  member without a key or a value ends the list; keys are trimmed and not decoded; other bytes than
  W3C's in a key drop the member. Handed on as `baggage`.
"""

import re
from urllib.parse import quote_plus, unquote_plus

from lines import present, requests, say

TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z|~]+")


def opentelemetry(lines):
    for member in ",".join(lines).split(","):
        key, equals, value = member.partition("=")
        key, value = unquote_plus(key), unquote_plus(value)
        if equals and key and value:
            yield key, value


def legacy(line):
    member = re.compile(r"[ \t]*([^ \t=]+)[ \t]*=[ \t]*([^ \t,;]*)[^,]*(?:,|$)")
    at = 0
    while at < len(line):
        found = member.match(line, at)
        if not found:
            return
        if found[2]:
            yield unquote_plus(found[1]).strip(" \t"), unquote_plus(found[2]).strip(" \t")
        at = found.end()


def w3c(line):
    for member in line.split(","):
        key, _, value = member.partition("=")
        if not key or not value:
            return
        key = key.strip(" \t")
        if TOKEN.fullmatch(key):
            yield key, unquote_plus(value.strip(" \t").replace("+", "%2B"))


for name in ("opentelemetry-dotnet", "dotnet 9", "dotnet 10"):
    present(name, "key", "baggage")

for number, headers in requests():
    baggage = headers.get("baggage", [])
    either = ",".join(baggage or headers.get("correlation-context", []))
    readers = {
        "opentelemetry-dotnet": list(opentelemetry(baggage)),
        "dotnet 9": list(legacy(either)),
        "dotnet 10": list(w3c(either)),
    }
    for reader, members in readers.items():
        for key, _ in members:
            say(number, reader, "key", key)
        if members:
            # .NET 10 writes keys as they are.
            plain = reader == "dotnet 10"
            out = (f"{key if plain else quote_plus(key)}={quote_plus(value)}" for key, value in members)
            say(number, reader, "baggage", ",".join(out))
