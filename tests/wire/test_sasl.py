"""SASL exchanges, both sides, with the vectors of RFC 7677."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from daemon.wire import sasl
from daemon.wire.sasl import Challenge, Claim, Derive, Keys, Proof, Refused, ScramUser, WantKeys

SALT = sasl.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")
PENCIL = sasl.scram_keys("pencil", SALT, 4096)
USER = ScramUser(SALT, 4096, (PENCIL,))
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
END_POINT = hashlib.sha256(b"certificate").digest()


def run(exchange: sasl.Exchange[Any] | None, responses: list[bytes], user: ScramUser = USER) -> tuple[Any, list[bytes]]:
    """Drive a server exchange; its answer and the challenges it made."""
    assert exchange is not None
    replies: Iterator[bytes] = iter(responses)
    challenges: list[bytes] = []
    try:
        want = next(exchange)
        while True:
            if isinstance(want, WantKeys):
                want = exchange.send(user)
            else:
                challenges.append(want.data)
                want = exchange.send(next(replies))
    except StopIteration as end:
        return end.value, challenges


def refusal(exchange: sasl.Exchange[Any] | None, responses: list[bytes], user: ScramUser = USER) -> str:
    with pytest.raises(Refused) as caught:
        run(exchange, responses, user)
    assert str(caught.value) == caught.value.text
    return caught.value.reason


# -- PLAIN and LOGIN ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message, want",
    [
        (b"\0alice\0secret", Claim("alice", "secret")),
        (b"alice\0alice\0secret", Claim("alice", "secret")),
        (b"Alice@Example.org\0alice@example.org\0s", Claim("alice@example.org", "s")),
        (b'\0alice\0p w "quoted" \\ , =', Claim("alice", 'p w "quoted" \\ , =')),
        ("\0jörg\0geheim€".encode(), Claim("jörg", "geheim€")),
        ("\0alice\0g\xfc".encode("latin-1"), Claim("alice", "gü")),
        (b"\0alice\0" + b"p" * 2000, Claim("alice", "p" * 2000)),
    ],
)
def test_plain_gives_name_and_password_with_and_without_an_initial_response(message: bytes, want: Claim) -> None:
    assert run(sasl.exchange("plain", message, "n", None), []) == (want, [])
    assert run(sasl.exchange("PLAIN", None, "n", None), [message]) == (want, [b""])


@pytest.mark.parametrize(
    "message, reason",
    [
        (b"bob\0alice\0secret", "authzid"),
        (b"alice\0secret", "malformed"),
        (b"\0alice\0sec\0ret", "malformed"),
        (b"\0\0secret", "malformed"),
        (b"\0alice\0", "malformed"),
        (b"", "malformed"),
        (b"\0" + b"a" * 600 + b"\0secret", "malformed"),
    ],
)
def test_plain_refuses_what_it_should(message: bytes, reason: str) -> None:
    assert refusal(sasl.plain(message), []) == reason


def test_login_asks_for_both_or_takes_the_name_from_the_command_line() -> None:
    want = Claim("alice", "secret")
    assert run(sasl.exchange("login", None, "n", None), [b"alice", b"secret"]) == (want, [b"Username:", b"Password:"])
    assert run(sasl.exchange("LOGIN", b"alice", "n", None), [b"secret"]) == (want, [b"Password:"])
    # `AUTH LOGIN =` is an empty initial response: ask
    assert run(sasl.login(b""), [b"alice", b"secret"]) == (want, [b"Username:", b"Password:"])


@pytest.mark.parametrize("answers", [[b"", b"x"], [b"alice", b""]])
def test_login_refuses_an_empty_name_or_password(answers: list[bytes]) -> None:
    assert refusal(sasl.login(None), answers) == "malformed"


# -- base64 ------------------------------------------------------------------------------------------------------------


def test_base64_lines() -> None:
    assert sasl.decode(b"AGE=") == b"\0a"
    assert sasl.decode(b" AGE=\t") == b"\0a"
    assert sasl.decode(b"") == b""
    assert sasl.encode(b"\0a") == b"AGE="
    assert sasl.decode_initial(None) is None
    assert sasl.decode_initial(b"  ") is None
    assert sasl.decode_initial(b"=") == b""
    assert sasl.decode_initial(b" AGE=") == b"\0a"  # Windows Mail sends two spaces


@pytest.mark.parametrize(
    "line, reason",
    [(b"*", "cancelled"), (b"A", "malformed"), (b"A G=", "malformed"), (b"\xff\xff\xff\xff", "malformed")],
)
def test_a_line_that_is_no_base64_is_refused(line: bytes, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        sasl.decode(line)
    assert caught.value.reason == reason


def test_a_response_may_have_12288_octets_and_no_more() -> None:
    assert len(sasl.decode(b"A" * 12288)) == 9216
    with pytest.raises(Refused):
        sasl.decode(b"A" * 12292)


# -- SCRAM -------------------------------------------------------------------------------------------------------------


def test_rfc_7677_section_3_vector() -> None:
    final = (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    for first, before in ((None, [b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"]), (b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO", [])):
        proof, challenges = run(sasl.exchange("scram-sha-256", first, SERVER_NONCE, None), [*before, final, b""])
        assert proof == Proof("user", 0)
        assert challenges[-2:] == [
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ]


def converse(
    server: sasl.Exchange[Any] | None,
    password: str,
    user: ScramUser,
    change: Callable[[bytes], bytes] = lambda data: data,
) -> Any:
    """Our client against our server; `change` is the man in the middle of what the client says."""
    client = sasl.client_scram("user", password, CLIENT_NONCE)
    assert server is not None
    first = next(client)
    assert isinstance(first, bytes)
    want = next(server)
    said: bytes | Derive | None = first
    try:
        while True:
            if isinstance(want, WantKeys):
                want = server.send(user)
            elif want == Challenge(b""):
                want = server.send(change(first))
            else:
                assert isinstance(want, Challenge)
                said = client.send(want.data)
                if isinstance(said, Derive):
                    said = client.send(sasl.salted(said.password, said.salt, said.iterations))
                assert isinstance(said, bytes)
                want = server.send(change(said))
    except StopIteration as end:
        sasl.finish(client)
        return end.value


def test_a_proof_is_tried_against_each_password_of_the_user() -> None:
    keys = tuple(sasl.scram_keys(word, SALT, 4096) for word in ("main", "phone", "laptop"))
    user = ScramUser(SALT, 4096, keys)
    for index, word in enumerate(("main", "phone", "laptop")):
        assert converse(sasl.scram(None, "xyz", None, plus=False), word, user) == Proof("user", index)
    with pytest.raises(Refused) as caught:
        converse(sasl.scram(None, "xyz", None, plus=False), "tablet", user)
    assert caught.value.reason == "wrong-password"


def test_a_user_who_does_not_exist_gets_a_salt_that_stays_the_same_and_no_login() -> None:
    nobody = sasl.made_up(b"secret", "nobody", 4096)
    assert nobody == sasl.made_up(b"secret", "nobody", 4096)
    assert nobody.salt != sasl.made_up(b"secret", "somebody", 4096).salt
    assert len(nobody.salt) == 16
    with pytest.raises(Refused) as caught:
        converse(sasl.scram(None, "xyz", None, plus=False), "pencil", nobody)
    assert caught.value.reason == "wrong-password"


def test_plus_binds_the_channel() -> None:
    """The proof is over the bound channel, so compute it as such a client does."""

    def client(end_point: bytes) -> Any:
        server = sasl.exchange("SCRAM-SHA-256-PLUS", None, "xyz", END_POINT)
        assert server is not None
        assert next(server) == Challenge(b"")
        header = b"p=tls-server-end-point,,"
        bare = b"n=user,r=" + CLIENT_NONCE.encode()
        assert server.send(header + bare) == WantKeys("user")
        first = server.send(USER)
        assert isinstance(first, Challenge)
        without = b"c=" + sasl.encode(header + end_point) + b",r=" + CLIENT_NONCE.encode() + b"xyz"
        message = b",".join((bare, first.data, without))
        client_key = sasl._hmac(sasl.salted("pencil", SALT, 4096), b"Client Key")
        proof = sasl._xor(client_key, sasl._hmac(PENCIL.stored, message))
        try:
            final = server.send(without + b",p=" + sasl.encode(proof))
            assert isinstance(final, Challenge) and final.data.startswith(b"v=")
            server.send(b"")
        except StopIteration as end:
            return end.value

    assert client(END_POINT) == Proof("user", 0)
    with pytest.raises(Refused) as caught:
        client(hashlib.sha256(b"the certificate of somebody in between").digest())
    assert caught.value.reason == "channel-binding"


@pytest.mark.parametrize(
    "name, first, end_point",
    [
        ("SCRAM-SHA-256", b"y,,n=user,r=" + b"r" * 20, END_POINT),  # downgrade: it saw no PLUS, we offered it
        ("SCRAM-SHA-256", b"p=tls-server-end-point,,n=user,r=" + b"r" * 20, END_POINT),
        ("SCRAM-SHA-256", b"x,,n=user,r=" + b"r" * 20, None),
        ("SCRAM-SHA-256-PLUS", b"n,,n=user,r=" + b"r" * 20, END_POINT),
        ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=user,r=" + b"r" * 20, END_POINT),
    ],
)
def test_a_binding_flag_that_does_not_fit_the_offer_is_refused(name: str, first: bytes, end_point: bytes) -> None:
    assert refusal(sasl.exchange(name, first, "xyz", end_point), []) == "channel-binding"


def test_the_y_flag_passes_where_no_binding_was_offered() -> None:
    exchange = sasl.exchange("SCRAM-SHA-256", b"y,,n=user,r=" + b"r" * 20, "xyz", None)
    assert exchange is not None
    assert next(exchange) == WantKeys("user")


@pytest.mark.parametrize(
    "first, reason",
    [
        (b"", "malformed"),
        (b"n,,", "malformed"),
        (b"n,,r=abcdefghijkl,n=user", "malformed"),
        (b"n,,m=ext,n=user,r=abcdefghijkl", "malformed"),  # mandatory extension: RFC 5802 §5.1
        (b"n,,n=user,r=short", "malformed"),
        (b"n,,n=,r=abcdefghijkl", "malformed"),
        (b"n,,n=us=er,r=abcdefghijkl", "malformed"),
        (b"n,b=user,n=user,r=abcdefghijkl", "malformed"),
        (b"n,a=bob,n=user,r=abcdefghijkl", "authzid"),
        (b"n,,n=user,r=" + b"a" * 3000, "malformed"),
    ],
)
def test_a_malformed_first_message_is_refused(first: bytes, reason: str) -> None:
    assert refusal(sasl.scram(first, "xyz", None, plus=False), []) == reason


@pytest.mark.parametrize(
    "name, want",
    [
        (b"user", "user"),
        (b"a=2Cb=3Dc", "a,b=c"),
        ("jo\u0308rg".encode(), "j\u00f6rg"),
    ],
)
def test_names_are_unescaped_and_prepared(name: bytes, want: str) -> None:
    exchange = sasl.scram(b"n,a=" + name + b",n=" + name + b",r=abcdefghijkl,ext=1", "xyz", None, plus=False)
    assert next(exchange) == WantKeys(want)


@pytest.mark.parametrize(
    "final",
    [
        b"",
        b"c=biws,r=abcdefghijklxyz",
        b"c=biws,p=AAAA",
        b"x=biws,r=abcdefghijklxyz,p=AAAA",
        b"c=biws,r=abcdefghijkl,p=AAAA",
        b"c=biws,r=abcdefghijklxyz,p=A",
        b"c=b,r=abcdefghijklxyz,p=AAAA",
    ],
)
def test_a_malformed_final_message_is_refused(final: bytes) -> None:
    assert refusal(sasl.scram(b"n,,n=user,r=abcdefghijkl", "xyz", None, plus=False), [final]) == "malformed"


@pytest.mark.parametrize("binding, reason", [(b"eSws", "channel-binding"), (b"biws", "wrong-password")])
def test_a_wrong_binding_and_a_short_proof_are_refused(binding: bytes, reason: str) -> None:
    final = b"c=" + binding + b",r=abcdefghijklxyz,p=AAAA"
    assert refusal(sasl.scram(b"n,,n=user,r=abcdefghijkl", "xyz", None, plus=False), [final]) == reason


def test_a_star_cancels_any_exchange() -> None:
    for line in (b"*", b" * "):
        with pytest.raises(Refused) as caught:
            sasl.decode(line)
        assert caught.value.reason == "cancelled"


# -- the offer ---------------------------------------------------------------------------------------------------------


def test_the_offer_is_ordered_by_strength_and_binds_only_under_tls() -> None:
    assert sasl.offered(None) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert sasl.offered(END_POINT)[0] == "SCRAM-SHA-256-PLUS"
    for name in sasl.offered(END_POINT):
        assert sasl.exchange(name, None, "n", END_POINT) is not None
    for unknown in ("CRAM-MD5", "", "SCRAM-SHA-1", "PLAIN "):
        assert sasl.exchange(unknown, None, "n", END_POINT) is None
    assert sasl.exchange("SCRAM-SHA-256-PLUS", None, "n", None) is None


# -- SASLprep ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, want",
    [
        ("I\u00adX", "IX"),  # RFC 4013 §3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u00e9", "a b\u00e9"),
        ("\u00e9\u0007", "\u00e9\u0007"),  # prohibited: stays as it is
    ],
)
def test_saslprep(text: str, want: str) -> None:
    assert sasl.prepare(text) == want


# -- client ------------------------------------------------------------------------------------------------------------


def test_the_client_takes_the_best_mechanism_both_know() -> None:
    for theirs, name in ((["login", "plain", "scram-sha-256"], "SCRAM-SHA-256"), (["LOGIN", "PLAIN"], "PLAIN")):
        chosen = sasl.client(theirs, "u", "p", "n")
        assert chosen is not None and chosen[0] == name
    chosen = sasl.client(["CRAM-MD5", "login"], "u", "p", "n")
    assert chosen is not None and chosen[0] == "LOGIN"
    assert sasl.client(["CRAM-MD5"], "u", "p", "n") is None


def test_client_plain_and_login() -> None:
    plain = sasl.client_plain("user", "pä")
    assert next(plain) == "\0user\0pä".encode()
    sasl.finish(plain)
    login = sasl.client_login("user", "word")
    assert next(login) is None
    assert login.send(b"User Name\0") == b"user"
    assert login.send(b"Password\0") == b"word"
    sasl.finish(login)


def test_client_scram_says_the_rfc_7677_vector_and_checks_the_server() -> None:
    client = sasl.client_scram("user", "pencil", CLIENT_NONCE)
    assert next(client) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    whole = (CLIENT_NONCE + SERVER_NONCE).encode()
    want = client.send(b"r=" + whole + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    assert want == Derive("pencil", SALT, 4096)
    final = client.send(sasl.salted("pencil", SALT, 4096))
    assert final == b"c=biws,r=" + whole + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert client.send(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    sasl.finish(client)


@pytest.mark.parametrize(
    "challenge",
    [
        b"",
        b"r=other,s=AAAA,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096",  # the server added nothing
        b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=99999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=999999999999999999999",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=x",
        b"m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096",
        b"r=rOprNGfwEbeRWgbNEkqOx,s=A,i=4096",
    ],
)
def test_the_client_refuses_a_server_that_breaks_the_rules(challenge: bytes) -> None:
    client = sasl.client_scram("user", "pencil", CLIENT_NONCE)
    next(client)
    with pytest.raises(Refused) as caught:
        client.send(challenge)
    assert caught.value.reason == "malformed"


def test_the_client_refuses_a_server_that_does_not_know_the_password() -> None:
    client = sasl.client_scram("user", "pencil", CLIENT_NONCE)
    next(client)
    client.send(b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")
    client.send(sasl.salted("pencil", SALT, 4096))
    with pytest.raises(Refused) as caught:
        client.send(b"v=AAAA")
    assert caught.value.reason == "wrong-password"


def test_success_in_the_middle_of_an_exchange_is_not_believed() -> None:
    login = sasl.client_login("user", "word")
    next(login)
    with pytest.raises(Refused):
        sasl.finish(login)
    scram = sasl.client_scram("user", "pencil", CLIENT_NONCE)
    next(scram)
    with pytest.raises(Refused):
        sasl.finish(scram)


def test_keys_are_not_the_password() -> None:
    assert PENCIL == Keys(PENCIL.stored, PENCIL.server)
    assert PENCIL.stored != PENCIL.server
    assert sasl.keys_of(sasl.salted("pencil", SALT, 4096)) == PENCIL
