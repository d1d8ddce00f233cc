"""What is said in a call stays in the call: no prompt, no completion and no secret lands anywhere it could be read.

Searched are every log, every key and value of Redis, every row of PostgreSQL, and the raw files of both.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests.journeys.conftest import SIMULATORS
from tests.journeys.desk import Desk, fresh
from tests.stack import Stack

MARK = f"zanzibar{secrets.token_hex(6)}"
FOUND_ON_PURPOSE = f"tag{secrets.token_hex(6)}"

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": f"{MARK}_name",
            "description": f"{MARK} description",
            "parameters": {
                "type": "object",
                "properties": {f"{MARK}_argument": {"type": "string", "enum": [f"{MARK} said by the model"]}},
            },
        },
    }
]
SPOKEN: list[dict[str, Any]] = [
    {"role": "system", "content": f"{MARK} system"},
    {"role": "user", "content": f"{MARK} prompt", "name": f"{MARK}_user"},
]
HEADERS = {
    "Idempotency-Key": f"{MARK}-key",
    "OpenAI-Organization": f"{MARK}-organization",
    "X-Something": f"{MARK}-header",
    "User-Agent": f"{MARK}/1.0",
    "Farebox-Tags": f"feature={FOUND_ON_PURPOSE}",
}


@pytest.fixture(scope="module")
def said(stack: Stack, acme: Desk, desks: dict[str, Desk]) -> list[str]:
    """Make calls of every outcome with the mark all over them; returns the secrets that were used on the way."""
    for model in ("sim-tools", "sim-error-400", "sim-error-500", "sim-cut-3", "sim-nousage", "sim-json"):
        acme.price(model)
    made = acme.customer("20.00")
    poor = acme.customer("0.000001")
    server = acme.do("POST", "/keys", {"kind": "server"})["key"]
    wrong = fresh("wrong")
    wrong_credential = f"sk-sim-{secrets.token_hex(12)}"
    acme.account(wrong, f"{stack.address('acme-live')}/v1", wrong_credential)
    rotated = acme.do("POST", f"/keys/{poor.key_id}/rotate", {"overlap_seconds": 60})["key"]
    fields: dict[str, Any] = {
        "messages": SPOKEN,
        "user": f"{MARK}-user",
        "metadata": {"note": f"{MARK} metadata"},
    }
    answer = acme.chat(made.key, "sim-tools", tools=TOOLS, headers=HEADERS, **fields)
    assert f"{MARK} said by the model" in answer.text, "the marks must come back in the completion"
    for stream in (False, True):
        for model in (
            *("sim-tools", "sim-error-400", "sim-error-500", "sim-cut-3", "sim-nousage"),
            *(f"{wrong}/sim-mini", f"{MARK}/unpriced"),
        ):
            acme.chat(made.key, model, tools=TOOLS, stream=stream, **fields)
    schema = {"name": "s", "schema": {"type": "object", "properties": {"a": {"enum": [f"{MARK} in json"]}}}}
    form = {"type": "json_schema", "json_schema": schema}
    assert MARK in acme.chat(made.key, "sim-json", response_format=form, **fields).text
    assert acme.chat(poor.key, tools=TOOLS, **fields).status_code == 402
    acme.chat(server, headers={"Farebox-Customer": made.external_id}, **fields)
    _broken_calls(stack, made.key)
    stack.wait_until_quiet()
    return [
        *(desk.api_key for desk in desks.values()),
        *(made.key, poor.key, rotated, server, wrong_credential),
        *SIMULATORS.values(),
        stack.tenant["password"],
    ]


def _broken_calls(stack: Stack, key: str) -> None:
    """Bodies, keys and routes that nobody can serve, with the mark in them."""
    headers = {"authorization": f"Bearer {key}"}
    url = f"{stack.address('proxy1')}/v1/chat/completions"
    for content in (f'{{"model": "sim-mini", "messages": "{MARK}"', f'{{"{MARK}": 1}}', f'["{MARK}"]', MARK):
        assert httpx.post(url, content=content, headers=headers).status_code == 400
    uncountable = {"model": "sim-mini", "messages": SPOKEN, "web_search_options": {MARK: MARK}}
    assert httpx.post(url, json=uncountable, headers=headers).status_code == 400
    assert httpx.post(url, json={}, headers={"authorization": f"Bearer {MARK}"}).status_code == 401
    tags = {**headers, "Farebox-Tags": f"{MARK}"}
    assert httpx.post(url, json={"model": "sim-mini", "messages": SPOKEN}, headers=tags).status_code == 400


def redis_texts(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every key of Redis with all that it holds."""
    readers = {
        b"string": lambda client, key: client.get(key),
        b"hash": lambda client, key: client.hgetall(key),
        b"list": lambda client, key: client.lrange(key, 0, -1),
        b"set": lambda client, key: client.smembers(key),
        b"zset": lambda client, key: client.zrange(key, 0, -1),
        b"stream": lambda client, key: client.xrange(key),
    }
    with redis.Redis.from_url(stack.valkey.url) as client:
        for key in client.scan_iter(count=1000):
            yield key.decode(), key + repr(readers[client.type(key)](client, key)).encode()


def rows_of_tables(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Every row of every table as text; bytes are written in hexadecimal."""
    with psycopg.connect(stack.postgres.url("farebox_owner")) as connection:
        tables = connection.execute(
            "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
        for (table,) in tables:
            for (row,) in connection.execute(f"SELECT t::text FROM {table} AS t"):
                yield table, row.encode()


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder that is ours: logs, mail, PostgreSQL's files, Valkey's. Bills are the simulators'."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_socket() and "bill.jsonl" not in path.name:
            yield str(path.relative_to(folder)), path.read_bytes()


def found_in(places: Iterator[tuple[str, bytes]], words: list[str]) -> set[str]:
    """Where any of the words stands, plain or in hexadecimal; named by the first letters of the word."""
    spelt = {form: word[:12] for word in words for form in (word.encode(), word.encode().hex().encode())}
    pattern = re.compile(b"|".join(map(re.escape, spelt)))
    return {f"{place}: {spelt[match[0]]}…" for place, data in places for match in pattern.finditer(data)}


@pytest.mark.parametrize("where", [redis_texts, rows_of_tables])
def test_the_search_finds_what_is_kept_on_purpose(stack: Stack, said: list[str], where: Any) -> None:
    assert found_in(where(stack), [FOUND_ON_PURPOSE])


def test_the_search_finds_what_is_logged_on_purpose(stack: Stack, said: list[str]) -> None:
    folders = {place.split("/")[0] for place in found_in(files_of(stack.home), [FOUND_ON_PURPOSE])}
    assert {"postgres", "valkey"} <= folders
    assert found_in(files_of(stack.home), ["farebox.proxy.requests"]) == {
        "proxy1.log: farebox.prox…",
        "proxy2.log: farebox.prox…",
    }


def test_no_word_of_a_call_lands_in_redis(stack: Stack, said: list[str]) -> None:
    assert found_in(redis_texts(stack), [MARK]) == set()


def test_no_word_of_a_call_lands_in_postgresql(stack: Stack, said: list[str]) -> None:
    assert found_in(rows_of_tables(stack), [MARK]) == set()


def test_no_secret_lands_in_redis_or_postgresql(stack: Stack, said: list[str]) -> None:
    assert found_in(redis_texts(stack), said) == set()
    assert found_in(rows_of_tables(stack), said) == set()


def test_neither_lands_in_a_log_or_any_other_file(stack: Stack, said: list[str]) -> None:
    assert found_in(files_of(stack.home), [MARK, *said]) == set()
