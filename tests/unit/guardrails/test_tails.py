"""Tails of distributions, against sums of their terms."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from handrail.guardrails.anomaly.numbers import (
    beta_binomial_tail,
    beta_share,
    poisson_gamma_tail,
    t_for,
)


@pytest.mark.parametrize(("count", "of"), [(1, 5), (5, 5), (30, 50), (3, 400)])
@pytest.mark.parametrize("share", [Fraction(1, 1_000), Fraction(1, 5), Fraction(9, 10)])
def test_an_incomplete_beta_function_is_the_sum_of_a_binomial(
    count: int, of: int, share: Fraction
) -> None:
    exact = sum(
        (math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(count, of + 1)),
        Fraction(0),
    )
    assert beta_share(count, of - count + 1, float(share)) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize("yes", [0, 3, 200])
def test_a_beta_binomial_of_whole_priors_is_the_sum_of_urns(yes: int) -> None:
    """With Beta(a, b) of whole numbers it is a Polya urn: drawn one by one, exactly."""
    a, b, of = yes + 1, 40, 12
    ways = {0: Fraction(1)}
    for drawn in range(of):
        following: dict[int, Fraction] = {}
        for x, p in ways.items():
            up = Fraction(a + x, a + b + drawn)
            following[x + 1] = following.get(x + 1, Fraction(0)) + p * up
            following[x] = following.get(x, Fraction(0)) + p * (1 - up)
        ways = following
    for count in range(of + 1):
        exact = sum(p for x, p in ways.items() if x >= count)
        assert beta_binomial_tail(count, of, a, b) == pytest.approx(float(exact), rel=1e-9)


@pytest.mark.parametrize(("mean", "shape"), [(0.3, 0.2), (5, 2.5), (40, 3_000.0), (200, 1)])
@pytest.mark.parametrize("count", [1, 4, 60, 300])
def test_a_poisson_gamma_tail_is_the_sum_of_the_negative_binomial(
    mean: float, shape: float, count: int
) -> None:
    log_q, log_p = math.log(mean / (mean + shape)), math.log(shape / (mean + shape))
    terms = (
        math.exp(
            math.lgamma(k + shape) - math.lgamma(shape) - math.lgamma(k + 1)
            + shape * log_p + k * log_q
        )
        for k in range(count, count + 20_000)
    )  # fmt: skip
    assert poisson_gamma_tail(count, mean, shape) == pytest.approx(math.fsum(terms), rel=1e-6)


def test_a_rate_that_hardly_varies_is_poissons() -> None:
    exact = 1 - math.fsum(math.exp(-5) * 5**k / math.factorial(k) for k in range(12))
    assert poisson_gamma_tail(12, 5, 1e9) == pytest.approx(exact, rel=1e-5)


def test_the_edges_are_certain() -> None:
    assert beta_share(2, 3, 0) == 0
    assert beta_share(2, 3, 1) == 1
    assert poisson_gamma_tail(0, 5, 1) == 1
    assert poisson_gamma_tail(3, 0, 1) == 0


@pytest.mark.parametrize("freedom", [11, 30, 200])
@pytest.mark.parametrize("z", [1.5, 3, 4])
def test_the_t_that_stands_for_a_z_has_its_tail(z: float, freedom: float) -> None:
    """The tail of t is an incomplete beta function: I_x(f / 2, 1 / 2) / 2, x = f / (f + t^2)."""
    t = t_for(z, freedom)
    tail = beta_share(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2
    assert math.log(tail) == pytest.approx(math.log(math.erfc(z / math.sqrt(2)) / 2), rel=0.06)
    assert t > z
