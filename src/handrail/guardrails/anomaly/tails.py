"""Probabilities that a person can follow, by hand: two tails, and a correction. Pure."""

from __future__ import annotations

import math

_TINY = 1e-300
_CLOSE = 1e-14
_ROUNDS = 10_000


def beta_binomial_tail(count: int, of: int, yes: float, no: float) -> float:
    """P(X >= count) of `of` draws whose share is known only as Beta(yes, no).

    The posterior predictive of a share seen `yes` times and not seen `no` times, prior
    included: the sum of C(of, x) B(x + yes, of - x + no) / B(yes, no) over x >= count.
    """
    whole = _log_beta(yes, no)
    terms = (
        math.exp(_log_choose(of, x) + _log_beta(x + yes, of - x + no) - whole)
        for x in range(max(count, 0), of + 1)
    )
    return min(math.fsum(terms), 1.0)


def poisson_gamma_tail(count: int, mean: float, shape: float) -> float:
    """P(X >= count) of a Poisson whose rate is Gamma distributed with that mean and shape.

    This is the negative binomial: its tail is I_q(count, shape) with q = mean / (mean + shape)
    (DLMF 8.17.24 gives the sum). The smaller the shape the more the rate itself varies.
    """
    if count <= 0:
        return 1.0
    return beta_share(count, shape, mean / (mean + shape)) if mean > 0 else 0.0


def t_for(z: float, freedom: float) -> float:
    """The quantile of Student's t that has the tail that `z` has of a normal.

    The Cornish-Fisher expansion to the second order, Abramowitz & Stegun 26.7.5. It is above
    `z` for few degrees of `freedom`, and comes down to it for many.
    """
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def beta_share(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b), 0..1.

    By its continued fraction (DLMF 8.17.22), evaluated from the front by Lentz's method, on
    the side where it converges fast.
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value


def _not_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
