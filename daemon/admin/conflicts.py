"""Settings that are each well formed and do not go together, or leave a door open: a table of rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator

from daemon.admin.findings import Facts, Finding
from daemon.config import SETTINGS, Config, HostPort, Network
from daemon.flow.route import is_ours

_WORLD = 8  # bits of an IPv4 network at least this large are a good part of the world
_HOUSE = [ipaddress.ip_network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "fc00::/7", "fe80::/10")]
_LISTENERS = [key for key in SETTINGS if key.startswith("listen.")]


def check(facts: Facts) -> Iterator[Finding]:
    """One finding for every rule that is broken; one `ok` when none is."""
    found = [finding for rule in RULES for finding in rule(facts.config)] + list(_strange_author(facts))
    yield from found or [Finding("ok", "settings-fit", "settings", "nothing in them contradicts itself")]


def _strange_author(facts: Facts) -> Iterator[Finding]:
    address = facts.config["reports.from"]
    domain = address.rpartition("@")[2]
    if address and not any(domain == own or domain.endswith("." + own) for own in facts.domains):
        text = f"{address} is at no domain of ours: reports cannot be signed, and most receivers refuse them"
        yield Finding("warning", "reports-unsigned", "reports.from", text, "`mailctl config unset reports.from`")


def _passwords_in_clear(config: Config) -> Iterator[Finding]:
    if not config["auth.require_tls"] and not _loopback_only(config):
        text = "passwords are taken without TLS on listeners that others reach"
        yield Finding("error", "auth-in-clear", "auth.require_tls", text, "`mailctl config unset auth.require_tls`")


def _twice(config: Config) -> Iterator[Finding]:
    seen: dict[tuple[str, int], str] = {}
    for key in _LISTENERS:
        for place in config[key]:
            other = seen.setdefault((place.host, place.port), key)
            if other != key:
                text = f"{place} is {other}'s too: the second cannot be bound"
                yield Finding("error", "listener-twice", key, text, f"give {key} a port of its own")


def _deaf(config: Config) -> Iterator[Finding]:
    if not config["listen.smtp"]:
        text = "no other server can bring mail"
        yield Finding("warning", "smtp-off", "listen.smtp", text, "`mailctl config unset listen.smtp`")
    if not (config["listen.submission"] or config["listen.submissions"]):
        text = "users cannot hand in mail"
        yield Finding("warning", "submission-off", "listen.submission", text, "switch one of both doors on")


def _held(config: Config) -> Iterator[Finding]:
    if config["queue.hold_external"] and not _loopback_only(config):
        text = "mail for other servers is held until released by hand"
        remedy = "`mailctl config unset queue.hold_external`, then `mailctl queue release --all`"
        yield Finding("warning", "mail-held", "queue.hold_external", text, remedy)


def _open_relay(config: Config) -> Iterator[Finding]:
    for key, reason, text in (
        ("smtp.trusted_networks", "open-relay", "may relay through this server without a password: an open relay"),
        ("proxy.trusted", "proxy-open", "may claim to be anybody by a PROXY header"),
        ("limits.exempt_networks", "limits-open", "has no limits on rate and connections"),
    ):
        for network in config[key]:
            if _is_large(network):
                level = "warning" if reason == "limits-open" else "error"
                yield Finding(level, reason, key, f"{network} {text}", f"name single addresses in {key}")


def _queue(config: Config) -> Iterator[Finding]:
    lifetime, retry, warn = config["queue.lifetime"], config["queue.retry"], config["queue.warn_after"]
    if retry and retry[0] >= lifetime:
        text = "the first further try comes after the end of a message's lifetime: nothing is tried twice"
        yield Finding("error", "retry-never", "queue.retry", text, "make queue.retry shorter, or queue.lifetime longer")
    elif warn and warn >= lifetime:
        text = "a sender would be told of a delay after the message was given up"
        yield Finding("warning", "warning-late", "queue.warn_after", text, "make it shorter than queue.lifetime")


def _sizes(config: Config) -> Iterator[Finding]:
    if 0 < config["limits.quota"] < config["limits.message_size"]:
        text = "a message of the allowed size does not fit into an empty mailbox"
        yield Finding("warning", "quota-small", "limits.quota", text, "raise it, or lower limits.message_size")
    if config["limits.connections_per_address"] > config["limits.connections"]:
        text = "one address may have more connections than there are in all"
        remedy = "lower limits.connections_per_address"
        yield Finding("warning", "connections-shared", "limits.connections_per_address", text, remedy)


def _certificate_and_key(config: Config) -> Iterator[Finding]:
    if config["tls.key"] and not config["tls.certificate"]:
        text = "a key without a certificate"
        yield Finding("error", "key-alone", "tls.key", text, "set tls.certificate too, or unset tls.key")


def _newlines(config: Config) -> Iterator[Finding]:
    if config["smtp.bare_newline"] == "normalize":
        text = "bare newlines are taken from everybody: others' servers can be made to smuggle mail in"
        remedy = "`mailctl config unset smtp.bare_newline`, and name who needs it in smtp.bare_newline_exempt"
        yield Finding("warning", "smuggling", "smtp.bare_newline", text, remedy)


def _way_out(config: Config) -> Iterator[Finding]:
    if config["smtp.out_port"] != 25 and not _loopback_only(config):
        text = "other servers listen on port 25 alone"
        yield Finding("error", "out-port", "smtp.out_port", text, "`mailctl config unset smtp.out_port`")
    address = config["smtp.out_address"]
    if address and not is_ours(address):
        text = f"{address} is no address of this machine: no mail goes out"
        yield Finding("error", "out-address", "smtp.out_address", text, "`mailctl config unset smtp.out_address`")


RULES: tuple[Callable[[Config], Iterator[Finding]], ...] = (
    _passwords_in_clear, _twice, _deaf, _held, _open_relay, _queue, _sizes, _certificate_and_key, _newlines, _way_out,
)  # fmt: skip


def _loopback_only(config: Config) -> bool:
    places: list[HostPort] = [place for key in _LISTENERS for place in config[key]]
    return all(place.host == "localhost" or _is_loopback(place.host) for place in places)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_large(network: Network) -> bool:
    house = any(network.version == own.version and network.subnet_of(own) for own in _HOUSE)  # type: ignore[arg-type]
    return not house and network.prefixlen <= (_WORLD if network.version == 4 else 3 * _WORLD)
