from cache import Cache


def aged(ttl):
    now = [100.0]
    return now, Cache(3, ttl=ttl, clock=lambda: now[0])


def test_entries_age():
    now, cache = aged(5)
    cache.put("a", 1)
    now[0] += 4
    assert cache.get("a") == 1
    now[0] += 2
    assert cache.get("a", "gone") == "gone"


def test_a_new_value_is_young():
    now, cache = aged(5)
    cache.put("a", 1)
    now[0] += 4
    cache.put("a", 2)
    now[0] += 4
    assert cache.get("a") == 2


def test_without_a_ttl_nothing_ages():
    now = [0.0]
    cache = Cache(1, clock=lambda: now[0])
    cache.put("a", 1)
    now[0] += 1e9
    assert cache.get("a") == 1
