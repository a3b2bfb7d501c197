"""How many examples Hypothesis tries.

`make test` tries as many as a test asks for (the profile `thorough`); `make check`, and pytest by itself, a quarter.
Which ones is drawn anew each time, so that the quick runs of a day add up to a thorough one.
"""

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
    return settings(max_examples=number * settings().max_examples // ALL)
