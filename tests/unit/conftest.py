"""Hypothesis, for every unit test: no example is timed, since the machine may be busy. Speed is the benches' matter."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
