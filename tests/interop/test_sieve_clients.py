"""Scripts edited by the programs people use: sieve-connect, sievelib; and as Roundcube and Thunderbird speak."""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path

import pytest
from sievelib import managesieve

from daemon.wire import sasl
from tests.instruments.peer import Peer
from tests.instruments.server import Server
from tests.interop.conftest import USERS, run, trusting

ALICE, BOB = USERS
SCRIPT = 'require "fileinto";\r\nif header :contains "subject" "sieve" { fileinto "INBOX"; }\r\n'
TYPE = """set timeout 20
spawn -noecho {*}$argv
expect -nocase "*assword*" { send "%s\\r" }
expect eof
catch wait result
exit [lindex $result 3]
"""


def connect(server: Server, folder: Path, *options: str | Path, code: int = 0) -> str:
    """sieve-connect insists on a terminal for the password."""
    script = folder / "type.exp"
    script.write_text(TYPE % USERS[ALICE])
    return run(
        "expect", "-f", script, "sieve-connect", "-s", "127.0.0.1", "-p", str(server.ports["managesieve"]),
        "-u", ALICE, "-m", "PLAIN", "--notlsverify", "--nosslverify", *options, cwd=folder,
        codes=(code,),
    )  # fmt: skip


def test_sieve_connect(server: Server, tmp_path: Path) -> None:
    good, bad, odd = tmp_path / "good.sieve", tmp_path / "bad.sieve", tmp_path / "odd.sieve"
    good.write_text(SCRIPT)
    odd.write_text('require "fileinto"; fileinto "none"; fileinto "gone"; stop; keep;\n')  # three warnings
    assert "failed" not in connect(server, tmp_path, "--localsieve", odd, "--remotesieve", "odd", "--upload")
    connect(server, tmp_path, "--remotesieve", "odd", "--delete")
    bad.write_text("if bogus { nope }\n")
    connect(server, tmp_path, "--localsieve", good, "--remotesieve", "rules", "--upload")
    connect(server, tmp_path, "--remotesieve", "rules", "--activate")
    assert '"rules" ACTIVE' in connect(server, tmp_path, "--list")
    refused = connect(server, tmp_path, "--localsieve", bad, "--remotesieve", "bad", "--upload", code=1)
    assert "line 1, column 17: " in refused
    assert "fileinto" in connect(server, tmp_path, "--remotesieve", "rules", "--localsieve", "-", "--download")
    connect(server, tmp_path, "--deactivate")
    connect(server, tmp_path, "--remotesieve", "rules", "--delete")
    assert '"' not in connect(server, tmp_path, "--list")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")  # it warns of passwords in the clear, as it should
def test_sievelib(server: Server, mechanism: str, tls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssl, "create_default_context", trusting)
    client = managesieve.Client("127.0.0.1", server.ports["managesieve"])
    assert client.connect(BOB, USERS[BOB], starttls=tls, authmech=mechanism)
    assert "vacation" in client.get_sieve_capabilities()
    assert client.havespace("main", 100) and client.putscript("main", SCRIPT)
    assert not client.putscript("bad", "nonsense") and client.checkscript(SCRIPT)
    assert client.setactive("main") and client.listscripts() == ("main", [])
    assert client.getscript("main").strip() == SCRIPT.replace("\r\n", "\n").strip()
    assert not client.deletescript("main")
    assert client.renamescript("main", "other") and client.setactive("") and client.deletescript("other")
    client.logout()


def lines(peer: Peer) -> list[bytes]:
    """An answer up to its OK, NO or BYE."""
    found = [peer.line()]
    while not found[-1].startswith((b"OK", b"NO", b"BYE")):
        found.append(peer.line())
    return found


