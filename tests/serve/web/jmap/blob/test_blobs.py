"""Blob/upload, Blob/get, Blob/lookup (RFC 9404)."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import pytest

from daemon.limits import LIMITS
from daemon.serve.web.jmap.blob import blobs
from daemon.store.check import check
from tests.serve.web.jmap.writing import Client
from tests.store import stage


async def made(ann: Client, *sources: Any, **more: Any) -> str:
    answer = await ann.ask("Blob/upload", create={"b": {"data": list(sources), **more}})
    assert answer["notCreated"] is None, answer
    return str(answer["created"]["b"]["id"])


async def test_a_blob_is_made_of_texts_octets_and_other_blobs(ann: Client) -> None:
    """The example of RFC 9404 §4.1.1: a reference to a blob of the same request."""
    first = {"data": [{"data:asText": "The quick brown fox jumped over the "}, {"data:asBase64": "bGF6eSBkb2cu"}]}
    second = {"type": "text/x", "data": [{"blobId": "#one", "offset": 4, "length": 5}, {"data:asText": "!"}]}
    answers = await ann.request(
        ("Blob/upload", {"create": {"one": first}}), ("Blob/upload", {"create": {"two": second}})
    )
    one, two = answers[0][1]["created"]["one"], answers[1][1]["created"]["two"]
    assert ann.octets(one["id"]) == b"The quick brown fox jumped over the lazy dog." and one["size"] == 45
    assert ann.octets(two["id"]) == b"quick!" and two["type"] == "text/x" and two["size"] == 6
    assert ann.octets(await made(ann)) == b""  # of no sources an empty one
    assert list(check(ann.store)) == []


@pytest.mark.parametrize(
    "given,type",
    [
        ({}, "invalidProperties"),
        ({"data": ["x"]}, "invalidProperties"),
        ({"data": [{"data:asBase64": "?"}]}, "invalidProperties"),
        ({"data": [{"data:asText": 1}]}, "invalidProperties"),
        ({"data": [{"data:asText": "x"}], "type": 1}, "invalidProperties"),
        ({"data": [{"data:asText": "x"}], "name": "x"}, "invalidProperties"),
        ({"data": [{"blobId": "f404"}]}, "blobNotFound"),
        ({"data": [{"data:asText": "x"}] * (LIMITS.blob_sources + 1)}, "tooLarge"),
        ({"data": [{"data:asText": "x" * (LIMITS.blob_made + 1)}]}, "tooLarge"),
    ],
)
async def test_what_is_no_blob(ann: Client, given: dict[str, Any], type: str) -> None:
    answer = await ann.ask("Blob/upload", create={"b": given})
    assert answer["notCreated"]["b"]["type"] == type and answer["created"] is None
    assert await ann.no("Blob/upload", create=[]) == "invalidArguments"


@pytest.mark.parametrize("cut", [{"offset": -1}, {"offset": 2, "length": 4}, {"offset": 6}, {"length": "1"}])
async def test_stretches_that_are_not_there(ann: Client, cut: dict[str, Any]) -> None:
    blob = await made(ann, {"data:asText": "hello"})
    answer = await ann.ask("Blob/upload", create={"b": {"data": [{"blobId": blob, **cut}]}})
    assert answer["notCreated"]["b"]["type"] == "invalidProperties"


async def test_blobs_are_told_as_text_or_as_base64(ann: Client, bob: Client) -> None:
    text, octets = await made(ann, {"data:asText": "grüße"}), await made(ann, {"data:asBase64": "/wD+"})
    theirs = await made(bob, {"data:asText": "secret"})
    found = await ann.ask("Blob/get", ids=[text, octets, "f404", theirs])
    assert found["list"] == [
        {"id": text, "data:asText": "grüße", "size": 7},
        {"id": octets, "data:asBase64": "/wD+", "isEncodingProblem": True, "size": 3},
    ]
    assert found["notFound"] == ["f404", theirs]
    properties = ["data:asText", "digest:sha-256", "digest:sha", "size"]
    (cut,) = (await ann.ask("Blob/get", ids=[text], properties=properties, offset=1, length=2))["list"]
    assert cut["data:asText"] is None and cut["isEncodingProblem"]  # half of a letter
    assert cut["digest:sha-256"] == base64.b64encode(hashlib.sha256("grüße".encode()[1:3]).digest()).decode()
    (long,) = (await ann.ask("Blob/get", ids=[text], properties=["data:asText"], length=99))["list"]
    assert long["isTruncated"] is True and long["data:asText"] == "grüße"


async def test_what_blobs_are_of(ann: Client) -> None:
    placed = stage.deliver(ann.store, ann.account_id, stage.message())
    email = (await ann.ask("Email/get", ids=[f"e{placed.email_id}"], properties=["blobId", "threadId"]))["list"][0]
    free = await made(ann, {"data:asText": "x"})
    found = await ann.ask("Blob/lookup", typeNames=["Email", "Mailbox", "Thread"], ids=[email["blobId"], free, "f404"])
    assert found["list"] == [
        {"id": email["blobId"], "matchedIds": {
            "Email": [email["id"]], "Mailbox": [f"m{placed.mailbox_id}"], "Thread": [email["threadId"]]}},
        {"id": free, "matchedIds": {"Email": [], "Mailbox": [], "Thread": []}},
    ]  # fmt: skip
    assert found["notFound"] == ["f404"]
    assert await ann.no("Blob/lookup", typeNames=["Calendar"], ids=[]) == "unknownDataType"
    assert await ann.no("Blob/lookup", ids=[]) == "invalidArguments"
    many = [f"f{n}" for n in range(LIMITS.jmap_get + 1)]
    assert await ann.no("Blob/lookup", typeNames=[], ids=many) == "requestTooLarge"


async def test_no_answer_grows_without_end(ann: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [await made(ann, {"data:asText": str(n) * 40}) for n in range(5)]
    monkeypatch.setattr(blobs, "LIMITS", dataclasses.replace(LIMITS, blob_made=100))
    assert await ann.no("Blob/get", ids=ids) == "requestTooLarge"
    assert len((await ann.ask("Blob/get", ids=ids, length=10))["list"]) == 5
    monkeypatch.setattr(blobs, "LIMITS", dataclasses.replace(LIMITS, blob_read=100))
    assert await ann.no("Blob/get", ids=ids, properties=["digest:sha-512"]) == "requestTooLarge"
    assert len((await ann.ask("Blob/get", ids=ids[:2], properties=["digest:sha-512"]))["list"]) == 2
    for arguments in ({"ids": None}, {"ids": [], "offset": -1}, {"ids": [], "properties": ["x"]}, {"ids": ids, "x": 1}):
        assert await ann.no("Blob/get", **arguments) == "invalidArguments"
