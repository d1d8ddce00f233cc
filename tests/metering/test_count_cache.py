from __future__ import annotations

from metering.count_cache import CountCache


def test_what_was_put_is_found_again() -> None:
    cache: CountCache[int] = CountCache()
    key = cache.key_of(b"hello", b"rule")
    assert cache.get(key) is None
    cache.put(key, 7)
    assert cache.get(key) == 7


def test_another_rule_is_another_key() -> None:
    cache: CountCache[int] = CountCache()
    assert cache.key_of(b"hello", b"a") != cache.key_of(b"hello", b"b")


def test_it_is_bounded_and_keeps_what_is_used() -> None:
    cache: CountCache[int] = CountCache(entries_max=10)
    kept = cache.key_of(b"kept", b"")
    cache.put(kept, 1)
    for number in range(100):
        cache.put(cache.key_of(str(number).encode(), b""), number)
        assert cache.get(kept) == 1
        assert len(cache) <= 10
    assert cache.get(cache.key_of(b"3", b"")) is None
