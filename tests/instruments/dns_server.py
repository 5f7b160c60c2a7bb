"""An authoritative name server on loopback for the DNS of a story, and for resolvers to be tried on.

    async with DNSServer("example.org. MX 10 mx.example.org.\nmx.example.org. A 127.0.0.1") as dns:
        dns.at            # "127.0.0.1:34567", for the setting dns.servers
        dns.asked         # [("example.org", "MX", "udp"), ...]
        dns.trouble["broken.example"] = "SERVFAIL"

`trouble` is keyed by (name, kind), by name, or by "*"; its values are an rcode's name, `hang` (no answer), `truncate`
(UDP says TC and nothing else), `close` (TCP ends), or one of the lies `other-id`, `other-question`, `other-name`,
`garbage`.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from types import TracebackType
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zonefile

from daemon.config import HostPort

_SOA = "ns.test. hostmaster.test. 1 3600 600 86400 60"


class DNSServer:
    """`zone` is master-file text with absolute names; a name in it exists, and so do those above it."""

    def __init__(
        self, zone: str = "", *, ttl: int = 300, validated: bool = False, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.host = host
        self.port = port  # 0: a free one
        self.validated = validated  # set AD in answers, as a validating resolver does
        self.asked: list[tuple[str, str, str]] = []
        self.trouble: dict[tuple[str, str] | str, str] = {}
        self._ttl = ttl
        self._sets: dict[tuple[dns.name.Name, int], dns.rrset.RRset] = {}
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self.add(zone)

    @property
    def at(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def server(self) -> HostPort:
        return HostPort(self.host, self.port)

    def add(self, zone: str) -> None:
        """More records; those of the same name and kind are replaced."""
        for rrset in dns.zonefile.read_rrsets(zone, rdclass=None, default_ttl=self._ttl, relativize=False):
            self._sets[rrset.name, rrset.rdtype] = rrset

    def remove(self, name: str, kind: str) -> None:
        del self._sets[dns.name.from_text(name), dns.rdatatype.from_text(kind)]

    def count(self, name: str, kind: str) -> int:
        """How often it was asked."""
        return sum(asked[:2] == (name, kind) for asked in self.asked)

    # -- answering -----------------------------------------------------------------------------------------------------

    def _answer(self, query: dns.message.Message, transport: str) -> bytes | None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind, transport))
        trouble = self.trouble.get((name, kind)) or self.trouble.get(name) or self.trouble.get("*") or ""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA | dns.flags.RA | (dns.flags.AD if self.validated else 0)
        match trouble:
            case "hang" | "close":
                return None
            case "garbage":
                return b"\x00" + response.to_wire()[1:7]
            case "other-id":
                response.id ^= 1
            case "other-question":
                response.question[0].name = dns.name.from_text("other.example")
            case "truncate" if transport == "udp":
                response.flags |= dns.flags.TC
                return response.to_wire()
            case "other-name":
                text = ("lie.example.", self._ttl, "IN", "A", "192.0.2.66")
                response.answer.append(dns.rrset.from_text(*text))
                return response.to_wire()
            case "" | "truncate":
                pass
            case _:
                response.set_rcode(dns.rcode.from_text(trouble))
                return response.to_wire()
        self._fill(response, question.name, question.rdtype)
        try:
            return response.to_wire(max_size=1232 if transport == "udp" else 65535)
        except dns.exception.TooBig:
            response.answer.clear()
            response.flags |= dns.flags.TC
            return response.to_wire()

    def _fill(self, response: dns.message.Message, name: dns.name.Name, kind: int) -> None:
        for _ in range(12):
            name = dns.name.Name(label.lower() for label in name.labels)
            found = self._sets.get((name, kind))
            alias = self._sets.get((name, dns.rdatatype.CNAME))
            if found is not None:
                response.answer.append(found)
                return
            if alias is None:
                break
            response.answer.append(alias)
            name = alias[0].target
        if not any(other.is_subdomain(name) for other, _ in self._sets):
            response.set_rcode(dns.rcode.NXDOMAIN)
        apex = dns.name.Name(name.labels[-3:]) if len(name.labels) > 2 else name
        response.authority.append(dns.rrset.from_text(apex, 60, "IN", "SOA", _SOA))

    # -- the two transports --------------------------------------------------------------------------------------------

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = self.port
        while self._udp is None:
            self._tcp = await asyncio.start_server(self._stream, self.host, wanted)
            self.port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=(self.host, self.port)
                )
            except OSError:  # somebody has that UDP port: another one
                self._tcp.close()
                if wanted:
                    raise

    async def stop(self) -> None:
        if self._udp is not None and self._tcp is not None:
            self._udp.close()
            self._tcp.close()
            for writer in list(self._open):
                writer.close()
            await self._tcp.wait_closed()
            await asyncio.sleep(0)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                (length,) = struct.unpack(">H", await reader.readexactly(2))
                answer = self._answer(dns.message.from_wire(await reader.readexactly(length)), "tcp")
                if answer is None:
                    break
                writer.write(struct.pack(">H", len(answer)) + answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def __aenter__(self) -> DNSServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DNSServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with contextlib.suppress(dns.exception.DNSException):
            answer = self._server._answer(dns.message.from_wire(data), "udp")
            if answer is not None and self._transport is not None:
                self._transport.sendto(answer, addr)
