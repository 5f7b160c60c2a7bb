"""What is found over HTTP, and what is not."""

from __future__ import annotations

import socket

import pytest
import trustme

from daemon.admin import mtasts, pem
from daemon.config import Config
from daemon.store import certificates, domains
from tests.serve.web.conftest import Site, leave

STS = "/.well-known/mta-sts.txt"
CHALLENGE = "/.well-known/acme-challenge/"


def status(answer: str) -> int:
    return int(answer.split(" ", 2)[1])


async def test_the_policy_of_a_domain_of_ours(site: Site) -> None:
    site.settings |= {"mta_sts.mode": "enforce", "mta_sts.max_age": "4w"}
    site.open()
    head, _, body = (await site.ask(STS)).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200 ") and "Content-Type: text/plain" in head
    assert body == "version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmax_age: 2419200\r\n"


@pytest.mark.parametrize(
    "host, path",
    [
        ("mta-sts.other.example", STS),
        ("example.org", STS),
        ("mail.example.org", STS),
        ("mta-sts.", STS),
        ("192.0.2.1", STS),
        ("mta-sts.example.org", "/index.html"),
        ("mta-sts.example.org", "/.well-known/"),
        ("mta-sts.example.org", CHALLENGE + "unknown"),
        ("mta-sts.example.org", CHALLENGE + "../mta-sts.txt"),
        ("mta-sts.example.org", CHALLENGE + "%27%20or%201=1"),
    ],
)
async def test_all_else_is_not_there(site: Site, host: str, path: str) -> None:
    site.open()
    assert status(await site.ask(path, host=host)) == 404


async def test_the_host_may_be_written_in_any_way(site: Site) -> None:
    site.open()
    for host in ("MTA-STS.Example.ORG", "mta-sts.example.org.", "mta-sts.example.org:443"):
        assert status(await site.ask(STS, host=host)) == 200, host


async def test_a_domain_that_is_off_has_no_policy(site: Site) -> None:
    site.store.write_now(lambda tx: domains.change(tx, "example.org", enabled=False))
    site.open()
    assert status(await site.ask(STS)) == 404


async def test_a_challenge_is_answered_in_the_clear_until_its_time_is_over(site: Site) -> None:
    site.challenge("http-01", "mail.example.org", "tok-1", "tok-1.thumb")
    site.challenge("http-01", "mail.example.org", "tok-2", "tok-2.thumb", patience=-1)
    site.challenge("tls-alpn-01", "mail.example.org", "tok-3", "tok-3.thumb")
    site.open()
    answer = await site.ask(CHALLENGE + "tok-1", name="http")
    assert status(answer) == 200 and answer.endswith("\r\n\r\ntok-1.thumb")
    assert "application/octet-stream" in answer
    for token in ("tok-2", "tok-3", "tok-1x"):
        assert status(await site.ask(CHALLENGE + token, name="http")) == 404


async def test_in_the_clear_all_else_is_sent_to_https_at_the_same_name(site: Site) -> None:
    site.open()
    for host, path, there in (
        ("mta-sts.example.org", STS, "https://mta-sts.example.org:8443" + STS),
        ("example.org:80", "/a?b=c%20d", "https://example.org:8443/a?b=c%20d"),
        ("192.0.2.1", "/", "https://mail.example.org:8443/"),
        ("x/y", "/", "https://mail.example.org:8443/"),
    ):
        site.settings["listen.https"] = "127.0.0.1:8443"
        answer = await site.ask(path, name="http", host=host)
        assert status(answer) == 308 and f"\r\nLocation: {there}\r\n" in answer, answer
    site.settings["listen.https"] = "127.0.0.1:443"
    assert "Location: https://example.org/\r\n" in await site.ask("/", name="http", host="example.org")
    site.settings["listen.https"] = "off"
    assert status(await site.ask("/", name="http")) == 404


async def test_nothing_says_which_program_this_is(site: Site) -> None:
    site.open()
    for answer in (
        await site.ask(STS),
        await site.ask("/"),
        await site.ask("/", name="http"),
        await site.ask(STS, verb="BREW"),
        await site.ask(STS, verb="POST"),
        await site.ask("no slash"),
        await site.ask("/", host="two\r\nHost: hosts"),
    ):
        assert "aiohttp" not in answer.lower() and "python" not in answer.lower(), answer
        assert "\r\nServer: \r\n" in answer or "\r\nServer:" not in answer


async def test_a_certificate_that_somebody_vouches_for_keeps_browsers_on_https(site: Site) -> None:
    site.open()
    assert "Strict-Transport-Security" not in await site.ask(STS), "or nobody could look past our own"
    made = trustme.CA().issue_cert("mta-sts.example.org")
    chain, key = made.cert_chain_pems[0].bytes().decode(), made.private_key_pem.bytes().decode()
    seen = pem.examine(chain, key)
    site.store.write_now(certificates.add, seen.names, chain, key, "imported", seen.not_before_at, seen.not_after_at)
    assert site.keyring.reload()
    assert "\r\nStrict-Transport-Security: max-age=31536000\r\n" in await site.ask(STS)
    assert "Strict-Transport-Security" not in await site.ask("/", name="http")


async def test_a_request_without_a_host_is_a_bad_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()
    monkeypatch.setattr(socket, "getfqdn", lambda: 1 / 0)  # it would ask the resolver
    for version in ("1.0", "1.1"):
        for name in ("http", "https"):
            reader, writer = await site.dial(name)
            writer.write(f"GET / HTTP/{version}\r\nConnection: close\r\n\r\n".encode())
            assert status((await reader.read()).decode()) == 400
            await leave(writer)


async def test_a_fault_of_ours_is_told_as_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.open()

    def fail(config: object) -> str:
        raise RuntimeError("secret")

    monkeypatch.setattr(mtasts, "policy", fail)
    answer = await site.ask(STS)
    assert status(answer) == 500 and "secret" not in answer


def test_the_id_changes_when_the_policy_does() -> None:
    def policy_id(**more: str) -> str:
        rows = {"hostname": "mail.example.org"} | {f"mta_sts.{key}": value for key, value in more.items()}
        return mtasts.policy_id(Config(rows.items()))

    ids = {policy_id(), policy_id(mode="enforce"), policy_id(mode="none"), policy_id(max_age="1d")}
    assert len(ids) == 4 and policy_id() == policy_id(mode="testing")
    assert all(len(i) <= 32 and i.isalnum() for i in ids)  # RFC 8461 §3.1


def test_a_policy_is_remembered_for_a_year_at_most() -> None:
    assert "max_age: 31557600\r\n" in mtasts.policy(Config([("mta_sts.max_age", "90w")]))
