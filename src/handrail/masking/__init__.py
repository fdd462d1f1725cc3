"""Masking: what leaves a process in a log line holds no personal data and no secret."""

from handrail.masking.pseudonyms import Masker, Personal, key_in, masker, use

__all__ = ["Masker", "Personal", "key_in", "masker", "use"]
