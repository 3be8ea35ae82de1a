"""Property tests say the same in every run, and a busy machine is no fault."""

from hypothesis import settings

settings.register_profile("tests", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("tests")
