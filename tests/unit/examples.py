"""How much is tried: examples of Hypothesis, seeds of simulated networks, simulated time, checks in simulations.

`make test` tries as much as a test asks for (the profile `thorough`); `make check`, and pytest by itself, a quarter.
"""

import math

from hypothesis import HealthCheck, settings

ALL, QUICK = 100, 25
"""Examples of a test that asks for no number, in the two profiles."""


def register() -> None:
    """Register the profiles. None times an example, since the machine may be busy: speed is the benches' matter."""
    untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.register_profile("thorough", untimed, max_examples=ALL)
    settings.register_profile("quick", untimed, max_examples=QUICK)
    settings.load_profile("quick")


def examples(number: int) -> settings:
    """Return the settings of a test that asks for `number` examples."""
    return settings(max_examples=_some_of(number))


def seeds(number: int) -> range:
    """Return the seeds of a test that is to be run with `number` of them."""
    return range(_some_of(number))


def lasting(seconds: float) -> float:
    """Return how long a test lasts, in simulated time, that is to last for `seconds`."""
    return seconds * settings().max_examples / ALL


def stride() -> int:
    """Return in how many steps of a simulation of thousands what holds after each is checked once."""
    return math.ceil(ALL / settings().max_examples)


def _some_of(number: int) -> int:
    return math.ceil(number * settings().max_examples / ALL)
