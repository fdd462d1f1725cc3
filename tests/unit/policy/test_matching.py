"""Different people for several needs, against every way to choose them."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from handrail.policy.matching import Need, distinct_people

PEOPLE = "abcdef"
NEEDS = st.lists(st.tuples(st.frozensets(st.sampled_from(PEOPLE)), st.integers(0, 3)), max_size=4)


def by_force(needs: list[Need], taken: frozenset[str] = frozenset()) -> bool:
    """Try everything."""
    if not needs:
        return True
    (people, count), *others = needs
    return any(
        by_force(others, taken | frozenset(chosen))
        for chosen in combinations(sorted(people - taken), count)
    )


@given(NEEDS)
def test_it_finds_a_way_exactly_where_there_is_one(needs: list[Need]) -> None:
    assert distinct_people(needs) is by_force(needs)


@given(NEEDS, st.sampled_from(PEOPLE), st.integers(0, 3))
def test_more_people_never_hurt(needs: list[Need], who: str, where: int) -> None:
    more = [(need | {who} if n == where else need, c) for n, (need, c) in enumerate(needs)]
    assert distinct_people(more) or not distinct_people(needs)


def test_people_move_from_one_need_to_another_along_a_chain() -> None:
    needs: list[Need] = [(frozenset({f"p{n}", f"p{n + 1}"}), 1) for n in range(2_000)]
    assert distinct_people([*needs, (frozenset({"p0"}), 1)])
    assert not distinct_people([*needs, (frozenset({"p0"}), 1), (frozenset({"p2000"}), 1)])


def test_who_makes_room_is_not_counted_twice() -> None:
    for only in "abc":  # one of them is whom the first need took
        assert distinct_people([(frozenset("abc"), 1), (frozenset(only), 1)])
        assert not distinct_people([(frozenset("abc"), 1), (frozenset(only), 2)])
