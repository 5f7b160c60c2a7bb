"""Octets by the id of their blob: uploads, whole messages, parts of messages; and the methods of RFC 9404."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from daemon.config import Config
from daemon.limits import LIMITS
from daemon.mail import object_ids
from daemon.serve.web.jmap import gets, sets
from daemon.serve.web.jmap.blob.find_blob import Found, find, holder
from daemon.serve.web.jmap.method import Arguments, Call, Method, MethodError
from daemon.serve.web.jmap.sets import SetError, bad
from daemon.serve.web.visitors import Visitor
from daemon.store import email_sets, uploads
from daemon.store.spool import Body

_DIGESTS = {"digest:sha": "sha1", "digest:sha-256": "sha256", "digest:sha-512": "sha512"}
_DATA = ("data", "data:asText", "data:asBase64")
_TYPES = ("Email", "Mailbox", "Thread")


async def read(call: Call, name: str) -> bytes | None:
    """All octets of a blob of this user's; None when there is no such one."""
    found = await find(call.store, call.account_id, sets.real_id(call, name))
    return None if found is None else found.data


# -- Blob/upload (RFC 9404 §4.1) ---------------------------------------------------------------------------------------


async def upload(call: Call, arguments: Arguments) -> Arguments:
    if set(arguments) - {"accountId", "create"} or not isinstance(arguments.get("create"), dict):
        raise MethodError("invalidArguments", "its arguments are accountId and create")
    wanted = sets.asked({"create": arguments["create"]})
    created: dict[str, Arguments] = {}
    refused: dict[str, Arguments] = {}
    for mark, given in wanted.create.items():
        try:
            created[mark] = made = await sets.guarded(_upload(call, given))
            call.created[mark] = made["id"]
        except SetError as no:
            refused[mark] = no.answer
    return {"accountId": sets.account_name(call), "created": created or None, "notCreated": refused or None}


async def _upload(call: Call, given: Arguments) -> Arguments:
    sources, type = given.get("data"), given.get("type")
    if set(given) - {"data", "type"} or not isinstance(sources, list):
        raise bad(["data"], "data is a list of sources")
    if type is not None and (not isinstance(type, str) or not type.isprintable() or len(type) > 200):
        raise bad(["type"], "type is a media type")
    if len(sources) > LIMITS.blob_sources:
        raise SetError("tooLarge", f"a blob is made of at most {LIMITS.blob_sources} sources")
    pieces: list[bytes] = []
    for source in sources:
        pieces.append(await _piece(call, source))
        if sum(map(len, pieces)) > LIMITS.blob_made:
            raise SetError(
                "tooLarge", f"a blob made so has at most {LIMITS.blob_made} octets", maxSize=LIMITS.blob_made
            )
    with Body.of(b"".join(pieces)) as body:
        media = type or "application/octet-stream"
        name = await call.store.write(uploads.put, call.account_id, body, media, bodies=[body])
        return {"id": name, "type": media, "size": body.size}


async def _piece(call: Call, source: Any) -> bytes:
    if not isinstance(source, dict):
        raise bad(["data"], "a source is an object")
    text, encoded = source.get("data:asText"), source.get("data:asBase64")
    if len(source) == 1 and isinstance(text, str):
        return text.encode("utf-8", "replace")
    if len(source) == 1 and isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise bad(["data"], "data:asBase64 is no base64") from None
    if not isinstance(source.get("blobId"), str) or set(source) - {"blobId", "offset", "length"}:
        raise bad(["data"], "a source has data:asText, data:asBase64 or blobId")
    data = await read(call, source["blobId"])
    if data is None:
        raise SetError("blobNotFound", "there is no such blob", notFound=[source["blobId"]])
    offset, length = source.get("offset") or 0, source.get("length")
    if not _is_count(offset) or not (length is None or _is_count(length)):
        raise bad(["data"], "offset and length are numbers")
    end = len(data) if length is None else offset + length
    if end > len(data) or offset > len(data):
        raise bad(["data"], "the blob is shorter than that")
    return data[offset:end]


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0


# -- Blob/get (RFC 9404 §4.2) ------------------------------------------------------------------------------------------


class _Cut(NamedTuple):
    offset: int
    length: int | None