def plain(user: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{USERS[user]}".encode())


def announced(peer: Peer, sasl: bytes = b'"SASL" "SCRAM-SHA-256 PLAIN') -> list[bytes]:
    """Capabilities, each in one line as both read them: strings in quotes."""
    found = lines(peer)
    assert found[-1].startswith(b"OK") and all(re.fullmatch(rb'"[A-Z]+"( "[^"]*")?', line) for line in found[:-1])
    assert any(line.startswith(sasl) for line in found)
    return found


def test_as_roundcube_speaks(server: Server) -> None:
    """Net_Sieve: capabilities come unasked behind the handshake, and are asked for behind the password; names that are
    not ASCII are literals; a line is at most 8,192 octets, an empty one is the end of the connection."""
    name = 'Büro \\ "x"'.encode()
    called = b"{%d+}\r\n%s" % (len(name), name)
    with Peer(server.ports["managesieve"]) as peer:
        assert b'"STARTTLS"' in announced(peer, b'"SASL" "')
        peer.send("STARTTLS")
        assert peer.line().startswith(b"OK")
        peer.start_tls()
        announced(peer)
        peer.send(b'AUTHENTICATE "PLAIN" "%s"\r\nCAPABILITY\r\n' % plain(ALICE))
        assert peer.line().startswith(b"OK")
        announced(peer)
        peer.send("LISTSCRIPTS")
        assert lines(peer) == [b"OK"]
        data = SCRIPT.encode()
        peer.send(b"HAVESPACE %s %d" % (called, len(data)) + b"\r\n")
        assert lines(peer) == [b"OK"]
        peer.send(b"PUTSCRIPT %s {%d+}\r\n%s\r\n" % (called, len(data), data))
        assert lines(peer) == [b"OK"]
        peer.send(b"SETACTIVE %s\r\nLISTSCRIPTS\r\n" % called)
        assert lines(peer) == [b"OK"]
        assert lines(peer) == [b'"B\xc3\xbcro \\\\ \\"x\\"" ACTIVE', b"OK"]
        peer.send(b"GETSCRIPT %s\r\n" % called)
        assert peer.line() == b"{%d}" % len(data)
        assert peer.exactly(len(data) + 2) == data + b"\r\n" and peer.line() == b"OK"
        peer.send(b'PUTSCRIPT "bad" {11+}\r\nif\r\nbogus;\r\n')
        assert lines(peer)[-1].startswith(b'NO "line ')
        peer.send(b"DELETESCRIPT %s\r\n" % called)
        assert lines(peer)[-1].startswith(b"NO (ACTIVE) ")
        peer.send(b'SETACTIVE ""\r\nDELETESCRIPT %s\r\n' % called)
        assert [*lines(peer), *lines(peer)] == [b"OK", b"OK"]
        peer.send("LOGOUT")
        assert peer.line().startswith(b"OK")


def test_as_roundcube_logs_in_by_login(server: Server) -> None:
    with Peer(server.ports["managesieve"]) as peer:
        announced(peer, b'"SASL" "')
        peer.send('AUTHENTICATE "LOGIN"')
        for word in (ALICE, USERS[ALICE]):
            assert re.fullmatch(rb'"[A-Za-z0-9+/=]*"', peer.line())
            peer.send(b'"' + base64.b64encode(word.encode()) + b'"\r\n')
        assert peer.line().startswith(b"OK")


def test_as_thunderbird_s_extension_speaks(server: Server) -> None:
    """It asks CAPABILITY right behind the handshake, and reads two answers; takes the first mechanism of ours, SCRAM,
    whose last word comes with OK; names are quoted, scripts literals; an empty NOOP keeps the connection alive."""
    name = b'"B\xc3\xbcro \\\\ \\"x\\""'
    with Peer(server.ports["managesieve"]) as peer:
        announced(peer, b'"SASL" "')
        peer.send("STARTTLS")
        assert peer.line().startswith(b"OK")
        peer.start_tls()
        peer.send("CAPABILITY")
        assert announced(peer)[:-1] == announced(peer)[:-1]
        exchange = sasl.client_scram(BOB, USERS[BOB], "a" * 64)
        first = next(exchange)
        assert isinstance(first, bytes)
        peer.send(b'AUTHENTICATE "SCRAM-SHA-256" "' + sasl.encode(first) + b'"\r\n')
        asked = exchange.send(sasl.decode(peer.line().strip(b'"')))
        assert isinstance(asked, sasl.Derive)
        proof = exchange.send(sasl.salted(asked.password, asked.salt, asked.iterations))
        assert isinstance(proof, bytes)
        peer.send(b'"' + sasl.encode(proof) + b'"\r\n')
        last = re.fullmatch(rb'OK \(SASL "([^"]+)"\)', peer.line())
        assert last and exchange.send(sasl.decode(last[1])) == b""
        sasl.finish(exchange)
        peer.send("CAPABILITY")
        assert b'"OWNER" "%s"' % BOB.encode() in announced(peer)
        data = SCRIPT.encode()
        peer.send(b"CHECKSCRIPT {%d+}\r\n%s\r\n" % (len(data), data))
        assert lines(peer) == [b"OK"]
        peer.send(b"PUTSCRIPT %s {%d+}\r\n%s\r\n" % (name, len(data), data))
        assert lines(peer) == [b"OK"]
        peer.send(b'RENAMESCRIPT %s "new"\r\nSETACTIVE "new"\r\nNOOP\r\nLISTSCRIPTS\r\n' % name)
        assert [lines(peer)[-1][:2] for _ in range(3)] == [b"OK", b"OK", b"OK"]
        assert lines(peer) == [b'"new" ACTIVE', b"OK"]
        peer.send(b'GETSCRIPT "new"\r\n')
        assert peer.line() == b"{%d}" % len(data) and peer.exactly(len(data) + 2) == data + b"\r\n"
        assert peer.line() == b"OK"
        peer.send(b'SETACTIVE ""\r\nDELETESCRIPT "new"\r\nLOGOUT\r\n')
        assert [peer.line()[:2] for _ in range(3)] == [b"OK", b"OK", b"OK"]
