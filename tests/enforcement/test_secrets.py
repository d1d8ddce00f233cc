from __future__ import annotations

import base64

import pytest

from enforcement.errors import CredentialError
from enforcement.secrets import CredentialBox

OLD = base64.urlsafe_b64encode(b"o" * 32).decode()
NEW = base64.urlsafe_b64encode(b"n" * 32).decode().rstrip("=")
CONTEXT = "ten_a:test:acc_1"


def test_what_is_sealed_opens_again() -> None:
    box = CredentialBox([NEW])
    token = box.seal("sk-secret ü", context=CONTEXT)
    assert "secret" not in token
    assert box.open(token, context=CONTEXT) == "sk-secret ü"
    assert token != box.seal("sk-secret ü", context=CONTEXT)


def test_a_credential_opens_only_for_its_own_account() -> None:
    box = CredentialBox([NEW])
    token = box.seal("sk-secret", context=CONTEXT)
    with pytest.raises(CredentialError, match="another account"):
        box.open(token, context="ten_b:test:acc_1")


def test_keys_are_rotated_by_putting_a_new_one_in_front() -> None:
    token = CredentialBox([OLD]).seal("sk-secret", context=CONTEXT)
    box = CredentialBox([NEW, OLD])
    assert box.open(token, context=CONTEXT) == "sk-secret"
    assert box.needs_reseal(token)
    assert not box.needs_reseal(box.seal("sk-secret", context=CONTEXT))
    with pytest.raises(CredentialError, match="not among the keys"):
        CredentialBox([NEW]).open(token, context=CONTEXT)


@pytest.mark.parametrize(
    "token", ["", "v1", "v2.{id}.{body}", "v1.{id}.short", "v1.{id}.!!!", "v1.{id}.ü", "v1.{id}.a"]
)
def test_what_is_no_token_is_refused(token: str) -> None:
    box = CredentialBox([NEW])
    _, key_id, body = box.seal("sk", context=CONTEXT).split(".")
    with pytest.raises(CredentialError):
        box.open(token.format(id=key_id, body=body), context=CONTEXT)


def test_an_altered_token_does_not_open() -> None:
    box = CredentialBox([NEW])
    token = box.seal("sk-secret", context=CONTEXT)
    altered = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    with pytest.raises(CredentialError):
        box.open(altered, context=CONTEXT)


@pytest.mark.parametrize(
    "keys", [[], ["short"], ["!!!"], [NEW, base64.urlsafe_b64encode(b"x" * 16).decode()]]
)
def test_wrong_secret_keys_are_refused_without_being_shown(keys: list[str]) -> None:
    with pytest.raises(CredentialError) as caught:
        CredentialBox(keys)
    assert not any(key in str(caught.value) for key in keys)


def test_a_box_does_not_show_its_keys() -> None:
    assert repr(CredentialBox([NEW, OLD])) == "CredentialBox(2 keys)"