async def get(call: Call, arguments: Arguments) -> Arguments:
    known = ("id", *_DATA, *_DIGESTS, "size", "isEncodingProblem", "isTruncated")
    ids, properties = gets.wanted(arguments, known, ("offset", "length"))
    if ids is None:
        raise MethodError("invalidArguments", "ids cannot be null")
    properties = ("id", "data", "size") if arguments.get("properties") is None else properties
    cut = _Cut(arguments.get("offset") or 0, arguments.get("length"))
    if not _is_count(cut.offset) or not (cut.length is None or _is_count(cut.length)):
        raise MethodError("invalidArguments", "offset and length are numbers")
    listed, missing, told, read = [], [], 0, 0
    for name in dict.fromkeys(ids):
        found = await find(call.store, call.account_id, sets.real_id(call, name))
        if found is None:
            missing.append(name)
            continue
        listed.append(one := await call.store.aside(_told, name, found, properties, cut))
        told += sum(len(value) for key, value in one.items() if key in _DATA and value)
        read += len(found.data)
        if told > LIMITS.blob_made or read > LIMITS.blob_read:
            raise MethodError("requestTooLarge", "ask for fewer, or for stretches of them; or download them")
    return {"accountId": sets.account_name(call), "list": listed, "notFound": missing}


def _told(name: str, found: Found, properties: Sequence[str], cut: _Cut) -> Arguments:
    end = len(found.data) if cut.length is None else cut.offset + cut.length
    data = found.data[cut.offset : end]
    one: Arguments = {"id": name}
    wanted = set(properties)
    if wanted & set(_DATA):
        data = data[: LIMITS.blob_made + 1]
        text: str | None
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = None
        if "data:asText" in wanted or ("data" in wanted and text is not None):
            one["data:asText"] = text
        if "data:asBase64" in wanted or ("data" in wanted and text is None):
            one["data:asBase64"] = base64.b64encode(data).decode()
        if text is None and wanted & {"data:asText", "data"}:
            one["isEncodingProblem"] = True
        if end > len(found.data) or cut.offset > len(found.data):
            one["isTruncated"] = True
    for prop, algorithm in _DIGESTS.items():
        if prop in wanted:
            digest = hashlib.new(algorithm, found.data[cut.offset : end], usedforsecurity=False).digest()
            one[prop] = base64.b64encode(digest).decode()
    if "size" in wanted:
        one["size"] = len(found.data)
    return one


# -- Blob/lookup (RFC 9404 §4.3) ---------------------------------------------------------------------------------------


async def lookup(call: Call, arguments: Arguments) -> Arguments:
    names, ids = arguments.get("typeNames"), arguments.get("ids")
    if not all(isinstance(v, list) and all(isinstance(one, str) for one in v) for v in (names, ids)):
        raise MethodError("invalidArguments", "typeNames and ids are lists of texts")
    assert names is not None and ids is not None
    if strange := [name for name in names if name not in _TYPES]:
        raise MethodError("unknownDataType", f"{strange[0]} has no blobs here")
    if len(ids) > LIMITS.jmap_get:
        raise MethodError("requestTooLarge", f"at most {LIMITS.jmap_get} objects at once")
    listed, missing = [], []
    for name in dict.fromkeys(ids):
        found = await call.store.aside(holder, call.store, call.account_id, name)
        if found is None:
            missing.append(name)
            continue
        matched: dict[str, list[str]] = {type: [] for type in names}
        if found.email_id is not None:
            places = call.store.peek(email_sets.memberships, call.account_id, found.email_id)
            boxes = [f"{object_ids.MAILBOX}{number}" for number in sorted({place.mailbox_id for place in places})]
            matched |= {
                type: ids_
                for type, ids_ in (
                    ("Email", [f"{object_ids.EMAIL}{found.email_id}"]),
                    ("Mailbox", boxes),
                    ("Thread", [f"{object_ids.THREAD}{found.thread_id}"]),
                )
                if type in matched
            }
        listed.append({"id": name, "matchedIds": matched})
    return {"accountId": sets.account_name(call), "list": listed, "notFound": missing}


def capability(config: Config, visitor: Visitor) -> Arguments:
    """RFC 9404 §2.1."""
    return {
        "maxSizeBlobSet": LIMITS.blob_made,
        "maxDataSources": LIMITS.blob_sources,
        "supportedTypeNames": list(_TYPES),
        "supportedDigestAlgorithms": [name.partition(":")[2] for name in _DIGESTS],
    }


METHODS: dict[str, Method] = {"Blob/upload": upload, "Blob/get": get, "Blob/lookup": lookup}
