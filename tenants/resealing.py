"""What else is sealed under the installation's secret keys: each owner says at start how to seal it anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one owner did: the rows it sealed under the first key, and those that no key in hand opens."""

    resealed: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


_owners: dict[str, Callable[[], Sealed]] = {}


def register_resealer(noun: str, reseal: Callable[[], Sealed]) -> None:
    """Say how to seal anew what a noun names, in the plural. Call it in ``ready``; ``reseal`` may be repeated."""
    _owners[noun] = reseal


def reseal_others() -> dict[str, Sealed]:
    """Seal everything that was registered under the first secret key, by noun."""
    return {noun: reseal() for noun, reseal in _owners.items()}
