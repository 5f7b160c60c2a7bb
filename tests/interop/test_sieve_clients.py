"""Scripts edited by the programs people use: sieve-connect, sievelib; and as Roundcube and Thunderbird speak."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path

import pytest
from sievelib import managesieve

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
    good, bad = tmp_path / "good.sieve", tmp_path / "bad.sieve"
    good.write_text(SCRIPT)
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


@pytest.mark.parametrize("asks_again", [False, True], ids=["roundcube", "thunderbird"])
def test_as_the_two_add_ons_speak(server: Server, asks_again: bool) -> None:
    """Names that are not ASCII as literals (Net_Sieve) or quoted (Thunderbird's), which asks CAPABILITY right behind
    the handshake and reads two answers."""
    name = 'Büro \\ "x"'.encode()
    said = b"{%d+}\r\n%s" % (len(name), name)
    if asks_again:
        said = b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    login = base64.b64encode(f"\0{ALICE}\0{USERS[ALICE]}".encode())
    with Peer(server.ports["managesieve"]) as peer:
        assert b'"STARTTLS"' in b"".join(lines(peer))
        peer.send("STARTTLS")
        assert peer.line().startswith(b"OK")
        peer.start_tls()
        if asks_again:
            peer.send("CAPABILITY")
        for _ in range(1 + asks_again):
            assert any(line.startswith(b'"SASL" "SCRAM-SHA-256 PLAIN') for line in lines(peer))
        peer.send(b'AUTHENTICATE "PLAIN" "' + login + b'"\r\n')
        assert peer.line().startswith(b"OK")
        data = SCRIPT.encode()
        peer.send(b"PUTSCRIPT %s {%d+}\r\n%s\r\nSETACTIVE %s\r\nLISTSCRIPTS\r\n" % (said, len(data), data, said))
        assert [lines(peer)[-1][:2], lines(peer)[-1][:2]] == [b"OK", b"OK"]
        assert lines(peer)[0].rstrip() == b'"B\xc3\xbcro \\\\ \\"x\\"" ACTIVE'
        peer.send(b'SETACTIVE ""\r\nDELETESCRIPT %s\r\n' % said)
        assert [lines(peer)[-1][:2], lines(peer)[-1][:2]] == [b"OK", b"OK"]
